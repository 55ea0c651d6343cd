//! storage.objects.move: an object under another name of its bucket, in one transaction.
//!
//! GCS: "Objects: move". No bytes are moved. A source that only production has is fetched into the store
//! first; its name keeps a tombstone afterwards, as after a delete.

use crate::gcs::call::{ATTEMPTS, Call, check_source};
use crate::gcs::error::{Error, Reason};
use crate::gcs::route::Place;
use crate::model::{Permission, ReadConditions};
use crate::protocol::request::Response;
use crate::store::{self, CopyObject, Source};

/// 200 with the object under its new name.
pub(super) async fn rename(call: Call<'_>, from: Place, to: Place) -> Result<Response, Error> {
    call.authorize(Permission::Read, &from.bucket, from.key.as_str())?;
    call.authorize(Permission::Write, &from.bucket, from.key.as_str())?;
    call.authorize(Permission::Write, &to.bucket, to.key.as_str())?;
    let conditions = call.conditions()?;
    let source_conditions = call.source_conditions()?;
    if from.key == to.key {
        return Err(Error::with_message(
            Reason::Invalid,
            "The source and the destination of a move are the same object: name another destination.",
        ));
    }
    let tombstone = call.fallback().covers(&from.bucket, &from.key);
    for _ in 0..ATTEMPTS {
        let (source, content) = call.open(&from, None).await?;
        check_source(&source, &source_conditions)?;
        let source = call.with_digests(source, &content).await?;
        let renamed = CopyObject {
            source: Source {
                bucket: from.bucket.clone(),
                key: from.key.clone(),
                version: None,
                conditions: ReadConditions::default(),
                generation: Some(source.generation),
            },
            bucket: to.bucket.clone(),
            key: to.key.clone(),
            metadata: None,
            tags: None,
            checksum: None,
            owner: source.owner,
            conditions: call.check_write(&to.bucket, &to.key, conditions.clone()).await?,
        };
        match call.store().move_object(renamed, tombstone).await {
            Ok(object) => return Ok(call.object(&object)),
            // Written, or evicted, meanwhile.
            Err(store::Error::SourceChanged | store::Error::NoSuchObject { .. }) => {}
            Err(failed) => return Err(failed.into()),
        }
    }
    Err(store::Error::SourceChanged.into())
}
