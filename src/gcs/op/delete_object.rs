//! storage.objects.delete.
//!
//! GCS: "Objects: delete": what is not there is 404. A key that a fallback rule covers leaves a
//! tombstone, so that production's file does not shine through.

use crate::gcs::call::{self, Call, Found};
use crate::gcs::error::Error;
use crate::gcs::route::Place;
use crate::model::{ConditionFailed, Permission, WriteConditions};
use crate::protocol::request::Response;
use crate::store::{self, DeleteObject};

/// Deletes an object: 204. It may be one that only production has; then the tombstone is all that
/// is written.
pub(super) async fn delete(call: &Call<'_>, place: Place) -> Result<Response, Error> {
    call.authorize(Permission::Write, &place.bucket, place.key.as_str())?;
    let conditions = call.conditions()?;
    let generation = call.number("generation")?;
    let none = || Error::no_such_object(&place.bucket, &place.key);
    let (conditions, remote) = match call.look(&place, generation)? {
        Found::Here(object, _) => {
            let conditions = call::as_kept_conditions(&object, conditions);
            conditions.check(Some(&object.state())).map_err(Error::condition)?;
            // A named generation is deleted, or nothing is; without one, what is there by then.
            let named = generation.map(|_| object.generation);
            let if_generation_match = named.or(conditions.if_generation_match);
            (WriteConditions { if_generation_match, ..conditions }, false)
        }
        Found::Deleted => return Err(none()),
        Found::Absent => {
            let sees = call.view().delete_sees(&place.bucket, &place.key, &call.context.hops).await?;
            if !sees.exists {
                return Err(none());
            }
            if generation.is_some() {
                call.remote(&place, generation).await?;
            }
            (call.check_write(&place.bucket, &place.key, conditions).await?, true)
        }
    };
    let Place { bucket, key } = &place;
    let tombstone = call.fallback().covers(bucket, key);
    let delete = DeleteObject { key: key.clone(), version: None, conditions, tombstone };
    for outcome in call.store().delete_objects(bucket, vec![delete]).await? {
        match outcome {
            Ok(deleted) if deleted.existed || remote => {}
            Ok(_) => return Err(none()),
            Err(store::Error::Condition(ConditionFailed::Precondition("ifGenerationMatch")))
                if generation.is_some() =>
            {
                return Err(none());
            }
            Err(failed) => return Err(failed.into()),
        }
    }
    Ok(Call::done())
}
