//! CopyObject.
//!
//! AWS: `CopyObject`. No bytes move: the copy shares its source's immutable content. A source that
//! only production has is fetched into the store first, once.

use http::HeaderMap;

use crate::model::{BucketName, ChecksumAlgorithm, ObjectKey, SystemHeader};
use crate::protocol::conditions;
use crate::protocol::digest::digest;
use crate::protocol::request::Response;
use crate::s3::call::{ATTEMPTS, Call, in_the_way};
use crate::s3::copy_source::CopySource;
use crate::s3::error::{Code, Error};
use crate::s3::{request, response};
use crate::store::{Content, CopyObject, Object, Source};

/// What `x-amz-metadata-directive` or `x-amz-tagging-directive` asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Copy,
    Replace,
}

/// CopyObject: 200 with the copy's ETag and time.
pub(super) async fn copy_object(
    call: Call<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<Response, Error> {
    let source = call.copy_source()?;
    let metadata = directive(&call, "x-amz-metadata-directive")?;
    let tagging = directive(&call, "x-amz-tagging-directive")?;
    let algorithm = request::checksum_algorithm(&call.headers)?;
    let replaces = metadata == Directive::Replace || tagging == Directive::Replace;
    refuse_copy_to_itself(&source, &bucket, &key, replaces || names_a_change(&call.headers))?;
    let redirect = request::text(&call.headers, SystemHeader::WebsiteRedirectLocation.name());
    let conditions = conditions::of_write(&call.headers)?;
    let copy = CopyObject {
        source: Source {
            bucket: source.bucket,
            key: source.key,
            version: source.version,
            conditions: conditions::of_copy_source(&call.headers),
            generation: None,
        },
        bucket,
        key,
        metadata: (metadata == Directive::Replace).then(|| request::metadata(&call.headers)).transpose()?,
        tags: (tagging == Directive::Replace).then(|| request::tags(&call.headers)).transpose()?,
        checksum: None,
        owner: call.identity.owner(),
        conditions,
    };
    let object = copied(&call, copy, Anew { algorithm, redirect }).await?;
    Ok(response::xml("CopyObjectResult", |xml| {
        xml.value("LastModified", object.modified.iso());
        xml.value("ETag", &object.etag);
        if let Some(checksum) = &object.checksum {
            response::checksum(xml, checksum);
            xml.value("ChecksumType", checksum.kind().name());
        }
    }))
}

/// What a copy has of its own, whatever its directives say.
#[derive(Clone, Copy)]
struct Anew<'a> {
    /// `x-amz-checksum-algorithm`.
    algorithm: Option<ChecksumAlgorithm>,
    /// `x-amz-website-redirect-location`.
    redirect: Option<&'a str>,
}

/// Copies, from production too: what is only there is fetched first, and once more where it was
/// evicted or written before it was copied.
async fn copied(call: &Call<'_>, wanted: CopyObject, anew: Anew<'_>) -> Result<Object, Error> {
    for _ in 0..ATTEMPTS {
        let mut copy = wanted.clone();
        let (source, content) = call.open_source(&copy.source).await?;
        redirect(&mut copy, &source, anew.redirect)?;
        if let Some(algorithm) = anew.algorithm {
            recompute(&mut copy, &source, &content, algorithm).await?;
        }
        copy.conditions = call.check_write(&copy.bucket, &copy.key, copy.conditions).await?;
        match call.store().copy_object(copy).await {
            Ok(object) => return Ok(object),
            Err(failed) if in_the_way(&failed) => {}
            Err(failed) => return Err(failed.into()),
        }
    }
    Err(Error::new(Code::OperationAborted))
}

fn directive(call: &Call<'_>, header: &'static str) -> Result<Directive, Error> {
    match request::text(&call.headers, header) {
        None | Some("COPY") => Ok(Directive::Copy),
        Some("REPLACE") => Ok(Directive::Replace),
        Some(other) => Err(Error::invalid_argument(
            header,
            other,
            format!("Unknown directive for {header}: write COPY or REPLACE."),
        )),
    }
}

/// Headers that count as a change of the object, whatever they say: `aws s3 cp` and `rclone settier`
/// send the storage class that it has already.
///
/// AWS: `CopyObject`, the message of the refusal; `x-amz-checksum-algorithm`.
const CHANGES: [&str; 5] = [
    "x-amz-checksum-algorithm",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
];

fn names_a_change(headers: &HeaderMap) -> bool {
    CHANGES.into_iter().any(|name| headers.contains_key(name))
}

/// S3: a copy onto itself must change something, or at least say so.
fn refuse_copy_to_itself(
    source: &CopySource,
    bucket: &BucketName,
    key: &ObjectKey,
    is_change: bool,
) -> Result<(), Error> {
    if !is_change && source.version.is_none() && source.bucket == *bucket && source.key == *key {
        return Err(Error::with_message(
            Code::InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
             metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    Ok(())
}

/// AWS: `CopyObject`, `x-amz-website-redirect-location`: it is of each object alone, and is not copied
/// with the other metadata. The copy is bound to the generation whose metadata it was given.
fn redirect(copy: &mut CopyObject, source: &Object, location: Option<&str>) -> Result<(), Error> {
    const LOCATION: SystemHeader = SystemHeader::WebsiteRedirectLocation;
    let location = location.filter(|location| !location.is_empty());
    if copy.metadata.is_some() || source.metadata.system(LOCATION) == location {
        return Ok(());
    }
    let mut metadata = source.metadata.clone();
    match location {
        Some(location) => {
            metadata.set_system(LOCATION, location).map_err(|reason| request::refused(&reason))?;
        }
        None => metadata.remove_system(LOCATION),
    }
    copy.metadata = Some(metadata);
    copy.source.generation = Some(source.generation);
    Ok(())
}

/// `x-amz-checksum-algorithm` asks for another checksum than the source has: then, and only then,
/// the source is read. The copy is bound to the generation that was read.
async fn recompute(
    copy: &mut CopyObject,
    source: &Object,
    content: &Content,
    algorithm: ChecksumAlgorithm,
) -> Result<(), Error> {
    copy.source.generation = Some(source.generation);
    let present = source.checksum.as_ref().filter(|checksum| checksum.algorithm() == algorithm);
    let whole = crate::model::ByteRange::whole(source.size_bytes);
    copy.checksum = match present {
        Some(checksum) => Some(checksum.clone()),
        None => digest(content, whole, &[algorithm]).await?.checksum(algorithm).cloned(),
    };
    Ok(())
}
