//! Method and path to an operation and what it is about. Pure.
//!
//! GCS: "JSON API overview", "Encoding URI path parts": a name is one segment, so its slashes are
//! sent as `%2F`; a path with more segments is another path.

use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use super::error::{Error, Reason};
use super::metadata::object_name;
use crate::model::{BucketName, ObjectKey};
use crate::protocol::query::Query;

/// An object of a bucket, there or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The bucket.
    pub(super) bucket: BucketName,
    /// The name.
    pub(super) key: ObjectKey,
}

/// What is asked for, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    /// `storage.buckets.list`
    ListBuckets,
    /// `storage.buckets.insert`
    InsertBucket,
    /// `storage.buckets.get`
    GetBucket(BucketName),
    /// `storage.buckets.patch` and `update`
    PatchBucket(BucketName),
    /// `storage.buckets.delete`
    DeleteBucket(BucketName),
    /// `storage.buckets.getStorageLayout`
    GetStorageLayout(BucketName),
    /// `storage.buckets.testIamPermissions`
    TestIamPermissions(BucketName),
    /// `storage.objects.list`
    ListObjects(BucketName),
    /// `storage.objects.get`, the resource
    GetObject(Place),
    /// `storage.objects.get` with `alt=media`
    Download(Place),
    /// `storage.objects.patch`
    PatchObject(Place),
    /// `storage.objects.update`
    UpdateObject(Place),
    /// `storage.objects.delete`
    DeleteObject(Place),
    /// `storage.objects.compose`
    ComposeObject(Place),
    /// `storage.objects.copy`
    CopyObject(Place, Place),
    /// `storage.objects.rewrite`
    RewriteObject(Place, Place),
    /// `storage.objects.move`
    MoveObject(Place, Place),
    /// `storage.objects.insert`
    InsertObject(BucketName),
    /// A chunk of a resumable upload, or a question after it
    ContinueUpload(BucketName),
    /// The end of a resumable upload before it is done
    CancelUpload(BucketName),
    /// Several calls in one
    Batch,
    /// A token for a service account
    Token,
}

/// Where service accounts get their tokens. No bucket can have this name.
pub(super) const TOKEN_PATH: &str = "/__gcs__/token";

impl Operation {
    /// Google's name of it, for the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::ListBuckets => "storage.buckets.list",
            Self::InsertBucket => "storage.buckets.insert",
            Self::GetBucket(_) => "storage.buckets.get",
            Self::PatchBucket(_) => "storage.buckets.patch",
            Self::DeleteBucket(_) => "storage.buckets.delete",
            Self::GetStorageLayout(_) => "storage.buckets.getStorageLayout",
            Self::TestIamPermissions(_) => "storage.buckets.testIamPermissions",
            Self::ListObjects(_) => "storage.objects.list",
            Self::GetObject(_) => "storage.objects.get",
            Self::Download(_) => "storage.objects.download",
            Self::PatchObject(_) => "storage.objects.patch",
            Self::UpdateObject(_) => "storage.objects.update",
            Self::DeleteObject(_) => "storage.objects.delete",
            Self::ComposeObject(_) => "storage.objects.compose",
            Self::CopyObject(..) => "storage.objects.copy",
            Self::RewriteObject(..) => "storage.objects.rewrite",
            Self::MoveObject(..) => "storage.objects.move",
            Self::InsertObject(_) => "storage.objects.insert",
            Self::ContinueUpload(_) => "storage.objects.insert.continue",
            Self::CancelUpload(_) => "storage.objects.insert.cancel",
            Self::Batch => "batch",
            Self::Token => "token",
        }
    }

    /// Whether it changes nothing.
    pub(super) fn reads(&self) -> bool {
        matches!(
            self,
            Self::ListBuckets
                | Self::GetBucket(_)
                | Self::GetStorageLayout(_)
                | Self::TestIamPermissions(_)
                | Self::ListObjects(_)
                | Self::GetObject(_)
                | Self::Download(_)
        )
    }

    /// The bucket and the name that the log shows: of a copy, what is written.
    pub(super) fn target(&self) -> (Option<&BucketName>, Option<&ObjectKey>) {
        match self {
            Self::ListBuckets | Self::InsertBucket | Self::Batch | Self::Token => (None, None),
            Self::GetBucket(bucket)
            | Self::PatchBucket(bucket)
            | Self::DeleteBucket(bucket)
            | Self::GetStorageLayout(bucket)
            | Self::TestIamPermissions(bucket)
            | Self::ListObjects(bucket)
            | Self::InsertObject(bucket)
            | Self::ContinueUpload(bucket)
            | Self::CancelUpload(bucket) => (Some(bucket), None),
            Self::GetObject(place)
            | Self::Download(place)
            | Self::PatchObject(place)
            | Self::UpdateObject(place)
            | Self::DeleteObject(place)
            | Self::ComposeObject(place)
            | Self::CopyObject(_, place)
            | Self::RewriteObject(_, place)
            | Self::MoveObject(_, place) => (Some(&place.bucket), Some(&place.key)),
        }
    }
}

/// Finds the operation of a request.
pub(super) fn route(
    method: &Method,
    path: &str,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Operation, Error> {
    let method = effective(method, headers)?;
    if path == TOKEN_PATH {
        return only(&method, &Method::POST, Operation::Token);
    }
    if path.trim_end_matches('/') == "/batch/storage/v1" {
        return only(&method, &Method::POST, Operation::Batch);
    }
    for root in ["/upload/storage/v1/", "/resumable/upload/storage/v1/"] {
        if let Some(rest) = path.strip_prefix(root) {
            return upload(&method, &segments(rest)?, query);
        }
    }
    if let Some(rest) = path.strip_prefix("/download/storage/v1/") {
        return match (&method, strs(&segments(rest)?).as_slice()) {
            (&Method::GET | &Method::HEAD, ["b", bucket, "o", name]) => {
                Ok(Operation::Download(place(bucket, name)?))
            }
            _ => Err(Error::new(Reason::NotFound)),
        };
    }
    match path.strip_prefix("/storage/v1/") {
        Some(rest) => resource(&method, &strs(&segments(rest)?), query),
        None => Err(Error::new(Reason::NotFound)),
    }
}

/// Clients whose HTTP library knows no PATCH send a POST that says what it is.
fn effective(method: &Method, headers: &HeaderMap) -> Result<Method, Error> {
    let Some(name) = headers.get("x-http-method-override").filter(|_| *method == Method::POST) else {
        return Ok(method.clone());
    };
    Method::from_bytes(name.as_bytes()).map_err(|_| Error::new(Reason::MethodNotAllowed))
}

fn only(method: &Method, wanted: &Method, operation: Operation) -> Result<Operation, Error> {
    if method == wanted { Ok(operation) } else { Err(Error::new(Reason::MethodNotAllowed)) }
}

fn segments(path: &str) -> Result<Vec<String>, Error> {
    path.split('/')
        .map(|segment| {
            let decoded = percent_decode_str(segment).decode_utf8();
            let text = decoded.map_err(|_| Error::with_message(Reason::Invalid, "The path is not UTF-8."))?;
            Ok(text.into_owned())
        })
        .collect()
}

fn strs(segments: &[String]) -> Vec<&str> {
    segments.iter().map(String::as_str).collect()
}

fn resource(method: &Method, path: &[&str], query: &Query) -> Result<Operation, Error> {
    use Operation as O;
    let refused = || Error::new(Reason::MethodNotAllowed);
    Ok(match (path, method.as_str()) {
        (["b"], "GET") => O::ListBuckets,
        (["b"], "POST") => O::InsertBucket,
        (["b", name], "GET") => O::GetBucket(bucket(name)?),
        (["b", name], "PATCH" | "PUT") => O::PatchBucket(bucket(name)?),
        (["b", name], "DELETE") => O::DeleteBucket(bucket(name)?),
        (["b", name, "storageLayout"], "GET") => O::GetStorageLayout(bucket(name)?),
        (["b", name, "iam", "testPermissions"], "GET") => O::TestIamPermissions(bucket(name)?),
        (["b", name, "o"], "GET") => O::ListObjects(bucket(name)?),
        (["b", name, "o"], "POST") => O::InsertObject(bucket(name)?),
        (["b", name, "o", key], "GET" | "HEAD") if query.get("alt") == Some("media") => {
            O::Download(place(name, key)?)
        }
        (["b", name, "o", key], "GET") => O::GetObject(place(name, key)?),
        (["b", name, "o", key], "PATCH") => O::PatchObject(place(name, key)?),
        (["b", name, "o", key], "PUT") => O::UpdateObject(place(name, key)?),
        (["b", name, "o", key], "DELETE") => O::DeleteObject(place(name, key)?),
        (["b", name, "o", key, "compose"], "POST") => O::ComposeObject(place(name, key)?),
        (["b", name, "o", key, copy @ ("rewriteTo" | "copyTo"), "b", to, "o", new], "POST") => {
            let (from, to) = (place(name, key)?, place(to, new)?);
            if *copy == "rewriteTo" { O::RewriteObject(from, to) } else { O::CopyObject(from, to) }
        }
        // Google: an object can only be moved within its bucket.
        (["b", name, "o", key, "moveTo", "o", new], "POST") => {
            O::MoveObject(place(name, key)?, place(name, new)?)
        }
        (["b"] | ["b", _] | ["b", _, "o"] | ["b", _, "o", _], _) => return Err(refused()),
        (["b", _, feature @ ..] | ["projects", feature @ ..], _) if known(feature) => {
            return Err(Error::not_implemented(format_args!("the resource {}", feature.join("/"))));
        }
        _ => return Err(Error::new(Reason::NotFound)),
    })
}

/// Resources that Google serves and this does not, so that they are not taken for a wrong address.
fn known(feature: &[&str]) -> bool {
    matches!(
        feature,
        [
            "acl"
                | "defaultObjectAcl"
                | "iam"
                | "lockRetentionPolicy"
                | "notificationConfigs"
                | "folders"
                | "managedFolders"
                | "anywhereCaches"
                | "relocate"
                | "operations",
            ..
        ] | ["o", "watch"]
            | ["o", "bulkRestore", ..]
            | ["o", _, "acl" | "iam" | "restore", ..]
            | [_, "hmacKeys" | "serviceAccount", ..]
    )
}

fn upload(method: &Method, path: &[String], query: &Query) -> Result<Operation, Error> {
    let ["b", name, "o"] = strs(path)[..] else { return Err(Error::new(Reason::NotFound)) };
    let bucket = bucket(name)?;
    match method.as_str() {
        // Chunks may be sent by POST too.
        "PUT" | "POST" if query.has("upload_id") => Ok(Operation::ContinueUpload(bucket)),
        "POST" => Ok(Operation::InsertObject(bucket)),
        "DELETE" if query.has("upload_id") => Ok(Operation::CancelUpload(bucket)),
        _ => Err(Error::new(Reason::MethodNotAllowed)),
    }
}

/// Reads a bucket's name.
pub(super) fn bucket(name: &str) -> Result<BucketName, Error> {
    BucketName::parse(name)
        .map_err(|reason| Error::with_message(Reason::Invalid, format!("Invalid bucket name: {reason}")))
}

fn place(bucket_name: &str, name: &str) -> Result<Place, Error> {
    Ok(Place { bucket: bucket(bucket_name)?, key: object_name(name)? })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::{Operation, route};
    use crate::gcs::error::Reason;
    use crate::protocol::query::Query;

    fn find(line: &str) -> Result<Operation, Reason> {
        let (method, uri) = line.split_once(' ').expect("a method and a path");
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let method: Method = method.parse().expect("a method");
        let query = Query::parse(query).expect("a query");
        route(&method, path, &query, &HeaderMap::new()).map_err(|error| error.reason())
    }

    #[test]
    fn every_path_has_its_operation() {
        for (line, name, key) in [
            ("GET /storage/v1/b", "storage.buckets.list", ""),
            ("POST /storage/v1/b?project=p", "storage.buckets.insert", ""),
            ("GET /storage/v1/b/bucket?fields=name", "storage.buckets.get", ""),
            ("PATCH /storage/v1/b/bucket", "storage.buckets.patch", ""),
            ("DELETE /storage/v1/b/bucket", "storage.buckets.delete", ""),
            ("GET /storage/v1/b/bucket/storageLayout", "storage.buckets.getStorageLayout", ""),
            ("GET /storage/v1/b/bucket/o", "storage.objects.list", ""),
            ("GET /storage/v1/b/bucket/o/a%2Fb%20c", "storage.objects.get", "a/b c"),
            ("GET /storage/v1/b/bucket/o/a%252Fb", "storage.objects.get", "a%2Fb"),
            ("GET /storage/v1/b/bucket/o/a+b?alt=media", "storage.objects.download", "a+b"),
            ("GET /storage/v1/b/bucket/o/a?alt=json", "storage.objects.get", "a"),
            ("GET /download/storage/v1/b/bucket/o/a?alt=media", "storage.objects.download", "a"),
            ("PATCH /storage/v1/b/bucket/o/a", "storage.objects.patch", "a"),
            ("PUT /storage/v1/b/bucket/o/a", "storage.objects.update", "a"),
            ("DELETE /storage/v1/b/bucket/o/a", "storage.objects.delete", "a"),
            ("POST /storage/v1/b/bucket/o/a/compose", "storage.objects.compose", "a"),
            ("POST /storage/v1/b/src/o/a/rewriteTo/b/dst/o/b%2Fc", "storage.objects.rewrite", "b/c"),
            ("POST /storage/v1/b/src/o/a/copyTo/b/dst/o/b", "storage.objects.copy", "b"),
            ("POST /storage/v1/b/bucket/o/a/moveTo/o/b%2Fc", "storage.objects.move", "b/c"),
            ("POST /upload/storage/v1/b/bucket/o?uploadType=media", "storage.objects.insert", ""),
            ("PUT /upload/storage/v1/b/bucket/o?upload_id=x", "storage.objects.insert.continue", ""),
            (
                "POST /resumable/upload/storage/v1/b/bucket/o?upload_id=x",
                "storage.objects.insert.continue",
                "",
            ),
            ("DELETE /upload/storage/v1/b/bucket/o?upload_id=x", "storage.objects.insert.cancel", ""),
            ("POST /batch/storage/v1", "batch", ""),
            ("POST /__gcs__/token", "token", ""),
        ] {
            let operation = find(line).unwrap_or_else(|reason| panic!("{line}: {reason:?}"));
            assert_eq!(operation.name(), name, "{line}");
            assert_eq!(operation.target().1.map_or("", |key| key.as_str()), key, "{line}");
        }
    }

    #[test]
    fn what_is_not_served_is_told_apart_from_what_does_not_exist() {
        for (line, reason) in [
            ("GET /storage/v1/b/bucket/o/a/b", Reason::NotFound),
            ("GET /storage/v1", Reason::NotFound),
            ("GET /storage/v2/b", Reason::NotFound),
            ("DELETE /storage/v1/b", Reason::MethodNotAllowed),
            ("GET /batch/storage/v1", Reason::MethodNotAllowed),
            ("GET /__gcs__/token", Reason::MethodNotAllowed),
            ("GET /storage/v1/b/bucket/acl", Reason::NotImplemented),
            ("GET /storage/v1/b/bucket/iam", Reason::NotImplemented),
            ("GET /storage/v1/b/bucket/o/a/acl", Reason::NotImplemented),
            ("GET /storage/v1/b/UPPER", Reason::Invalid),
            ("GET /storage/v1/b/bucket/o/%FF", Reason::Invalid),
            ("GET /storage/v1/b/bucket/o/", Reason::Required),
            ("PUT /upload/storage/v1/b/bucket/o", Reason::MethodNotAllowed),
        ] {
            assert_eq!(find(line), Err(reason), "{line}");
        }
    }

    #[test]
    fn a_post_may_stand_for_a_patch() {
        let mut headers = HeaderMap::new();
        headers.insert("x-http-method-override", "PATCH".parse().expect("a value"));
        let query = Query::default();
        let operation = route(&Method::POST, "/storage/v1/b/bucket/o/a", &query, &headers).expect("a route");
        assert_eq!(operation.name(), "storage.objects.patch");
    }
}
