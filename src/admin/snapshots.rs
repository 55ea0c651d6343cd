//! `/-/api/v1/snapshots`: states that the stage can go back to.

use http::StatusCode;

use super::api::{
    Change, DeletedSnapshot, Difference, Differences, NewSnapshot, ObjectVersion, Position, Snapshot,
    Snapshots,
};
use super::refusal::Refusal;
use super::response;
use crate::model::{BucketName, ObjectKey, PRESENT, SnapshotName};
use crate::protocol::query::Query;
use crate::protocol::request::Response;
use crate::store::{self, Is, Store};

/// Differences of a page at most, and unless another number is asked for.
const LIMIT_MAX: usize = 1000;

/// All of them.
pub(super) async fn list(store: &Store) -> Result<Response, Refusal> {
    let snapshots = store.list_snapshots().await?.into_iter().map(described).collect();
    Ok(response::json(StatusCode::OK, &Snapshots { snapshots }))
}

/// Keeps the present.
pub(super) async fn create(store: &Store, new: NewSnapshot) -> Result<Response, Refusal> {
    let snapshot = store.create_snapshot(new.name).await?;
    Ok(response::json(StatusCode::CREATED, &described(snapshot)))
}

/// Goes back.
pub(super) async fn restore(store: &Store, name: SnapshotName) -> Result<Response, Refusal> {
    let snapshot = store.restore_snapshot(name).await?;
    Ok(response::json(StatusCode::OK, &described(snapshot)))
}

/// Forgets one.
pub(super) async fn delete(store: &Store, name: SnapshotName) -> Result<Response, Refusal> {
    store.delete_snapshot(name.clone()).await?;
    Ok(response::json(StatusCode::OK, &DeletedSnapshot { deleted: name }))
}

/// Compares one with another (`?to=`) or with the present.
pub(super) async fn diff(store: &Store, from: SnapshotName, query: &Query) -> Result<Response, Refusal> {
    let malformed = |error: &dyn std::error::Error| Refusal::Malformed(error.to_string());
    let to = match query.get("to") {
        None | Some(PRESENT) => None,
        Some(name) => Some(SnapshotName::parse(name).map_err(|error| malformed(&error))?),
    };
    let limit = query.get("limit").map_or(Ok(LIMIT_MAX), |text| {
        let limit = text.parse().ok().filter(|limit| *limit > 0);
        limit.ok_or_else(|| Refusal::Malformed(format!("limit is a number from 1 to {LIMIT_MAX}")))
    })?;
    let after = match (query.get("after_bucket"), query.get("after_key")) {
        (None, None) => None,
        (Some(bucket), Some(key)) => {
            let bucket = BucketName::parse(bucket).map_err(|error| malformed(&error))?;
            Some((bucket, ObjectKey::parse(key).map_err(|error| malformed(&error))?))
        }
        _ => return Err(Refusal::Malformed("after_bucket and after_key go together".to_owned())),
    };
    let page = store.diff_snapshots(from, to, after, limit.min(LIMIT_MAX)).await?;
    let next = page.next.map(|(bucket, key)| Position { bucket, key: key.as_str().to_owned() });
    let differences = page.differences.into_iter().map(difference).collect();
    Ok(response::json(StatusCode::OK, &Differences { differences, next }))
}

fn described(snapshot: store::Snapshot) -> Snapshot {
    Snapshot {
        name: snapshot.name,
        created: snapshot.created.iso().to_string(),
        objects: snapshot.objects,
        bytes: snapshot.bytes,
        index_bytes: snapshot.index_bytes,
    }
}

fn difference(found: store::Difference) -> Difference {
    let change = match (&found.from, &found.to) {
        (Is::Absent | Is::Hidden, Is::Object { .. }) => Change::Added,
        (Is::Object { .. }, Is::Absent | Is::Hidden) => Change::Removed,
        (Is::Object { .. }, Is::Object { .. }) => Change::Changed,
        (Is::Absent | Is::Hidden, Is::Hidden) => Change::Hidden,
        (Is::Absent | Is::Hidden, Is::Absent) => Change::Shown,
    };
    Difference {
        change,
        bucket: found.bucket,
        key: found.key.as_str().to_owned(),
        from: version(found.from),
        to: version(found.to),
    }
}

fn version(is: Is) -> Option<ObjectVersion> {
    match is {
        Is::Absent | Is::Hidden => None,
        Is::Object { size_bytes, etag } => {
            Some(ObjectVersion { size: size_bytes, etag: etag.as_str().to_owned() })
        }
    }
}
