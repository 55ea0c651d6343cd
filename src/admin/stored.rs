//! `GET …/objects` and `GET …/tombstones`: what is stored here, whatever production has.

use http::StatusCode;

use super::api::{Kind, ListedObject, Objects, Tombstone, Tombstones};
use super::refusal::Refusal;
use super::response;
use crate::model::{BucketName, ETag};
use crate::protocol::query::Query;
use crate::protocol::request::Response;
use crate::store::{Listed, ListedKind, Origin, Scan, Start, Store};

/// Entries of a page at most, and unless another number is asked for.
const LIMIT_MAX: usize = 1000;
/// Rows that one request looks at, however few of them it shows.
const ROWS_MAX: usize = 50_000;

/// A page: where it begins, and how long it is.
struct Page {
    prefix: String,
    after: Option<String>,
    limit: usize,
}

impl Page {
    fn read(query: &Query) -> Result<Self, Refusal> {
        let limit = query.get("limit").map_or(Ok(LIMIT_MAX), |text| {
            let limit = text.parse().ok().filter(|limit| *limit > 0);
            limit.ok_or_else(|| Refusal::Malformed(format!("limit is a number from 1 to {LIMIT_MAX}")))
        })?;
        Ok(Self {
            prefix: query.get("prefix").unwrap_or_default().to_owned(),
            after: query.get("after").map(str::to_owned),
            limit: limit.min(LIMIT_MAX),
        })
    }

    fn scan(&self, limit: usize, tombstones: bool) -> Scan {
        let start = match &self.after {
            Some(key) => Start::After(key.clone()),
            None => Start::At(String::new()),
        };
        Scan { start, prefix: self.prefix.clone(), limit, tombstones }
    }
}

/// Objects, with `?tombstones=true` tombstones among them.
pub(super) fn list(store: &Store, bucket: &BucketName, query: &Query) -> Result<Response, Refusal> {
    let page = Page::read(query)?;
    let tombstones = match query.get("tombstones") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refusal::Malformed("tombstones is true or false".to_owned())),
    };
    let listed = store.scan_objects(bucket, &page.scan(page.limit, tombstones))?;
    let next = (listed.len() == page.limit).then(|| last_key(&listed)).flatten();
    let objects = listed.iter().map(object).collect();
    Ok(response::json(StatusCode::OK, &Objects { objects, next }))
}

/// Tombstones alone.
pub(super) async fn tombstones(
    store: &Store,
    bucket: &BucketName,
    query: &Query,
) -> Result<Response, Refusal> {
    let (found, next) = find_tombstones(store, bucket, Page::read(query)?).await?;
    let tombstones = found
        .into_iter()
        .map(|listed| Tombstone {
            key: listed.key.as_str().to_owned(),
            deleted: listed.modified.iso().to_string(),
        })
        .collect();
    Ok(response::json(StatusCode::OK, &Tombstones { tombstones, next }))
}

/// The first tombstones below a prefix behind a key; a page may be short and not the last.
pub(super) async fn next_tombstones(
    store: &Store,
    bucket: &BucketName,
    prefix: &str,
    after: Option<String>,
) -> Result<(Vec<Listed>, Option<String>), Refusal> {
    find_tombstones(store, bucket, Page { prefix: prefix.to_owned(), after, limit: LIMIT_MAX }).await
}

async fn find_tombstones(
    store: &Store,
    bucket: &BucketName,
    mut page: Page,
) -> Result<(Vec<Listed>, Option<String>), Refusal> {
    let mut found = Vec::new();
    for _ in 0..ROWS_MAX / LIMIT_MAX {
        let listed = store.scan_objects(bucket, &page.scan(LIMIT_MAX, true))?;
        let ended = listed.len() < LIMIT_MAX;
        let last = last_key(&listed);
        for row in listed {
            if row.kind == ListedKind::Tombstone {
                found.push(row);
                if found.len() == page.limit {
                    let next = last_key(&found);
                    return Ok((found, next));
                }
            }
        }
        if ended {
            return Ok((found, None));
        }
        page.after = last;
        // Others are waiting, and each page has kept this thread for a while.
        tokio::task::yield_now().await;
    }
    Ok((found, page.after))
}

fn last_key(listed: &[Listed]) -> Option<String> {
    listed.last().map(|listed| listed.key.as_str().to_owned())
}

fn object(listed: &Listed) -> ListedObject {
    let kind = match (listed.kind, listed.origin) {
        (ListedKind::Object, Origin::Written) => Kind::Written,
        (ListedKind::Object, Origin::Cached) => Kind::Cached,
        (ListedKind::Tombstone, _) => Kind::Tombstone,
        (ListedKind::DeleteMarker, _) => Kind::DeleteMarker,
    };
    ListedObject {
        key: listed.key.as_str().to_owned(),
        kind,
        modified: listed.modified.iso().to_string(),
        size: listed.size_bytes,
        etag: listed.etag.as_ref().map(ETag::as_str).map(str::to_owned),
    }
}
