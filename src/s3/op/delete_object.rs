//! DeleteObject and DeleteObjects.
//!
//! AWS: `DeleteObject`, `DeleteObjects`. Deleting what is not there succeeds. A key that a
//! fallback rule covers leaves a tombstone, so that production's file does not shine through.

use http::StatusCode;

use crate::model::{BucketName, Comparison, ETagMatch, ObjectKey, Permission, Timestamp, WriteConditions};
use crate::protocol::conditions;
use crate::protocol::request::Response;
use crate::s3::call::Call;
use crate::s3::error::{Code, Error};
use crate::s3::{request, response};
use crate::store::DeleteObject;
use crate::xml::Element;

/// AWS: `DeleteObjects`: "The request can contain a list of up to 1,000 keys".
const KEYS_MAX: usize = 1000;

/// One entry of a `Delete` document.
struct Entry {
    key: String,
    version: Option<String>,
    conditions: WriteConditions,
}

/// DeleteObject: 204 whether or not there was something to delete.
pub(super) async fn delete_object(
    call: &Call<'_>,
    bucket: &BucketName,
    key: ObjectKey,
) -> Result<Response, Error> {
    let conditions = conditions::of_write(&call.headers)?;
    let delete = DeleteObject {
        version: request::version_id(&call.query)?,
        conditions: call.check_write(bucket, &key, conditions).await?,
        tombstone: call.fallback().covers(bucket, &key),
        key,
    };
    let outcomes = call.store().delete_objects(bucket, vec![delete]).await?;
    for outcome in outcomes {
        outcome?;
    }
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// DeleteObjects: each key has an outcome of its own.
pub(super) async fn delete_objects(mut call: Call<'_>, bucket: BucketName) -> Result<Response, Error> {
    let body = call.protected_document().await?;
    let document = Element::parse(&body, "Delete")?;
    let quiet = document.find("Quiet")?.is_some_and(|quiet| quiet.text().eq_ignore_ascii_case("true"));
    let entries = document.children_named("Object").map(entry).collect::<Result<Vec<_>, _>>()?;
    if entries.is_empty() || entries.len() > KEYS_MAX {
        return Err(Error::new(Code::MalformedXML));
    }
    let mut outcomes = Vec::with_capacity(entries.len());
    let mut deletes = Vec::with_capacity(entries.len());
    for entry in &entries {
        match delete(&call, &bucket, entry).await {
            Ok(delete) => {
                outcomes.push(None);
                deletes.push(delete);
            }
            Err(refused) => outcomes.push(Some(refused)),
        }
    }
    let mut done = call.store().delete_objects(&bucket, deletes).await?.into_iter();
    let outcomes = outcomes.into_iter().map(|refused| match refused {
        Some(refused) => Err(refused),
        None => done.next().map_or(Ok(()), |outcome| outcome.map(drop).map_err(Error::from)),
    });
    Ok(render(&entries, outcomes, quiet))
}

fn entry(element: &Element) -> Result<Entry, Error> {
    let text = |name| element.find(name).map(|child| child.map(|child| child.text().to_owned()));
    // A condition that cannot be read is never left out: it protects what would be deleted.
    let malformed = || Error::new(Code::MalformedXML);
    let conditions = WriteConditions {
        if_match: text("ETag")?.map(|tag| ETagMatch::parse(&tag, Comparison::Strong)),
        if_match_size: text("Size")?.map(|size| size.parse().map_err(|_| malformed())).transpose()?,
        if_match_modified: text("LastModifiedTime")?
            .map(|text| Timestamp::parse_any(&text).ok_or_else(malformed))
            .transpose()?,
        ..WriteConditions::default()
    };
    Ok(Entry { key: element.get("Key")?.text().to_owned(), version: text("VersionId")?, conditions })
}

/// What the store is asked to do for one entry. The caller's right to write is checked per key.
async fn delete(call: &Call<'_>, bucket: &BucketName, entry: &Entry) -> Result<DeleteObject, Error> {
    let key = ObjectKey::parse(&entry.key)
        .map_err(|reason| Error::with_message(Code::KeyTooLongError, reason.to_string()))?;
    call.authorize(Permission::Write, bucket, key.as_str())?;
    Ok(DeleteObject {
        tombstone: call.fallback().covers(bucket, &key),
        version: entry.version.as_deref().map(request::parse_version_id).transpose()?,
        conditions: call.check_write(bucket, &key, entry.conditions.clone()).await?,
        key,
    })
}

fn render(entries: &[Entry], outcomes: impl Iterator<Item = Result<(), Error>>, quiet: bool) -> Response {
    response::xml("DeleteResult", |xml| {
        for (entry, outcome) in entries.iter().zip(outcomes) {
            match outcome {
                Ok(()) if quiet => {}
                Ok(()) => xml.element("Deleted", |xml| {
                    xml.value("Key", &entry.key);
                    xml.optional("VersionId", entry.version.as_ref());
                }),
                Err(error) => xml.element("Error", |xml| {
                    xml.value("Key", &entry.key);
                    xml.optional("VersionId", entry.version.as_ref());
                    xml.value("Code", error.code().name());
                    xml.value("Message", error.message());
                }),
            }
        }
    })
}
