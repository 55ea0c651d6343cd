//! storage.objects.delete.
//!
//! GCS: "Objects: delete": what is not there is 404. A key that a fallback rule covers leaves a
//! tombstone, so that production's file does not shine through.

use crate::gcs::call::Call;
use crate::gcs::error::Error;
use crate::gcs::route::Place;
use crate::model::{ConditionFailed, Permission, WriteConditions};
use crate::protocol::request::Response;
use crate::store::{self, DeleteObject};

/// Deletes an object: 204.
pub(super) async fn delete(call: &Call<'_>, place: Place) -> Result<Response, Error> {
    call.authorize(Permission::Write, &place.bucket, place.key.as_str())?;
    let conditions = call.conditions()?;
    let generation = call.number("generation")?;
    let (object, _) = call.find(&place, generation)?;
    conditions.check(Some(&object.state())).map_err(Error::condition)?;
    let Place { bucket, key } = place;
    let delete = DeleteObject {
        key: key.clone(),
        version: None,
        // A named generation is deleted, or nothing is; without one, what is there by then.
        conditions: WriteConditions {
            if_generation_match: generation.or(conditions.if_generation_match),
            ..conditions
        },
        tombstone: call.fallback().covers(&bucket, &key),
    };
    for outcome in call.store().delete_objects(&bucket, vec![delete]).await? {
        match outcome {
            Ok(deleted) if deleted.existed => {}
            Ok(_) => return Err(Error::no_such_object(&bucket, &key)),
            Err(store::Error::Condition(ConditionFailed::Precondition("ifGenerationMatch")))
                if generation.is_some() =>
            {
                return Err(Error::no_such_object(&bucket, &key));
            }
            Err(failed) => return Err(failed.into()),
        }
    }
    Ok(Call::done())
}
