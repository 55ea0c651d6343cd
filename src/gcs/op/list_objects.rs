//! storage.objects.list.
//!
//! GCS: "Objects: list". The page itself is made by `protocol::listing`; what only this dialect has
//! (offsets, globs) narrows the rows that it is made of.

use globset::{GlobBuilder, GlobMatcher};
use serde_json::{Value, json};

use crate::gcs::call::Call;
use crate::gcs::error::{Error, Reason};
use crate::gcs::resource;
use crate::gcs::route::Place;
use crate::model::{BucketName, ObjectKey, Permission};
use crate::protocol::listing::{self, Cursor, Entry, ListQuery, Window};
use crate::protocol::request::Response;
use crate::store::{self, Lookup, Object, Scan, Start, Store};

/// GCS: `maxResults`: "The service may return fewer"; at most 1,000.
const RESULTS_MAX: usize = 1000;

/// Which names are listed besides those of the prefix.
struct Filter {
    start_offset: String,
    end_offset: Option<String>,
    glob: Option<GlobMatcher>,
}

/// 200 with a page: `items` are objects, `prefixes` is what was rolled up.
pub(super) async fn list(call: &Call<'_>, bucket: &BucketName) -> Result<Response, Error> {
    let prefix = call.query.get("prefix").unwrap_or_default();
    call.authorize(Permission::List, bucket, prefix)?;
    call.bucket_exists(bucket)?;
    let query = query(call, prefix)?;
    let filter = Filter::read(call)?;
    let page =
        listing::page(&query, |window| filter.scan(call.store(), bucket, window)).map_err(Error::from)?;
    let next = page.next.as_ref().map(Cursor::token);
    let mut objects = Vec::new();
    let mut prefixes = Vec::new();
    for entry in page.entries {
        match entry {
            Entry::Row(object) => objects.push(object),
            Entry::CommonPrefix(prefix) => prefixes.push(prefix),
        }
    }
    // Google's Python client writes `True`.
    if call.query.get("includeTrailingDelimiter").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        add_folders(call.store(), bucket, &prefixes, &mut objects)?;
    }
    let items = items(call, objects).await?;
    let mut document = json!({ "kind": "storage#objects" });
    if let Some(token) = next {
        document["nextPageToken"] = Value::String(token);
    }
    if !prefixes.is_empty() {
        document["prefixes"] = Value::from(prefixes);
    }
    if !items.is_empty() {
        document["items"] = Value::Array(items);
    }
    Ok(call.answer(document))
}

fn query(call: &Call<'_>, prefix: &str) -> Result<ListQuery, Error> {
    let token = call.query.get("pageToken").filter(|token| !token.is_empty());
    let start = token.map(Cursor::parse_token).transpose().map_err(|_| {
        Error::parameter("pageToken", token.unwrap_or_default(), "a nextPageToken of a listing")
    })?;
    let wanted = call.number("maxResults")?.and_then(|count| usize::try_from(count).ok());
    Ok(ListQuery {
        prefix: prefix.to_owned(),
        delimiter: call.query.get("delimiter").filter(|text| !text.is_empty()).map(str::to_owned),
        start,
        keys_max: wanted.unwrap_or(RESULTS_MAX).clamp(1, RESULTS_MAX),
    })
}

impl Filter {
    fn read(call: &Call<'_>) -> Result<Self, Error> {
        let given = |name| call.query.get(name).filter(|text| !text.is_empty());
        let glob = given("matchGlob").map(matcher).transpose()?;
        Ok(Self {
            start_offset: given("startOffset").unwrap_or_default().to_owned(),
            end_offset: given("endOffset").map(str::to_owned),
            glob,
        })
    }

    /// The rows of a window that pass, as many as it asks for; fewer mean that no more follow.
    fn scan(
        &self,
        store: &Store,
        bucket: &BucketName,
        window: &Window<'_>,
    ) -> Result<Vec<Object>, store::Error> {
        let mut scan = window.objects();
        if starts_before(&scan, &self.start_offset) {
            scan.start = Start::At(self.start_offset.clone());
        }
        let mut passed: Vec<Object> = Vec::new();
        loop {
            let rows = store.scan_whole_objects(bucket, &scan)?;
            let exhausted = rows.len() < scan.limit;
            let Some(last) = rows.last().map(|row| row.key.to_string()) else { return Ok(passed) };
            for row in rows {
                if self.end_offset.as_ref().is_some_and(|end| row.key.as_str() >= end.as_str()) {
                    return Ok(passed);
                }
                if self.glob.as_ref().is_none_or(|glob| glob.is_match(row.key.as_str())) {
                    passed.push(row);
                }
            }
            passed.truncate(window.limit);
            if exhausted || passed.len() == window.limit {
                return Ok(passed);
            }
            scan.start = Start::After(last);
        }
    }
}

fn starts_before(scan: &Scan, offset: &str) -> bool {
    match &scan.start {
        Start::At(key) | Start::After(key) => key.as_str() < offset,
    }
}

/// GCS: "List objects and prefixes using glob": `*` stops at a slash, `**` does not.
fn matcher(glob: &str) -> Result<GlobMatcher, Error> {
    let built = GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).build();
    built.map(|glob| glob.compile_matcher()).map_err(|reason| {
        Error::with_message(Reason::InvalidParameter, format!("Invalid value for matchGlob: {reason}"))
    })
}

/// `includeTrailingDelimiter`: an object whose name is a prefix of the page is an item too.
fn add_folders(
    store: &Store,
    bucket: &BucketName,
    prefixes: &[String],
    objects: &mut Vec<Object>,
) -> Result<(), Error> {
    for prefix in prefixes {
        let Ok(key) = ObjectKey::parse(prefix) else { continue };
        if let Lookup::Here(object, _) = store.find_object(bucket, &key, None)? {
            objects.push(object);
        }
    }
    objects.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(())
}

/// The resources of a page, each with its digests if they are wanted.
async fn items(call: &Call<'_>, objects: Vec<Object>) -> Result<Vec<Value>, Error> {
    let shows = |name| call.mask.as_ref().is_none_or(|mask| mask.wants(&["items", name]));
    let shows_digests = shows("md5Hash") || shows("crc32c");
    let base = call.base();
    let mut items = Vec::with_capacity(objects.len());
    for object in objects {
        let object = if shows_digests { known(call, object).await? } else { object };
        items.push(resource::object(&object, &base));
    }
    Ok(items)
}

/// An object with its digests. One that was deleted since the page was read keeps those it has.
async fn known(call: &Call<'_>, object: Object) -> Result<Object, Error> {
    if object.md5.is_some() && object.crc32c.is_some() {
        return Ok(object);
    }
    let place = Place { bucket: object.bucket.clone(), key: object.key.clone() };
    match call.find(&place, Some(object.generation)) {
        Ok((found, content)) => call.with_digests(found, &content).await,
        Err(error) if error.reason() == Reason::NotFound => Ok(object),
        Err(error) => Err(error),
    }
}
