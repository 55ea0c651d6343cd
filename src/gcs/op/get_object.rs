//! storage.objects.get: the resource, or the bytes with `alt=media` and below `/download/`.
//!
//! GCS: "Objects: get", "Download an object".

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::fallback::{ClientKind, ReadMethod};
use crate::gcs::call::{Call, Found, as_kept};
use crate::gcs::error::Error;
use crate::gcs::resource;
use crate::gcs::response;
use crate::gcs::route::Place;
use crate::model::{ByteRange, ConditionFailed, Permission, SystemHeader};
use crate::protocol::body::ResponseBody;
use crate::protocol::miss::{self, Asked, Missed, Tags};
use crate::protocol::outcome::Answered;
use crate::protocol::read::{self, ReadPlan};
use crate::protocol::request::Response;
use crate::protocol::{conditions, headers};
use crate::store::{Content, Object};

/// The resource. Production's files have one too, as far as they can be seen: clients ask for it
/// to learn whether they must upload, and a copy of what production has would be refused or done
/// again. What belongs to the release under test is never looked for there, so that it is uploaded.
pub(super) async fn get(mut call: Call<'_>, place: &Place) -> Result<Response, Error> {
    call.authorize(Permission::Read, &place.bucket, place.key.as_str())?;
    let generation = call.number("generation")?;
    let (object, content) = match call.look(place, generation)? {
        Found::Here(object, content) => (*object, content),
        Found::Deleted => return Err(deleted(&mut call, place)),
        Found::Absent => return remote(&mut call, place, generation).await,
    };
    call.outcome.note_origin(object.origin);
    check(&call, &object)?;
    // Clients leave out an upload because of what they are told here.
    content.check(ByteRange::whole(object.size_bytes))?;
    let shows_digests =
        call.mask.as_ref().is_none_or(|mask| mask.wants(&["md5Hash"]) || mask.wants(&["crc32c"]));
    let object = if shows_digests { call.with_digests(object, &content).await? } else { object };
    Ok(call.object(&object))
}

fn check(call: &Call<'_>, object: &Object) -> Result<(), Error> {
    call.check_read(object)?;
    conditions::of_read(&call.headers).check(&resource::state(object)).map_err(Error::condition)
}

/// The resource of an object that only production has, with what production says of it.
async fn remote(call: &mut Call<'_>, place: &Place, generation: Option<u64>) -> Result<Response, Error> {
    miss::note_source(call.service.0.inner.view.fallback(), &place.bucket, &place.key, call.outcome);
    let (object, size_bytes) = call.remote(place, generation).await?;
    call.outcome.answered = Answered::Proxy;
    check(call, &object)?;
    let mut document = resource::object(&object, &call.base());
    if let (None, Some(members)) = (size_bytes, document.as_object_mut()) {
        members.remove("size");
    }
    Ok(call.answer(document))
}

fn deleted(call: &mut Call<'_>, place: &Place) -> Error {
    call.outcome.answered = Answered::Tombstone;
    Error::no_such_object(&place.bucket, &place.key)
}

/// The bytes. A key that is not here may be elsewhere, as the rules say.
pub(super) async fn download(mut call: Call<'_>, place: &Place) -> Result<Response, Error> {
    call.authorize(Permission::Read, &place.bucket, place.key.as_str())?;
    let generation = call.number("generation")?;
    let (object, content) = match call.look(place, generation)? {
        Found::Here(object, content) => (*object, content),
        Found::Deleted => return Err(deleted(&mut call, place)),
        Found::Absent => return absent(&mut call, place, generation).await,
    };
    call.outcome.note_origin(object.origin);
    call.check_read(&object)?;
    let object = call.with_digests(object, &content).await?;
    here(&call, &object, &content)
}

/// What the rules and production say of a key that is not here.
async fn absent(call: &mut Call<'_>, place: &Place, generation: Option<u64>) -> Result<Response, Error> {
    let asked = Asked {
        bucket: &place.bucket,
        key: &place.key,
        method: ReadMethod::Get,
        client: ClientKind::Sdk,
        headers: &call.headers,
        context: call.context,
        tags: Tags::Own(resource::state),
        // These are the bytes; who wants to know whether there are any asks for the resource.
        may_write: false,
    };
    let none = || Error::no_such_object(&place.bucket, &place.key);
    let found = match miss::read(&call.service.0.inner.view, asked, call.outcome).await? {
        Missed::Absent => return Err(none()),
        Missed::Redirect(response) => return Ok(response),
        Missed::PreconditionFailed(name) => {
            return Err(Error::condition(ConditionFailed::Precondition(name)));
        }
        Missed::Unsatisfiable(size_bytes) => return Err(Error::range(size_bytes)),
        Missed::Found(found) => *found,
    };
    if generation.is_some_and(|generation| as_kept(&found.object, generation) != found.object.generation) {
        return Err(none());
    }
    call.check_read(&found.object)?;
    let size_bytes = found.size_bytes;
    let (mut answer, object) = found.into_response(resource::state);
    write_goog(answer.headers_mut(), &object, size_bytes);
    Ok(answer)
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
        ReadPlan::Unsatisfiable(unsatisfiable) => return Err(Error::range(Some(unsatisfiable.size_bytes))),
        ReadPlan::NotModified => response::empty(StatusCode::NOT_MODIFIED),
        ReadPlan::Whole | ReadPlan::Partial(_) => {
            let bytes = plan.bytes(object.size_bytes).ok_or_else(|| Error::range(Some(object.size_bytes)))?;
            let mut answer = Response::new(ResponseBody::content(content, bytes, ReadMethod::Get)?);
            *answer.status_mut() = plan.status();
            answer
        }
    };
    let written = answer.headers_mut();
    headers::write_object(written, &state, &object.metadata);
    headers::write_plan(written, &plan, object.size_bytes);
    write_goog(written, object, Some(object.size_bytes));
    Ok(answer)
}

/// GCS: "Extension (custom) headers": what a client checks a download with.
fn write_goog(written: &mut HeaderMap, object: &Object, size_bytes: Option<u64>) {
    response::insert(written, "x-goog-generation", object.generation);
    response::insert(written, "x-goog-metageneration", object.metageneration);
    response::insert(written, "x-goog-storage-class", "STANDARD");
    if let Some(size) = size_bytes {
        response::insert(written, "x-goog-stored-content-length", size);
    }
    let encoding = object.metadata.system(SystemHeader::ContentEncoding).unwrap_or("identity");
    response::insert(written, "x-goog-stored-content-encoding", encoding);
    if let Some(hashes) = headers::goog_hash(object.crc32c, object.md5) {
        response::insert(written, "x-goog-hash", hashes);
    }
    for (name, text) in object.metadata.user() {
        let name = HeaderName::from_bytes(format!("x-goog-meta-{name}").as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(text.as_bytes())) {
            written.insert(name, value);
        }
    }
}
