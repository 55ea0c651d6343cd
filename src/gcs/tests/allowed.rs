//! Every operation with every parameter and header that Google knows.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{KNOWN, STANDARD, STANDARD_HEADERS, check, takes, takes_header};
use crate::gcs::route::{Operation, route};
use crate::protocol::query::Query;

/// A request of each operation, without parameters but those that it is known by.
pub(in crate::gcs) const REQUESTS: [&str; 24] = [
    "GET /storage/v1/b",
    "POST /storage/v1/b",
    "GET /storage/v1/b/bucket",
    "PATCH /storage/v1/b/bucket",
    "PUT /storage/v1/b/bucket",
    "DELETE /storage/v1/b/bucket",
    "GET /storage/v1/b/bucket/storageLayout",
    "GET /storage/v1/b/bucket/iam/testPermissions",
    "GET /storage/v1/b/bucket/o",
    "GET /storage/v1/b/bucket/o/a",
    "GET /storage/v1/b/bucket/o/a?alt=media",
    "GET /download/storage/v1/b/bucket/o/a",
    "PATCH /storage/v1/b/bucket/o/a",
    "PUT /storage/v1/b/bucket/o/a",
    "DELETE /storage/v1/b/bucket/o/a",
    "POST /storage/v1/b/bucket/o/a/compose",
    "POST /storage/v1/b/bucket/o/a/copyTo/b/bucket/o/b",
    "POST /storage/v1/b/bucket/o/a/rewriteTo/b/bucket/o/b",
    "POST /storage/v1/b/bucket/o/a/moveTo/o/b",
    "POST /upload/storage/v1/b/bucket/o",
    "PUT /upload/storage/v1/b/bucket/o?upload_id=id",
    "DELETE /upload/storage/v1/b/bucket/o?upload_id=id",
    "POST /batch/storage/v1",
    "POST /__gcs__/token",
];

/// Headers of Google's, of its XML API too, and the conditions of HTTP.
pub(in crate::gcs) const HEADERS: [&str; 27] = [
    "if-match",
    "if-unmodified-since",
    "x-goog-acl",
    "x-goog-allowed-resources",
    "x-goog-bypass-governance-retention",
    "x-goog-component-count",
    "x-goog-content-length-range",
    "x-goog-content-sha256",
    "x-goog-copy-source",
    "x-goog-copy-source-encryption-algorithm",
    "x-goog-copy-source-if-generation-match",
    "x-goog-custom-time",
    "x-goog-date",
    "x-goog-encryption-algorithm",
    "x-goog-encryption-key",
    "x-goog-encryption-kms-key-name",
    "x-goog-fieldmask",
    "x-goog-if-generation-match",
    "x-goog-if-metageneration-match",
    "x-goog-meta-build",
    "x-goog-metadata-directive",
    "x-goog-object-lock-mode",
    "x-goog-resumable",
    "x-goog-storage-class",
    "x-goog-testbench-instructions",
    "x-goog-upload-command",
    "x-goog-upload-protocol",
];

fn routed(line: &str, more: &str) -> (Operation, Query) {
    let (method, uri) = line.split_once(' ').expect("a method and a path");
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let method: Method = method.parse().expect("a method");
    let query = Query::parse(&format!("{query}&{more}")).expect("a query");
    let operation = route(&method, path, &query, &HeaderMap::new());
    (operation.unwrap_or_else(|error| panic!("{line} {more}: {error}")), query)
}

/// What the table is read back as: for each parameter that only some operations take, which do.
#[test]
fn each_parameter_is_honoured_ignored_or_refused_by_its_name() {
    let (mut taken, mut refused) = (0, 0);
    for line in REQUESTS {
        let (plain, _) = routed(line, "");
        for name in KNOWN {
            let value = if name == "permissions" { "storage.objects.get" } else { "" };
            let (operation, query) = routed(line, &format!("{name}={value}"));
            let is_upload = name == "upload_id" && line.contains("/upload/");
            assert!(operation == plain || is_upload, "{line} with {name} runs {}", operation.name());
            match check(&operation, &query, &HeaderMap::new()) {
                Ok(()) => {
                    assert!(takes(&operation, name), "{line}: {name}");
                    taken += 1;
                }
                Err(error) => {
                    assert_eq!(error.reason().status(), 400, "{line}: {name}");
                    assert!(error.to_string().contains(name), "{line}: {error}");
                    refused += 1;
                }
            }
        }
        for name in STANDARD.into_iter().chain(["notOfGoogle"]) {
            let (operation, query) = routed(line, &format!("{name}="));
            assert_eq!(operation, plain, "{line}: {name}");
            assert!(check(&operation, &query, &HeaderMap::new()).is_ok(), "{line}: {name}");
        }
    }
    assert!(taken > 100 && refused > 1000, "{taken} taken, {refused} refused");
}

#[test]
fn each_header_is_honoured_ignored_or_refused_by_its_name() {
    for line in REQUESTS {
        let (operation, query) = routed(line, "");
        let with = |name: &'static str| {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static("1"))]);
            check(&operation, &query, &headers)
        };
        for name in STANDARD_HEADERS.into_iter().chain(["x-goog-custom-audit-job", "range", "user-agent"]) {
            assert!(with(name).is_ok(), "{line}: {name}");
        }
        for name in HEADERS.into_iter().chain(["x-goog-hash"]) {
            match with(name) {
                Ok(()) => assert!(takes_header(&operation, name), "{line}: {name}"),
                Err(error) => assert!(error.to_string().contains(name), "{line}: {error}"),
            }
            let conditional = matches!(operation, Operation::GetObject(_) | Operation::Download(_));
            let uploads = matches!(operation, Operation::InsertObject(_) | Operation::ContinueUpload(_));
            let expected = match name {
                "if-match" | "if-unmodified-since" => conditional,
                "x-goog-hash" => uploads,
                _ => false,
            };
            assert_eq!(with(name).is_ok(), expected, "{line}: {name}");
        }
        assert_eq!(with("if-none-match").is_ok(), operation.reads(), "{line}");
    }
}

#[test]
fn parameters_that_ask_for_what_holds_anyway_are_taken_with_those_values_alone() {
    for (line, parameter, taken) in [
        ("GET /storage/v1/b/bucket/o", "projection=full", true),
        ("GET /storage/v1/b/bucket/o", "projection=some", false),
        ("GET /storage/v1/b/bucket/o", "softDeleted=false", true),
        ("GET /storage/v1/b/bucket/o", "softDeleted=true", false),
        ("GET /storage/v1/b/bucket/o", "alt=json", true),
        ("GET /storage/v1/b/bucket/o", "alt=media", false),
        ("GET /storage/v1/b/bucket/o", "alt=xml", false),
        ("DELETE /storage/v1/b/bucket/o/a", "alt=media", false),
        ("POST /upload/storage/v1/b/bucket/o", "predefinedAcl=private", true),
        ("POST /upload/storage/v1/b/bucket/o", "predefinedAcl=publicRead", false),
        ("POST /upload/storage/v1/b/bucket/o", "kmsKeyName=k", false),
        ("POST /upload/storage/v1/b/bucket/o", "uploadType=raw", false),
        ("POST /storage/v1/b/bucket/o/a/rewriteTo/b/bucket/o/b", "rewriteToken=t", false),
        ("POST /storage/v1/b", "enableObjectRetention=true", false),
    ] {
        let (operation, query) = routed(line, parameter);
        assert_eq!(check(&operation, &query, &HeaderMap::new()).is_ok(), taken, "{line} {parameter}");
    }
}
