//! GetObjectTagging, PutObjectTagging, DeleteObjectTagging.
//!
//! AWS: the actions of these names.

use http::StatusCode;

use crate::model::{BucketName, ObjectKey, Tags, VersionId};
use crate::protocol::intake::ChecksumsOf;
use crate::protocol::request::Response;
use crate::s3::call::{ATTEMPTS, Call};
use crate::s3::error::{Code, Error};
use crate::s3::{request, response};
use crate::store::{self, Lookup, ObjectRef};
use crate::xml::{Element, MalformedXml};

/// GetObjectTagging: an object without tags has an empty set, and so has one that only production has.
pub(super) async fn get_object_tagging(
    call: &Call<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
) -> Result<Response, Error> {
    let version = request::version_id(&call.query)?;
    let tags = match call.view().find(bucket, key, version.as_ref())? {
        Lookup::Here(object, _) => Some(object.tags),
        Lookup::Absent if !VersionId::is_current(version.as_ref()) => {
            return Err(Error::new(Code::NoSuchVersion).field("Key", key.as_str()));
        }
        Lookup::Absent => {
            let remote = call.view().remote(bucket, key, &call.context.hops).await?;
            remote.map(|_| Tags::default())
        }
        Lookup::Tombstone | Lookup::DeleteMarker { .. } | Lookup::NoBucket => None,
    };
    let tags = tags.ok_or_else(|| Error::new(Code::NoSuchKey).field("Key", key.as_str()))?;
    Ok(response::xml("Tagging", |xml| {
        xml.element("TagSet", |xml| {
            for (key, value) in tags.iter() {
                xml.element("Tag", |xml| {
                    xml.value("Key", key);
                    xml.value("Value", value);
                });
            }
        });
    }))
}

/// PutObjectTagging: replaces the whole set.
pub(super) async fn put_object_tagging(
    mut call: Call<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<Response, Error> {
    let version = request::version_id(&call.query)?;
    let body = call.document(ChecksumsOf::Body).await?;
    let tags = tags(&Element::parse(&body, "Tagging")?)?;
    replace(&call, ObjectRef { bucket, key, version }, tags).await?;
    Ok(response::empty(StatusCode::OK))
}

/// DeleteObjectTagging.
pub(super) async fn delete_object_tagging(
    call: &Call<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<Response, Error> {
    let version = request::version_id(&call.query)?;
    replace(call, ObjectRef { bucket, key, version }, Tags::default()).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// Tags are of objects that are here: what only production has is fetched first, and once more
/// where it was evicted before it was tagged.
async fn replace(call: &Call<'_>, object: ObjectRef, tags: Tags) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        call.bring_here(&object).await?;
        match call.store().set_tags(object.clone(), tags.clone()).await {
            Err(store::Error::NoSuchObject { .. }) => {}
            done => return Ok(done?),
        }
    }
    Err(Error::new(Code::NoSuchKey).field("Key", object.key.as_str()))
}

fn tags(document: &Element) -> Result<Tags, Error> {
    let set = document.get("TagSet")?;
    let pair = |tag: &Element| Ok((tag.get("Key")?.text().to_owned(), tag.get("Value")?.text().to_owned()));
    let pairs = set.children_named("Tag").map(pair).collect::<Result<Vec<_>, MalformedXml>>()?;
    Ok(Tags::new(pairs)?)
}
