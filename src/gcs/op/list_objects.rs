//! storage.objects.list.
//!
//! GCS: "Objects: list". The page itself is made by `protocol::listing`; what only this dialect has
//! (offsets, globs) narrows the rows that it is made of.

use serde_json::{Value, json};

use crate::gcs::call::Call;
use crate::gcs::error::{Error, Reason};
use crate::gcs::resource;
use crate::gcs::route::Place;
use crate::model::{BucketName, Glob, Permission};
use crate::protocol::listing::{self, Cursor, Entry, ListQuery, Page, Pager, Window};
use crate::protocol::request::Response;
use crate::store::{self, Object, Scan, Start};
use crate::view::{self, Row, Turn, View};

/// GCS: `maxResults`: "The service may return fewer"; at most 1,000.
const RESULTS_MAX: usize = 1000;

/// The most rows of a scan that goes on because few passed.
const FURTHER_ROWS_MAX: usize = 1000;

/// Which names are listed besides those of the prefix.
struct Filter {
    start_offset: String,
    end_offset: Option<String>,
    glob: Option<Glob>,
    delimiter: Option<String>,
}

/// 200 with a page: `items` are objects, `prefixes` is what was rolled up.
pub(super) async fn list(call: &Call<'_>, bucket: &BucketName) -> Result<Response, Error> {
    let prefix = call.query.get("prefix").unwrap_or_default();
    call.authorize(Permission::List, bucket, prefix)?;
    call.bucket_exists(bucket)?;
    let query = query(call, prefix)?;
    let filter = Filter::read(call)?;
    let next;
    let mut objects = Vec::new();
    let mut prefixes = Vec::new();
    if call.view().merges(bucket) {
        let page = filter.merged(call, bucket, &query).await?;
        next = page.next;
        for entry in page.entries {
            match entry {
                Entry::Row(row) => objects.extend(whole(call, bucket, row)?),
                Entry::CommonPrefix(prefix) => prefixes.push(prefix),
            }
        }
    } else {
        let page = filter.written(call.view(), bucket, &query).await?;
        next = page.next;
        for entry in page.entries {
            match entry {
                Entry::Row(object) => objects.push(Item::Here(object)),
                Entry::CommonPrefix(prefix) => prefixes.push(prefix),
            }
        }
    }
    if call.flag("includeTrailingDelimiter") {
        add_folders(call, bucket, &prefixes, &mut objects).await?;
    }
    let next = next.as_ref().map(Cursor::token);
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
        let glob = given("matchGlob").map(Glob::parse_gcs).transpose().map_err(|reason| {
            Error::with_message(Reason::InvalidParameter, format!("Invalid value for matchGlob: {reason}."))
        })?;
        Ok(Self {
            start_offset: given("startOffset").unwrap_or_default().to_owned(),
            end_offset: given("endOffset").map(str::to_owned),
            glob,
            delimiter: given("delimiter").map(str::to_owned),
        })
    }

    /// Whether a key is of the glob.
    ///
    /// GCS: so is one whose prefix is, where there is a delimiter: `*/` lists the folders.
    ///
    /// A long pattern takes long: it lets others run in between.
    async fn is_match(&self, prefix: &str, key: &str, turn: &mut Turn) -> bool {
        let Some(glob) = &self.glob else { return true };
        let rolled = || {
            let delimiter = self.delimiter.as_deref()?;
            let at = key.strip_prefix(prefix)?.find(delimiter)?;
            key.get(..prefix.len() + at + delimiter.len())
        };
        for text in [Some(key), rolled()].into_iter().flatten() {
            let mut matching = glob.matching(text);
            loop {
                match matching.advance(turn.left()) {
                    Some(true) => return true,
                    Some(false) => break,
                    None => turn.rest().await,
                }
            }
        }
        false
    }

    /// Whether every key passes.
    fn is_open(&self) -> bool {
        self.start_offset.is_empty() && self.end_offset.is_none() && self.glob.is_none()
    }

    /// A page of a bucket that shows what was written here alone.
    async fn written(
        &self,
        view: &View,
        bucket: &BucketName,
        query: &ListQuery,
    ) -> Result<Page<Object>, store::Error> {
        let mut pager = Pager::new(query);
        let mut turn = Turn::default();
        while let Some(window) = pager.window() {
            let mut passed = Passed::begin(self, &window);
            let mut limit = window.limit;
            while let Some(scan) = &mut passed.scan {
                // Rows too many cost little, and few of them may pass.
                scan.limit = limit;
                let rows = view.scan_written_whole(bucket, scan, &mut turn).await?;
                passed.take(self, rows, &mut turn).await;
                limit = (limit * 2).clamp(window.limit, window.limit.max(FURTHER_ROWS_MAX));
            }
            pager.take(passed.rows);
        }
        Ok(pager.finish())
    }

    /// A page of what is here and what production has.
    async fn merged(
        &self,
        call: &Call<'_>,
        bucket: &BucketName,
        query: &ListQuery,
    ) -> Result<Page<Row>, view::Error> {
        // What upstream has rolled up does not say which of its keys pass.
        let delimiter = query.delimiter.as_deref().filter(|_| self.is_open());
        let mut listing = call.view().listing(bucket, delimiter, query.keys_max, &call.context.hops)?;
        let mut pager = Pager::new(query);
        let mut turn = Turn::default();
        while let Some(window) = pager.window() {
            let mut passed = Passed::begin(self, &window);
            while let Some(scan) = &passed.scan {
                let rows = listing.rows(scan).await?;
                passed.take(self, rows, &mut turn).await;
            }
            pager.take(passed.rows);
        }
        Ok(pager.finish())
    }
}

/// Rows of a window that pass a filter: as many as it asks for; fewer mean that no more follow.
struct Passed<R> {
    rows: Vec<R>,
    limit: usize,
    /// What to read next; `None` once it is done.
    scan: Option<Scan>,
}

impl<R: listing::Row> Passed<R> {
    fn begin(filter: &Filter, window: &Window<'_>) -> Self {
        let mut scan = window.objects();
        if starts_before(&scan, &filter.start_offset) {
            scan.start = Start::At(filter.start_offset.clone());
        }
        Self { rows: Vec::new(), limit: window.limit, scan: Some(scan) }
    }

    async fn take(&mut self, filter: &Filter, rows: Vec<R>, turn: &mut Turn) {
        let Some(mut scan) = self.scan.take() else { return };
        let exhausted = rows.len() < scan.limit;
        let Some(last) = rows.last().map(|row| row.key().to_owned()) else { return };
        for row in rows {
            if filter.end_offset.as_ref().is_some_and(|end| row.key() >= end.as_str()) {
                return;
            }
            if self.rows.len() < self.limit && filter.is_match(&scan.prefix, row.key(), turn).await {
                self.rows.push(row);
            }
        }
        if !exhausted && self.rows.len() < self.limit {
            scan.start = Start::After(last);
            // A merge only goes forward: a row that it gave and that has no room here would be lost.
            scan.limit = self.limit - self.rows.len();
            self.scan = Some(scan);
        }
    }
}

fn starts_before(scan: &Scan, offset: &str) -> bool {
    match &scan.start {
        Start::At(key) | Start::After(key) => key.as_str() < offset,
    }
}

/// An object of a page.
enum Item {
    Here(Object),
    /// Only production has it: what is not known of it stays unknown.
    Elsewhere(Object),
}

/// A row with all that is known of it; `None` if it was deleted since the page was read.
fn whole(call: &Call<'_>, bucket: &BucketName, row: Row) -> Result<Option<Item>, store::Error> {
    let listed = match row {
        Row::Here(listed) => listed,
        Row::Upstream(remote) => return Ok(Some(Item::Elsewhere(view::as_object(bucket, &remote)))),
        Row::Rolled(_) => return Ok(None),
    };
    let object = call.store().scan_whole_objects(bucket, &first_of(listed.key.as_str()))?.0.pop();
    Ok(object.filter(|object| object.key == listed.key).map(Item::Here))
}

/// The first key that begins with a text: the text itself, if it is one.
fn first_of(text: &str) -> Scan {
    Scan { start: Start::At(text.to_owned()), prefix: text.to_owned(), limit: 1, tombstones: false }
}

/// `includeTrailingDelimiter`: an object whose name is a prefix of the page is an item too.
async fn add_folders(
    call: &Call<'_>,
    bucket: &BucketName,
    prefixes: &[String],
    objects: &mut Vec<Item>,
) -> Result<(), Error> {
    let merges = call.view().merges(bucket);
    let mut turn = Turn::default();
    for prefix in prefixes {
        let first = first_of(prefix);
        if merges {
            let mut listing = call.view().listing(bucket, None, 1, &call.context.hops)?;
            for row in listing.rows(&first).await?.into_iter().filter(|row| row.key() == prefix) {
                objects.extend(whole(call, bucket, row)?);
            }
        } else {
            let rows = call.view().scan_written_whole(bucket, &first, &mut turn).await?;
            objects.extend(rows.into_iter().filter(|object| object.key.as_str() == prefix).map(Item::Here));
        }
    }
    let key = |item: &Item| match item {
        Item::Here(object) | Item::Elsewhere(object) => object.key.clone(),
    };
    objects.sort_by_cached_key(key);
    Ok(())
}

/// The resources of a page, each with its digests if they are wanted.
async fn items(call: &Call<'_>, objects: Vec<Item>) -> Result<Vec<Value>, Error> {
    let shows = |name| call.mask.as_ref().is_none_or(|mask| mask.wants(&["items", name]));
    let shows_digests = shows("md5Hash") || shows("crc32c");
    let base = call.base();
    let mut items = Vec::with_capacity(objects.len());
    for object in objects {
        let object = match object {
            Item::Here(object) if shows_digests => known(call, object).await?,
            Item::Here(object) | Item::Elsewhere(object) => object,
        };
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
