//! storage.objects.compose. No bytes are moved, unless the object would be made of too many pieces; they
//! are read once for the MD5, which Google does not give composed objects, but which every object here has.
//!
//! GCS: "Objects: compose", "Composite objects".

use serde_json::Value;

use crate::gcs::call::{Call, as_kept_conditions};
use crate::gcs::error::{Error, Reason};
use crate::gcs::metadata::{Sent, object_name};
use crate::gcs::route::Place;
use crate::model::{Metadata, Permission, Tags, WriteConditions};
use crate::protocol::request::Response;
use crate::store::{ComposeObject, Content, Object};

/// GCS: "Composite objects": at most 32 in one request.
const SOURCES_MAX: usize = 32;

/// One object of the composition.
struct Component {
    place: Place,
    generation: Option<u64>,
    if_generation_match: Option<u64>,
}

/// What is to be composed.
struct Request {
    metadata: Metadata,
    components: Vec<Component>,
}

/// 200 with the composed object.
pub(super) async fn compose(mut call: Call<'_>, place: Place) -> Result<Response, Error> {
    call.authorize(Permission::Write, &place.bucket, place.key.as_str())?;
    let conditions = call.conditions()?;
    let request = read(&call.sent().await?, &place)?;
    let mut sources = Vec::with_capacity(request.components.len());
    for component in request.components {
        sources.push(find(&call, component).await?);
    }
    check_size(&sources)?;
    call.foresee_write(&place.bucket, &place.key, &conditions).await?;
    let contents: Vec<_> = sources.iter().map(|(_, content)| content.clone()).collect();
    let md5 = call.digest_all(&contents).await?.md5;
    let composition = ComposeObject {
        conditions: call.check_write(&place.bucket, &place.key, conditions).await?,
        bucket: place.bucket,
        key: place.key,
        metadata: request.metadata,
        tags: Tags::default(),
        owner: call.identity.owner(),
        sources,
        md5,
    };
    let object = call.store().compose_object(composition).await?;
    Ok(call.object(&object))
}

fn read(sent: &Sent, place: &Place) -> Result<Request, Error> {
    let metadata = match sent.member("destination") {
        None | Some(Value::Null) => Metadata::default(),
        Some(Value::Object(members)) => Sent::new(members.clone())?.metadata()?,
        Some(other) => return Err(Error::field("destination", other)),
    };
    match sent.member("deleteSourceObjects") {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(_) => return Err(Error::not_implemented("deleteSourceObjects of a composition")),
    }
    let Some(Value::Array(sources)) = sent.member("sourceObjects") else {
        return Err(Error::required("sourceObjects"));
    };
    if sources.is_empty() {
        return Err(Error::with_message(Reason::Invalid, "You must provide at least one source component."));
    }
    if sources.len() > SOURCES_MAX {
        let words = format!(
            "The number of source components provided ({}) exceeds the maximum ({SOURCES_MAX})",
            sources.len()
        );
        return Err(Error::with_message(Reason::Invalid, words));
    }
    check_destination(sent, place)?;
    let components = sources.iter().map(|source| component(source, place)).collect::<Result<_, _>>()?;
    Ok(Request { metadata, components })
}

/// The path says what is written; a document that names something else is a mistake.
fn check_destination(sent: &Sent, place: &Place) -> Result<(), Error> {
    let Some(Value::Object(destination)) = sent.member("destination") else { return Ok(()) };
    for (name, written) in [("bucket", place.bucket.as_str()), ("name", place.key.as_str())] {
        match destination.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.is_empty() || text == written => {}
            Some(other) => return Err(Error::field(&format!("destination.{name}"), other)),
        }
    }
    Ok(())
}

/// GCS: "Quotas and limits": an object, composed ones too, has at most 5 TiB.
fn check_size(sources: &[(Object, Content)]) -> Result<(), Error> {
    const SIZE_BYTES_MAX: u64 = 5 << 40;
    match sources.iter().fold(0_u64, |size, (object, _)| size.saturating_add(object.size_bytes)) {
        size if size > SIZE_BYTES_MAX => Err(Error::with_message(
            Reason::Invalid,
            format!("The composed object would have {size} bytes; an object may have {SIZE_BYTES_MAX}."),
        )),
        _ => Ok(()),
    }
}

fn component(source: &Value, place: &Place) -> Result<Component, Error> {
    let name =
        source.get("name").and_then(Value::as_str).ok_or_else(|| Error::required("sourceObjects.name"))?;
    let condition = source.get("objectPreconditions").and_then(|found| found.get("ifGenerationMatch"));
    Ok(Component {
        place: Place { bucket: place.bucket.clone(), key: object_name(name)? },
        generation: number("generation", source.get("generation"))?,
        if_generation_match: number("ifGenerationMatch", condition)?,
    })
}

/// Numbers of 64 bits are text in JSON; some clients send them as numbers all the same.
fn number(name: &str, value: Option<&Value>) -> Result<Option<u64>, Error> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| Error::field(name, text)),
        Some(other) => other.as_u64().map(Some).ok_or_else(|| Error::field(name, other)),
    }
}

async fn find(call: &Call<'_>, component: Component) -> Result<(Object, Content), Error> {
    let Component { place, generation, if_generation_match } = component;
    call.authorize(Permission::Read, &place.bucket, place.key.as_str())?;
    let (object, content) = call.open(&place, generation).await?;
    let conditions = WriteConditions { if_generation_match, ..WriteConditions::default() };
    as_kept_conditions(&object, conditions).check(Some(&object.state())).map_err(Error::condition)?;
    let object = call.with_digests(object, &content).await?;
    Ok((object, content))
}
