//! GetObjectTagging, PutObjectTagging, DeleteObjectTagging.
//!
//! AWS: the actions of these names.

use http::StatusCode;

use crate::model::{BucketName, ObjectKey, Tags};
use crate::protocol::intake::ChecksumsOf;
use crate::protocol::request::Response;
use crate::s3::call::Call;
use crate::s3::error::{Code, Error};
use crate::s3::{request, response};
use crate::store::{Lookup, ObjectRef};
use crate::xml::{Element, MalformedXml};

/// GetObjectTagging: an object without tags has an empty set.
pub(super) fn get_object_tagging(
    call: &Call<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
) -> Result<Response, Error> {
    let version = request::version_id(&call.query)?;
    let Lookup::Here(object, _) = call.store().find_object(bucket, key, version.as_ref())? else {
        return Err(Error::new(Code::NoSuchKey).field("Key", key.as_str()));
    };
    Ok(response::xml("Tagging", |xml| {
        xml.element("TagSet", |xml| {
            for (key, value) in object.tags.iter() {
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
    call.store().set_tags(ObjectRef { bucket, key, version }, tags).await?;
    Ok(response::empty(StatusCode::OK))
}

/// DeleteObjectTagging.
pub(super) async fn delete_object_tagging(
    call: &Call<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<Response, Error> {
    let version = request::version_id(&call.query)?;
    call.store().set_tags(ObjectRef { bucket, key, version }, Tags::default()).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

fn tags(document: &Element) -> Result<Tags, Error> {
    let set = document.get("TagSet")?;
    let pair = |tag: &Element| Ok((tag.get("Key")?.text().to_owned(), tag.get("Value")?.text().to_owned()));
    let pairs = set.children_named("Tag").map(pair).collect::<Result<Vec<_>, MalformedXml>>()?;
    Ok(Tags::new(pairs)?)
}
