//! storage.buckets: list, insert, get, patch, delete; what clients ask of a bucket besides.
//!
//! GCS: "Buckets".

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::gcs::call::Call;
use crate::gcs::error::{Error, Reason};
use crate::gcs::resource::BUCKET_METAGENERATION;
use crate::gcs::{resource, response, route};
use crate::model::{BucketName, ConditionFailed, Permission};
use crate::protocol::access;
use crate::protocol::request::Response;
use crate::store::NewBucket;

/// GCS: `maxResults` of a listing of buckets.
const BUCKETS_MAX: usize = 1000;

/// storage.buckets.list: those in which the caller has any grant.
///
/// The page token is the last name of the page.
pub(super) fn list(call: &Call<'_>) -> Result<Response, Error> {
    let prefix = call.query.get("prefix").unwrap_or_default();
    let after = call.query.get("pageToken").filter(|token| !token.is_empty());
    let wanted = call.number("maxResults")?.and_then(|count| usize::try_from(count).ok());
    let wanted = wanted.unwrap_or(BUCKETS_MAX).clamp(1, BUCKETS_MAX);
    let mut buckets = call.store().list_buckets(prefix, after, wanted + 1)?;
    let truncated = buckets.len() > wanted;
    buckets.truncate(wanted);
    let next = buckets.last().filter(|_| truncated).map(|bucket| bucket.name.to_string());
    buckets.retain(|bucket| access::may_see(&call.identity, &call.inner().anonymous, &bucket.name));
    let base = call.base();
    let items: Vec<Value> = buckets.iter().map(|bucket| resource::bucket(bucket, &base)).collect();
    let mut document = json!({ "kind": "storage#buckets" });
    if !items.is_empty() {
        document["items"] = Value::Array(items);
    }
    if let Some(next) = next {
        document["nextPageToken"] = Value::String(next);
    }
    Ok(call.answer(document))
}

/// storage.buckets.insert.
pub(super) async fn insert(mut call: Call<'_>) -> Result<Response, Error> {
    let document = members(&call.document().await?)?;
    let Some(name) = document.get("name").and_then(Value::as_str) else {
        return Err(Error::required("name"));
    };
    let name = route::bucket(name)?;
    if let Some(reason) = name.reserved_by_google() {
        return Err(Error::with_message(Reason::Invalid, format!("Invalid bucket name: {reason}")));
    }
    call.authorize(Permission::Admin, &name, "")?;
    refuse_unknown(&document, &Map::new())?;
    let location = document.get("location").and_then(Value::as_str).filter(|text| !text.is_empty());
    let region = location.unwrap_or(&call.inner().config.location).to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.len() > 32 || !region.bytes().all(plain) {
        return Err(Error::field("location", &region));
    }
    let new = NewBucket { name, region, owner: call.identity.owner() };
    let bucket = call.store().create_bucket(new).await?;
    Ok(call.answer(resource::bucket(&bucket, &call.base())))
}

/// Checks what must hold of a bucket's metageneration. `same` is what a client is told that only
/// wants another one.
fn check(call: &Call<'_>, same: ConditionFailed) -> Result<(), Error> {
    let wanted = call.number("ifMetagenerationMatch")?;
    if wanted.is_some_and(|wanted| wanted != BUCKET_METAGENERATION) {
        return Err(Error::condition(ConditionFailed::Precondition("ifMetagenerationMatch")));
    }
    if call.number("ifMetagenerationNotMatch")? == Some(BUCKET_METAGENERATION) {
        return Err(Error::condition(same));
    }
    Ok(())
}

/// storage.buckets.get.
pub(super) fn get(call: &Call<'_>, name: &BucketName) -> Result<Response, Error> {
    let bucket = call.bucket(name)?;
    check(call, ConditionFailed::NotModified)?;
    Ok(call.answer(resource::bucket(&bucket, &call.base())))
}

/// storage.buckets.patch and update: nothing of a bucket can be changed here, so what is sent must
/// be what it is already.
pub(super) async fn patch(mut call: Call<'_>, name: BucketName) -> Result<Response, Error> {
    call.authorize(Permission::Admin, &name, "")?;
    let document = members(&call.document().await?)?;
    let shown = resource::bucket(&call.bucket_exists(&name)?, &call.base());
    check(&call, ConditionFailed::Precondition("ifMetagenerationNotMatch"))?;
    refuse_unknown(&document, shown.as_object().unwrap_or(&Map::new()))?;
    Ok(call.answer(shown))
}

fn members(document: &[u8]) -> Result<Map<String, Value>, Error> {
    if document.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(document)
        .map_err(|reason| Error::with_message(Reason::ParseError, format!("Parse Error: {reason}")))
}

/// Refuses properties that would not be kept, and those that would be changed.
///
/// Some are taken though they are not kept: they say nothing about what reads and writes do.
fn refuse_unknown(document: &Map<String, Value>, shown: &Map<String, Value>) -> Result<(), Error> {
    const TAKEN: [&str; 6] = ["name", "location", "locationType", "labels", "iamConfiguration", "kind"];
    for (name, value) in document {
        let empty = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => {
                members.values().all(|value| matches!(value, Value::Null | Value::Bool(false)))
            }
            Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
        };
        let standard = name == "storageClass" && value == "STANDARD";
        let same = shown.get(name) == Some(value);
        if !empty && !same && !standard && !TAKEN.contains(&name.as_str()) {
            return Err(Error::not_implemented(format_args!("the bucket property {name}")));
        }
    }
    Ok(())
}

/// storage.buckets.delete: only an empty one goes.
pub(super) async fn delete(call: &Call<'_>, name: &BucketName) -> Result<Response, Error> {
    call.authorize(Permission::Admin, name, "")?;
    call.bucket_exists(name)?;
    check(call, ConditionFailed::Precondition("ifMetagenerationNotMatch"))?;
    call.store().delete_bucket(name).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// storage.buckets.getStorageLayout: a flat namespace.
pub(super) fn storage_layout(call: &Call<'_>, name: &BucketName) -> Result<Response, Error> {
    let bucket = call.bucket(name)?;
    Ok(call.answer(json!({
        "kind": "storage#storageLayout",
        "bucket": name.as_str(),
        "location": bucket.region.to_ascii_uppercase(),
        "locationType": "region",
        "hierarchicalNamespace": { "enabled": false },
    })))
}

/// storage.buckets.testIamPermissions: those of the permissions asked for that the caller has.
pub(super) fn test_permissions(call: &Call<'_>, name: &BucketName) -> Result<Response, Error> {
    call.bucket(name)?;
    let needed = |permission: &str| match permission {
        "storage.objects.get" => Some(Permission::Read),
        "storage.objects.list" | "storage.buckets.get" => Some(Permission::List),
        "storage.objects.create" | "storage.objects.update" | "storage.objects.delete" => {
            Some(Permission::Write)
        }
        "storage.buckets.delete" | "storage.buckets.update" => Some(Permission::Admin),
        _ => None,
    };
    let held: Vec<&str> = call
        .query
        .iter()
        .filter(|(parameter, _)| *parameter == "permissions")
        .map(|(_, permission)| permission)
        .filter(|permission| {
            needed(permission).is_some_and(|needed| call.authorize(needed, name, "").is_ok())
        })
        .collect();
    Ok(call.answer(json!({ "kind": "storage#testIamPermissionsResponse", "permissions": held })))
}
