//! storage.objects.get: the resource, or the bytes with `alt=media` and below `/download/`.
//!
//! GCS: "Objects: get", "Download an object".

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::fallback::{ClientKind, ReadMethod};
use crate::gcs::call::Call;
use crate::gcs::error::{Error, Reason};
use crate::gcs::resource;
use crate::gcs::response;
use crate::gcs::route::Place;
use crate::model::{ConditionFailed, Permission, SystemHeader};
use crate::protocol::body::ResponseBody;
use crate::protocol::outcome::Answered;
use crate::protocol::read::{self, ReadPlan};
use crate::protocol::request::Response;
use crate::protocol::{conditions, headers, miss};
use crate::store::{Content, Lookup, Object};

/// The resource.
pub(super) async fn get(call: &Call<'_>, place: &Place) -> Result<Response, Error> {
    call.authorize(Permission::Read, &place.bucket, place.key.as_str())?;
    let (object, content) = call.find(place, call.number("generation")?)?;
    call.check_read(&object)?;
    conditions::of_read(&call.headers).check(&resource::state(&object)).map_err(Error::condition)?;
    let shows_digests =
        call.mask.as_ref().is_none_or(|mask| mask.wants(&["md5Hash"]) || mask.wants(&["crc32c"]));
    let object = if shows_digests { call.with_digests(object, &content).await? } else { object };
    Ok(call.object(&object))
}

/// The bytes. A key that is not here may be elsewhere, as the rules say; its resource never is,
/// since clients ask for it to learn whether they must upload.
pub(super) async fn download(mut call: Call<'_>, place: &Place) -> Result<Response, Error> {
    call.authorize(Permission::Read, &place.bucket, place.key.as_str())?;
    let generation = call.number("generation")?;
    let (object, content) = match call.store().find_object(&place.bucket, &place.key, None)? {
        Lookup::Absent if generation.is_none() => return absent(&mut call, place),
        Lookup::Tombstone => {
            call.outcome.answered = Answered::Tombstone;
            return Err(Error::no_such_object(&place.bucket, &place.key));
        }
        Lookup::Here(..) | Lookup::Absent | Lookup::DeleteMarker { .. } | Lookup::NoBucket => {
            call.find(place, generation)?
        }
    };
    call.check_read(&object)?;
    let object = call.with_digests(object, &content).await?;
    here(&call, &object, &content)
}

/// What the rules say of a key that is not here. Nothing is asked of the network.
fn absent(call: &mut Call<'_>, place: &Place) -> Result<Response, Error> {
    let decision = call.service.0.inner.view.fallback().decide(
        &place.bucket,
        &place.key,
        ReadMethod::Get,
        ClientKind::Sdk,
    );
    let answer = miss::answer(&decision, call.context.now, call.outcome)
        .map_err(|error| Error::new(Reason::InternalError).caused_by(error))?;
    answer.ok_or_else(|| Error::no_such_object(&place.bucket, &place.key))
}

fn here(call: &Call<'_>, object: &Object, content: &Content) -> Result<Response, Error> {
    let state = resource::state(object);
    let plan = read::plan(
        &conditions::of_read(&call.headers),
        conditions::range(&call.headers),
        conditions::if_range(&call.headers).as_ref(),
        &state,
    );
    let mut answer = match &plan {
        ReadPlan::PreconditionFailed(name) => {
            return Err(Error::condition(ConditionFailed::Precondition(name)));
        }
        ReadPlan::Unsatisfiable(unsatisfiable) => return Err(Error::range(unsatisfiable.size_bytes)),
        ReadPlan::NotModified => response::empty(StatusCode::NOT_MODIFIED),
        ReadPlan::Whole | ReadPlan::Partial(_) => {
            let bytes = plan.bytes(object.size_bytes).ok_or_else(|| Error::range(object.size_bytes))?;
            let mut answer = Response::new(ResponseBody::content(content.reader(bytes)));
            *answer.status_mut() = plan.status();
            answer
        }
    };
    let written = answer.headers_mut();
    headers::write_object(written, &state, &object.metadata);
    headers::write_plan(written, &plan, object.size_bytes);
    write_goog(written, object);
    Ok(answer)
}

/// GCS: "Extension (custom) headers": what a client checks a download with.
fn write_goog(written: &mut HeaderMap, object: &Object) {
    response::insert(written, "x-goog-generation", object.generation);
    response::insert(written, "x-goog-metageneration", object.metageneration);
    response::insert(written, "x-goog-storage-class", "STANDARD");
    response::insert(written, "x-goog-stored-content-length", object.size_bytes);
    let encoding = object.metadata.system(SystemHeader::ContentEncoding).unwrap_or("identity");
    response::insert(written, "x-goog-stored-content-encoding", encoding);
    let hashes = [
        object.crc32c.map(|crc32c| format!("crc32c={}", resource::crc32c_text(crc32c))),
        object.md5.map(|md5| format!("md5={}", resource::md5_text(md5))),
    ];
    // One header without spaces: Google's Python client reads no other form.
    let hashes: Vec<String> = hashes.into_iter().flatten().collect();
    response::insert(written, "x-goog-hash", hashes.join(","));
    for (name, text) in object.metadata.user() {
        let name = HeaderName::from_bytes(format!("x-goog-meta-{name}").as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(text.as_bytes())) {
            written.insert(name, value);
        }
    }
}
