//! `POST …/undelete`: what was deleted here comes back from production.

use http::StatusCode;

use super::api::{Undelete, Undeleted};
use super::refusal::Refusal;
use super::{response, stored};
use crate::model::{BucketName, ObjectKey};
use crate::protocol::request::Response;
use crate::store::Store;

/// Keys that one request may name, as many as DeleteObjects.
const KEYS_MAX: usize = 1000;

/// Removes tombstones, of keys or below a prefix.
pub(super) async fn undelete(
    store: &Store,
    bucket: &BucketName,
    asked: Undelete,
) -> Result<Response, Refusal> {
    let undeleted = match asked {
        Undelete { keys: Some(keys), prefix: None } => of_keys(store, bucket, &keys).await?,
        Undelete { keys: None, prefix: Some(prefix) } => below(store, bucket, &prefix).await?,
        Undelete { .. } => {
            let told =
                "send {\"keys\": [\"…\"]} or {\"prefix\": \"…\"}, where the empty prefix is the whole bucket";
            return Err(Refusal::Malformed(told.to_owned()));
        }
    };
    Ok(response::json(StatusCode::OK, &undeleted))
}

async fn of_keys(store: &Store, bucket: &BucketName, keys: &[String]) -> Result<Undeleted, Refusal> {
    if keys.len() > KEYS_MAX {
        return Err(Refusal::Malformed(format!("one request may name {KEYS_MAX} keys")));
    }
    let parsed = keys
        .iter()
        .map(|key| ObjectKey::parse(key).map_err(|error| Refusal::Malformed(error.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    let had_one = store.undelete(bucket, parsed).await?;
    let without_tombstone: Vec<String> =
        keys.iter().zip(&had_one).filter(|(_, had)| !**had).map(|(key, _)| key.clone()).collect();
    let undeleted = (had_one.len() - without_tombstone.len()) as u64;
    Ok(Undeleted { undeleted, without_tombstone })
}

async fn below(store: &Store, bucket: &BucketName, prefix: &str) -> Result<Undeleted, Refusal> {
    let mut undeleted = 0;
    let mut after = None;
    loop {
        let (found, next) = stored::next_tombstones(store, bucket, prefix, after).await?;
        let keys: Vec<ObjectKey> = found.into_iter().map(|listed| listed.key).collect();
        if !keys.is_empty() {
            let had_one = store.undelete(bucket, keys).await?;
            undeleted += had_one.iter().filter(|had| **had).count() as u64;
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(Undeleted { undeleted, without_tombstone: Vec::new() }),
        }
    }
}
