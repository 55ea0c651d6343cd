//! storage.objects.rewrite and copy: a new row for the same bytes, in one call.
//!
//! GCS: "Objects: rewrite", "Objects: copy". No bytes are moved, so a rewrite is always done at
//! once; beetmover's client calls it once and follows no `rewriteToken`. A source that only
//! production has is fetched into the store first, once, and the call takes as long as that.

use serde_json::{Value, json};

use crate::gcs::call::{ATTEMPTS, Call, check_source};
use crate::gcs::error::Error;
use crate::gcs::metadata::Sent;
use crate::gcs::resource;
use crate::gcs::route::Place;
use crate::model::{Metadata, Permission, ReadConditions};
use crate::protocol::request::Response;
use crate::store::{self, CopyObject, Object, Source};

/// storage.objects.rewrite: 200 with what was done, which is all of it.
pub(super) async fn rewrite(mut call: Call<'_>, from: Place, to: Place) -> Result<Response, Error> {
    let object = write(&mut call, from, to).await?;
    let size = object.size_bytes.to_string();
    Ok(call.answer(json!({
        "kind": "storage#rewriteResponse",
        "totalBytesRewritten": size,
        "objectSize": size,
        "done": true,
        "resource": resource::object(&object, &call.base()),
    })))
}

/// storage.objects.copy: 200 with the copy.
pub(super) async fn copy(mut call: Call<'_>, from: Place, to: Place) -> Result<Response, Error> {
    let object = write(&mut call, from, to).await?;
    Ok(call.object(&object))
}

async fn write(call: &mut Call<'_>, from: Place, to: Place) -> Result<Object, Error> {
    call.authorize(Permission::Read, &from.bucket, from.key.as_str())?;
    call.authorize(Permission::Write, &to.bucket, to.key.as_str())?;
    let sent = call.sent().await?;
    let sent_metadata = if says_metadata(&sent) { Some(sent.metadata()?) } else { None };
    let conditions = call.conditions()?;
    let source_conditions = call.source_conditions()?;
    let generation = call.number("sourceGeneration")?;
    for _ in 0..ATTEMPTS {
        let (source, content) = call.open(&from, generation).await?;
        check_source(&source, &source_conditions)?;
        let source = call.with_digests(source, &content).await?;
        let copy = CopyObject {
            source: Source {
                bucket: from.bucket.clone(),
                key: from.key.clone(),
                version: None,
                conditions: ReadConditions::default(),
                generation: Some(source.generation),
            },
            bucket: to.bucket.clone(),
            key: to.key.clone(),
            metadata: metadata(&sent, sent_metadata.as_ref(), &source),
            tags: None,
            checksum: None,
            owner: call.identity.owner(),
            conditions: call.check_write(&to.bucket, &to.key, conditions.clone()).await?,
        };
        match call.store().copy_object(copy).await {
            Ok(object) => return Ok(object),
            // Written, or evicted, meanwhile.
            Err(store::Error::SourceChanged | store::Error::NoSuchObject { .. }) => {}
            Err(failed) => return Err(failed.into()),
        }
    }
    Err(store::Error::SourceChanged.into())
}

/// What the copy gets.
///
/// GCS: without a body, all that the source has. Metadata that is sent takes the place of all of
/// it. A document that only names the copy keeps the source's, but for the custom time: a rewrite
/// with a document is how a client gets rid of that.
fn metadata(sent: &Sent, sent_metadata: Option<&Metadata>, source: &Object) -> Option<Metadata> {
    if sent_metadata.is_some() || sent.is_empty() {
        return sent_metadata.cloned();
    }
    let mut kept = source.metadata.clone();
    kept.set_custom_time(None);
    Some(kept)
}

/// Clients send the name of what they write in any case; that alone is no metadata.
fn says_metadata(sent: &Sent) -> bool {
    const METADATA: [&str; 7] = [
        "cacheControl",
        "contentDisposition",
        "contentEncoding",
        "contentLanguage",
        "contentType",
        "customTime",
        "metadata",
    ];
    METADATA.iter().any(|name| sent.member(name).is_some_and(|value| *value != Value::Null))
}
