//! storage.objects.compose: an upload whose parts are copies of other objects. No bytes are moved;
//! they are read once for the MD5, which Google does not give composed objects, but which every
//! object here has.
//!
//! GCS: "Objects: compose", "Composite objects".

use serde_json::Value;

use crate::gcs::call::{Call, as_kept_conditions};
use crate::gcs::error::{Error, Reason};
use crate::gcs::metadata::{Sent, object_name};
use crate::gcs::route::Place;
use crate::model::{Metadata, PartNumber, Permission, ReadConditions, Tags, WriteConditions};
use crate::protocol::request::Response;
use crate::store::{
    CompleteUpload, CompletedPart, Content, CopyPart, NewUpload, Object, PartDigests, Source, Store,
    UploadRef,
};

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
    let mut contents = Vec::with_capacity(request.components.len());
    for component in request.components {
        let (object, content) = find(&call, component).await?;
        sources.push(object);
        contents.push(content);
    }
    check_size(&sources)?;
    call.foresee_write(&place.bucket, &place.key, &conditions).await?;
    let md5 = call.digest_all(&contents).await?.md5;
    let conditions = call.check_write(&place.bucket, &place.key, conditions).await?;
    let new = NewUpload {
        bucket: place.bucket,
        key: place.key,
        metadata: request.metadata,
        tags: Tags::default(),
        owner: call.identity.owner(),
        checksum: None,
        session: Some(String::new()),
    };
    // Nobody else knows the upload: once it is begun it must end, also where the client goes away.
    let work = write(call.store().clone(), new, sources, md5, conditions);
    let written = tokio::spawn(work).await;
    let object = written.map_err(|ended| Error::new(Reason::InternalError).caused_by(ended))??;
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
fn check_size(sources: &[Object]) -> Result<(), Error> {
    const SIZE_BYTES_MAX: u64 = 5 << 40;
    match sources.iter().fold(0_u64, |size, object| size.saturating_add(object.size_bytes)) {
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

/// Writes the composed object through an upload that is over afterwards, whatever happens.
async fn write(
    store: Store,
    new: NewUpload,
    sources: Vec<Object>,
    md5: [u8; 16],
    conditions: WriteConditions,
) -> Result<Object, Error> {
    let upload = store.create_upload(new).await?;
    let upload = UploadRef { bucket: upload.bucket, key: upload.key, id: upload.id };
    let joined = join(&store, &upload, &sources, md5, conditions).await;
    if joined.is_err() {
        // What is left of it must not stay; the first failure is the one that is told.
        drop(store.abort_upload(&upload).await);
    }
    joined
}

async fn join(
    store: &Store,
    upload: &UploadRef,
    sources: &[Object],
    md5: [u8; 16],
    conditions: WriteConditions,
) -> Result<Object, Error> {
    let mut parts = Vec::with_capacity(sources.len());
    for (number, object) in (1..).zip(sources) {
        let number = PartNumber::new(number).map_err(|_| Error::new(Reason::Invalid))?;
        let copied = store
            .copy_part(CopyPart {
                upload: upload.clone(),
                number,
                source: Source {
                    bucket: object.bucket.clone(),
                    key: object.key.clone(),
                    version: None,
                    conditions: ReadConditions::default(),
                    generation: Some(object.generation),
                },
                range: None,
                digests: digests(object),
            })
            .await?;
        parts.push(CompletedPart { number, etag: copied.etag, checksum: None });
    }
    let complete = CompleteUpload {
        upload: upload.clone(),
        parts,
        checksum: None,
        size_bytes: None,
        md5: Some(md5),
        conditions,
    };
    Ok(store.complete_upload(complete).await?)
}

fn digests(object: &Object) -> PartDigests {
    let crc64nvme = object
        .checksum
        .as_ref()
        .filter(|checksum| checksum.algorithm() == crate::model::ChecksumAlgorithm::Crc64Nvme)
        .and_then(|checksum| checksum.value().try_into().ok())
        .map(u64::from_be_bytes);
    PartDigests { md5: object.md5.unwrap_or_default(), checksum: None, crc32c: object.crc32c, crc64nvme }
}
