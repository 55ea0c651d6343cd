//! Which parameters and headers each operation takes. Pure.
//!
//! The rule: what Google's JSON API knows and what would change the meaning of a request is honoured, or
//! refused by its name with 400; nothing of it is dropped. Parameters whose name Google does not know are
//! ignored, as Google does. Headers of Google's (`x-goog-…`) that are not listed here are refused: those
//! of the XML API would ask for something that this API does not do.
//!
//! GCS: "Query parameters"; the discovery document of the JSON API.

use http::HeaderMap;

use super::error::{Error, Reason};
use super::route::Operation;
use crate::protocol::query::Query;

/// Parameters that every operation takes: they say who pays and how the answer is written.
const STANDARD: [&str; 13] = [
    "$.xgafv",
    "$alt",
    "access_token",
    "alt",
    "fields",
    "key",
    "oauth_token",
    "prettyPrint",
    "projection",
    "quotaUser",
    "uploadType",
    "userIp",
    "userProject",
];

/// Every other parameter that the JSON API knows, whatever the operation.
const KNOWN: [&str; 57] = [
    "allowNonEmpty",
    "bucket",
    "callback",
    "contentEncoding",
    "copySourceAcl",
    "delimiter",
    "destinationKmsKeyName",
    "destinationPredefinedAcl",
    "dropContextGroups",
    "enableObjectRetention",
    "endOffset",
    "entity",
    "filter",
    "generation",
    "ifGenerationMatch",
    "ifGenerationNotMatch",
    "ifMetagenerationMatch",
    "ifMetagenerationNotMatch",
    "ifSourceGenerationMatch",
    "ifSourceGenerationNotMatch",
    "ifSourceMetagenerationMatch",
    "ifSourceMetagenerationNotMatch",
    "includeFoldersAsPrefixes",
    "includeTrailingDelimiter",
    "kmsKeyName",
    "matchGlob",
    "maxBytesRewrittenPerCall",
    "maxResults",
    "name",
    "object",
    "optionsRequestedPolicyVersion",
    "overrideUnlockedRetention",
    "pageSize",
    "pageToken",
    "permissions",
    "predefinedAcl",
    "predefinedDefaultObjectAcl",
    "prefix",
    "project",
    "projectId",
    "provisionalUserProject",
    "recursive",
    "restoreToken",
    "returnPartialSuccess",
    "rewriteToken",
    "serviceAccountEmail",
    "showDeletedKeys",
    "softDeleted",
    "softDeletedOnly",
    "sourceGeneration",
    "startFolderId",
    "startOffset",
    "upload_id",
    "upload_protocol",
    "userAgent",
    "versions",
    "watch",
];

const IF_METAGENERATION: [&str; 2] = ["ifMetagenerationMatch", "ifMetagenerationNotMatch"];

const IF: [&str; 4] =
    ["ifGenerationMatch", "ifGenerationNotMatch", "ifMetagenerationMatch", "ifMetagenerationNotMatch"];

const IF_SOURCE: [&str; 4] = [
    "ifSourceGenerationMatch",
    "ifSourceGenerationNotMatch",
    "ifSourceMetagenerationMatch",
    "ifSourceMetagenerationNotMatch",
];

/// Parameters that are taken where they ask for what holds anyway, with the values that do.
///
/// Access is by grants and not by object; nothing is kept of what was deleted; there are no keys of one's
/// own, no retention and no folders.
const TAKEN_VALUES: [(&str, &[&str]); 15] = [
    ("alt", &["", "json", "media"]),
    ("destinationKmsKeyName", &[""]),
    ("destinationPredefinedAcl", ACLS),
    ("dropContextGroups", &[""]),
    ("enableObjectRetention", NO),
    ("filter", &[""]),
    ("kmsKeyName", &[""]),
    ("overrideUnlockedRetention", NO),
    ("predefinedAcl", ACLS),
    ("predefinedDefaultObjectAcl", ACLS),
    ("projection", &["", "full", "noAcl"]),
    ("restoreToken", &[""]),
    ("rewriteToken", &[""]),
    ("softDeleted", NO),
    ("uploadType", &["", "media", "multipart", "resumable"]),
];

const NO: &[&str] = &["", "false", "False"];

const ACLS: &[&str] =
    &["", "authenticatedRead", "bucketOwnerFullControl", "bucketOwnerRead", "private", "projectPrivate"];

/// Headers of Google's that any request may have: they say which client it is, and who pays.
const STANDARD_HEADERS: [&str; 8] = [
    "x-goog-api-client",
    "x-goog-api-key",
    "x-goog-authuser",
    "x-goog-gcs-idempotency-token",
    "x-goog-request-params",
    "x-goog-request-reason",
    "x-goog-user-project",
    "x-goog-quota-user",
];

/// What is only written to Google's audit logs.
const AUDIT_HEADERS: &str = "x-goog-custom-audit-";

/// Refuses what an operation would not honour.
pub(super) fn check(operation: &Operation, query: &Query, headers: &HeaderMap) -> Result<(), Error> {
    for (name, value) in query.iter() {
        if !STANDARD.contains(&name) && !takes(operation, name) {
            if KNOWN.contains(&name) {
                return Err(Error::not_taken(name, operation.name()));
            }
            continue;
        }
        check_value(name, value)?;
    }
    if query.get("alt") == Some("media") && !matches!(operation, Operation::Download(_)) {
        let uploads = matches!(operation, Operation::InsertObject(_) | Operation::ContinueUpload(_));
        if !uploads {
            return Err(Error::parameter("alt", "media", "json; only an object can be read as media"));
        }
    }
    let names = headers.keys().map(http::HeaderName::as_str);
    match names.into_iter().find(|name| !takes_header(operation, name)) {
        Some(name) => Err(Error::header_not_taken(name, operation.name())),
        None => Ok(()),
    }
}

fn check_value(name: &str, value: &str) -> Result<(), Error> {
    let Some((name, taken)) = TAKEN_VALUES.iter().find(|(known, _)| *known == name) else {
        return Ok(());
    };
    if taken.contains(&value) {
        return Ok(());
    }
    Err(match *name {
        "predefinedAcl" | "predefinedDefaultObjectAcl" | "destinationPredefinedAcl" => Error::with_message(
            Reason::Invalid,
            format!(
                "Cannot use predefined ACL '{value}': access is by grants, as with uniform bucket-level \
                 access."
            ),
        ),
        "alt" | "projection" | "uploadType" => {
            let choices: Vec<_> = taken.iter().filter(|choice| !choice.is_empty()).copied().collect();
            Error::parameter(name, value, &format!("one of {}", choices.join(", ")))
        }
        _ => Error::not_implemented(format_args!("the parameter {name}")),
    })
}

/// Whether an operation reads a parameter that is not standard.
fn takes(operation: &Operation, name: &str) -> bool {
    let lists: &[&[&str]] = match operation {
        Operation::ListBuckets => {
            &[&["project", "maxResults", "pageToken", "prefix", "softDeleted", "returnPartialSuccess"]]
        }
        Operation::InsertBucket => {
            &[&["project", "predefinedAcl", "predefinedDefaultObjectAcl", "enableObjectRetention"]]
        }
        Operation::GetBucket(_) => &[&IF_METAGENERATION, &["softDeleted"]],
        Operation::PatchBucket(_) => &[&IF_METAGENERATION, &["predefinedAcl", "predefinedDefaultObjectAcl"]],
        Operation::DeleteBucket(_) => &[&IF_METAGENERATION],
        Operation::GetStorageLayout(_) => &[&["prefix"]],
        Operation::TestIamPermissions(_) => &[&["permissions"]],
        Operation::ListObjects(_) => &[&[
            "delimiter",
            "endOffset",
            "filter",
            "includeFoldersAsPrefixes",
            "includeTrailingDelimiter",
            "matchGlob",
            "maxResults",
            "pageToken",
            "prefix",
            "softDeleted",
            "startOffset",
            "versions",
        ]],
        Operation::GetObject(_) | Operation::Download(_) => {
            &[&IF, &["generation", "restoreToken", "softDeleted"]]
        }
        Operation::PatchObject(_) | Operation::UpdateObject(_) => {
            &[&IF, &["generation", "overrideUnlockedRetention", "predefinedAcl"]]
        }
        Operation::DeleteObject(_) => &[&IF, &["generation"]],
        Operation::ComposeObject(_) => {
            &[&IF, &["destinationPredefinedAcl", "dropContextGroups", "kmsKeyName"]]
        }
        Operation::CopyObject(..) | Operation::RewriteObject(..) => &[
            &IF,
            &IF_SOURCE,
            &[
                "destinationKmsKeyName",
                "destinationPredefinedAcl",
                "dropContextGroups",
                "maxBytesRewrittenPerCall",
                "rewriteToken",
                "sourceGeneration",
            ],
        ],
        Operation::MoveObject(..) => &[&IF, &IF_SOURCE],
        Operation::InsertObject(_) => &[&IF, &["contentEncoding", "kmsKeyName", "name", "predefinedAcl"]],
        Operation::ContinueUpload(_) | Operation::CancelUpload(_) => &[&["name", "upload_id"]],
        Operation::Batch | Operation::Token => &[],
    };
    lists.iter().any(|list| list.contains(&name))
}

/// Whether a header may come with an operation: those that carry a meaning of Google's own are listed, and
/// so are the conditions of HTTP.
fn takes_header(operation: &Operation, name: &str) -> bool {
    use Operation as O;
    match name {
        "x-goog-hash" => matches!(operation, O::InsertObject(_) | O::ContinueUpload(_)),
        // A listing may be sent whole to a client that has it already: RFC 9110 section 13.2.1.
        "if-none-match" | "if-modified-since" if operation.reads() => true,
        "if-match" | "if-none-match" | "if-modified-since" | "if-unmodified-since" => {
            matches!(operation, O::GetObject(_) | O::Download(_))
        }
        _ => {
            !name.starts_with("x-goog-")
                || STANDARD_HEADERS.contains(&name)
                || name.starts_with(AUDIT_HEADERS)
        }
    }
}

#[cfg(test)]
#[path = "tests/allowed.rs"]
pub(super) mod tests;
