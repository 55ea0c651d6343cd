//! storage.objects.patch and update: other metadata for an object that is there.
//!
//! GCS: "Objects: patch", "Objects: update". What only production has is fetched into the store
//! first: metadata is of objects that are here.

use crate::gcs::call::{ATTEMPTS, Call, as_kept_conditions};
use crate::gcs::error::Error;
use crate::gcs::metadata::Sent;
use crate::gcs::route::Place;
use crate::model::{ConditionFailed, Metadata, Permission, WriteConditions};
use crate::protocol::request::Response;
use crate::store::{self, Object, UpdateObject};

/// What is not said stays.
pub(super) async fn patch(call: Call<'_>, place: Place) -> Result<Response, Error> {
    change(call, place, |sent, object| {
        let mut metadata = object.metadata.clone();
        sent.patch(&mut metadata)?;
        Ok(metadata)
    })
    .await
}

/// What is not said goes, but for the custom time, which can never go.
pub(super) async fn update(call: Call<'_>, place: Place) -> Result<Response, Error> {
    change(call, place, |sent, object| {
        let mut metadata = Metadata::default();
        metadata.set_custom_time(object.metadata.custom_time());
        sent.patch(&mut metadata)?;
        Ok(metadata)
    })
    .await
}

/// Reads, changes, and writes only if nobody else did meanwhile.
async fn change(
    mut call: Call<'_>,
    place: Place,
    apply: impl Fn(&Sent, &Object) -> Result<Metadata, Error>,
) -> Result<Response, Error> {
    call.authorize(Permission::Write, &place.bucket, place.key.as_str())?;
    let sent = call.sent().await?;
    let conditions = call.conditions()?;
    let generation = call.number("generation")?;
    for _ in 0..ATTEMPTS {
        let (object, content) = call.open(&place, generation).await?;
        let wanted = as_kept_conditions(&object, conditions.clone());
        wanted.check(Some(&object.state())).map_err(Error::condition)?;
        let update = UpdateObject {
            bucket: place.bucket.clone(),
            key: place.key.clone(),
            metadata: apply(&sent, &object)?,
            conditions: WriteConditions {
                if_generation_match: Some(object.generation),
                if_metageneration_match: Some(object.metageneration),
                ..WriteConditions::default()
            },
        };
        match call.store().update_object(update).await {
            Ok(object) => {
                let object = call.with_digests(object, &content).await?;
                return Ok(call.object(&object));
            }
            // Changed, or evicted, meanwhile.
            Err(
                store::Error::Condition(ConditionFailed::Precondition(_)) | store::Error::NoSuchObject { .. },
            ) => {}
            Err(failed) => return Err(failed.into()),
        }
    }
    Err(store::Error::SourceChanged.into())
}
