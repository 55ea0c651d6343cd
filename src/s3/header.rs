//! The `x-amz-…` and `x-goog-…` headers: which operation honours which, which ones are ignored as S3
//! ignores them, and which are refused by name because ignoring them would be a wrong success. Pure.
//!
//! An `x-amz-…` that is not in the table is ignored, as S3 ignores what it does not know. An
//! `x-goog-…` that is not is refused: none of Google's XML API is served, whose conditions and copies
//! would be wrong successes.
//!
//! AWS: "Actions" of the Amazon S3 API reference. Google: "HTTP headers and common query parameters"
//! of the XML API.

use http::HeaderMap;

use super::error::{Code, Error};
use super::operation::Operation;

/// What becomes of a header where it has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// The operation reads it, or what reads every request does.
    Honoured,
    /// Nothing reads it, as here it changes nothing.
    Ignored,
    /// Only what is so anyway is taken; every other value is refused.
    Only(&'static [&'static str]),
    /// It asks for something that is not served.
    Refused,
    /// S3: "You can only specify a copy source header for copy requests."
    OnlyOfCopies,
}

/// Of which operations something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Of every one.
    All,
    /// Of these.
    These(&'static [Operation]),
}

/// A header, or a family of them, and what becomes of it. Operations that no case names ignore it.
#[derive(Debug)]
pub(super) struct Header {
    /// In small letters; of a family, its beginning up to the last hyphen.
    pub(super) name: &'static str,
    cases: &'static [(Of, Treatment)],
    /// Whether it counts when whoever made a link moved it into the query.
    pub(super) counts_in_links: bool,
}

const fn header(name: &'static str, cases: &'static [(Of, Treatment)]) -> Header {
    Header { name, cases, counts_in_links: true }
}

/// A header that S3 does not look for in the query of a link.
const fn only_sent(name: &'static str, cases: &'static [(Of, Treatment)]) -> Header {
    Header { name, cases, counts_in_links: false }
}

/// What makes an object from a body or a copy, and so takes what is kept with it.
const MAKES: Of = Of::These(&[Operation::PutObject, Operation::CopyObject, Operation::CreateMultipartUpload]);

/// What makes something that has an owner and an access control list.
const MAKES_OWNED: Of = Of::These(&[
    Operation::PutObject,
    Operation::CopyObject,
    Operation::CreateMultipartUpload,
    Operation::CreateBucket,
]);

const COPIES: Of = Of::These(&[Operation::CopyObject, Operation::UploadPartCopy]);

/// The writes of an object that are no copies: what only copies take, they must not drop.
const FROM_BODIES: Of = Of::These(&[
    Operation::PutObject,
    Operation::UploadPart,
    Operation::CreateMultipartUpload,
    Operation::CompleteMultipartUpload,
]);

/// What writes bytes of an object.
const WRITES: Of = Of::These(&[
    Operation::PutObject,
    Operation::CopyObject,
    Operation::CreateMultipartUpload,
    Operation::UploadPart,
    Operation::UploadPartCopy,
    Operation::CompleteMultipartUpload,
]);

/// What reads or writes bytes that a key of the client's could encrypt.
const OF_BYTES: Of = Of::These(&[
    Operation::PutObject,
    Operation::CopyObject,
    Operation::CreateMultipartUpload,
    Operation::UploadPart,
    Operation::UploadPartCopy,
    Operation::CompleteMultipartUpload,
    Operation::ListParts,
    Operation::GetObject,
    Operation::HeadObject,
    Operation::GetObjectAttributes,
    Operation::SelectObjectContent,
]);

/// What has a body that is compared with its digest.
const WITH_BODY: Of = Of::These(&[
    Operation::PutObject,
    Operation::UploadPart,
    Operation::CompleteMultipartUpload,
    Operation::DeleteObjects,
    Operation::PutObjectTagging,
    Operation::CreateBucket,
]);

/// The operations whose body is bytes of an object.
const STREAMS: Of = Of::These(&[Operation::PutObject, Operation::UploadPart]);

const CREATE_BUCKET: Of = Of::These(&[Operation::CreateBucket]);

/// Everything that is no copy and no read: a copy source there was meant for a copy.
const NOT_COPIES: Of = Of::These(&[
    Operation::CreateBucket,
    Operation::DeleteBucket,
    Operation::DeleteObjects,
    Operation::PostObject,
    Operation::PutObject,
    Operation::DeleteObject,
    Operation::PutObjectTagging,
    Operation::DeleteObjectTagging,
    Operation::CreateMultipartUpload,
    Operation::UploadPart,
    Operation::CompleteMultipartUpload,
    Operation::AbortMultipartUpload,
]);

/// Every header that S3 and Google's XML API know. A name stands before the family that it is of.
pub(super) const ALL: &[Header] = {
    use Treatment::{Honoured, Ignored, Only, OnlyOfCopies, Refused};
    &[
        // Of every request: who asks, and how the body travels.
        only_sent("x-amz-date", &[(Of::All, Honoured)]),
        only_sent("x-amz-content-sha256", &[(Of::All, Honoured)]),
        only_sent("x-amz-security-token", &[(Of::All, Honoured)]),
        only_sent("x-amz-user-agent", &[(Of::All, Honoured)]),
        only_sent("x-amz-decoded-content-length", &[(WITH_BODY, Honoured)]),
        only_sent("x-amz-trailer", &[(WITH_BODY, Honoured)]),
        header("x-amz-expected-bucket-owner", &[(Of::All, Honoured)]),
        header("x-amz-source-expected-bucket-owner", &[(COPIES, Honoured)]),
        header("x-amz-request-payer", &[(Of::All, Ignored)]),
        // Nothing is locked, so that there is nothing to bypass; nothing asks for a second factor.
        header("x-amz-bypass-governance-retention", &[(Of::All, Ignored)]),
        header("x-amz-mfa", &[(Of::All, Ignored)]),
        // Nothing was ever restored, so that a listing has nothing to add.
        header("x-amz-optional-object-attributes", &[(Of::All, Ignored)]),
        // What is kept with an object.
        header("x-amz-meta-", &[(MAKES, Honoured)]),
        header("x-amz-website-redirect-location", &[(MAKES, Honoured)]),
        header("x-amz-metadata-directive", &[(Of::These(&[Operation::CopyObject]), Honoured)]),
        // S3: tags in the query of a link are not set.
        only_sent("x-amz-tagging", &[(MAKES, Honoured)]),
        header("x-amz-tagging-directive", &[(Of::These(&[Operation::CopyObject]), Honoured)]),
        header("x-amz-storage-class", &[(MAKES, Only(&["STANDARD"]))]),
        // S3: a bucket whose owner is enforced, as every new bucket is, takes only these.
        header("x-amz-acl", &[(MAKES_OWNED, Only(&["private", "bucket-owner-full-control"]))]),
        header("x-amz-grant-", &[(MAKES_OWNED, Refused)]),
        header("x-amz-object-lock-", &[(MAKES, Refused)]),
        header("x-amz-bucket-object-lock-enabled", &[(CREATE_BUCKET, Only(&["false", "False"]))]),
        header("x-amz-bucket-namespace", &[(CREATE_BUCKET, Only(&["global"]))]),
        header("x-amz-object-ownership", &[(CREATE_BUCKET, Only(&["BucketOwnerEnforced"]))]),
        // S3 refuses them of a read too: an object that is not encrypted so is not what was asked for.
        header("x-amz-server-side-encryption", &[(OF_BYTES, Refused)]),
        header("x-amz-server-side-encryption-", &[(OF_BYTES, Refused)]),
        header("x-amz-write-offset-bytes", &[(WRITES, Refused)]),
        // Digests. S3: in the query of a link they are about no body; SDKs put that of an empty one
        // there (aws-sdk-js-v3).
        only_sent("x-amz-sdk-checksum-algorithm", &[(WITH_BODY, Honoured)]),
        only_sent(
            "x-amz-checksum-algorithm",
            &[(Of::These(&[Operation::CopyObject, Operation::CreateMultipartUpload]), Honoured)],
        ),
        only_sent(
            "x-amz-checksum-type",
            &[(Of::These(&[Operation::CreateMultipartUpload, Operation::CompleteMultipartUpload]), Honoured)],
        ),
        only_sent(
            "x-amz-checksum-mode",
            &[(Of::These(&[Operation::GetObject, Operation::HeadObject]), Honoured)],
        ),
        // S3 has them since 2026; nothing here computes them.
        only_sent("x-amz-checksum-md5", &[(WITH_BODY, Refused)]),
        only_sent("x-amz-checksum-sha512", &[(WITH_BODY, Refused)]),
        only_sent("x-amz-checksum-xxhash3", &[(WITH_BODY, Refused)]),
        only_sent("x-amz-checksum-xxhash64", &[(WITH_BODY, Refused)]),
        only_sent("x-amz-checksum-xxhash128", &[(WITH_BODY, Refused)]),
        only_sent("x-amz-checksum-", &[(WITH_BODY, Honoured)]),
        header("x-amz-mp-object-size", &[(Of::These(&[Operation::CompleteMultipartUpload]), Honoured)]),
        // Copies.
        header("x-amz-copy-source", &[(COPIES, Honoured), (NOT_COPIES, OnlyOfCopies)]),
        header(
            "x-amz-copy-source-range",
            &[(Of::These(&[Operation::UploadPartCopy]), Honoured), (WRITES, Refused)],
        ),
        header("x-amz-copy-source-if-match", &[(COPIES, Honoured), (FROM_BODIES, Refused)]),
        header("x-amz-copy-source-if-none-match", &[(COPIES, Honoured), (FROM_BODIES, Refused)]),
        header("x-amz-copy-source-if-modified-since", &[(COPIES, Honoured), (FROM_BODIES, Refused)]),
        header("x-amz-copy-source-if-unmodified-since", &[(COPIES, Honoured), (FROM_BODIES, Refused)]),
        // With what its source is encrypted, and whatever else narrows a copy down.
        header("x-amz-copy-source-", &[(WRITES, Refused)]),
        header("x-amz-rename-source", &[(WRITES, Refused)]),
        header("x-amz-rename-source-", &[(WRITES, Refused)]),
        // Conditions.
        header("x-amz-if-match-size", &[(CONDITIONAL, Honoured)]),
        header("x-amz-if-match-last-modified-time", &[(CONDITIONAL, Honoured)]),
        // AWS: `AbortMultipartUpload`: of directory buckets alone.
        header("x-amz-if-match-initiated-time", &[(Of::These(&[Operation::AbortMultipartUpload]), Refused)]),
        // Google's. These change nothing here.
        only_sent("x-goog-api-client", &[(Of::All, Ignored)]),
        only_sent("x-goog-api-version", &[(Of::All, Ignored)]),
        only_sent("x-goog-date", &[(Of::All, Ignored)]),
        only_sent("x-goog-gcs-idempotency-token", &[(Of::All, Ignored)]),
        only_sent("x-goog-project-id", &[(Of::All, Ignored)]),
        only_sent("x-goog-request-params", &[(Of::All, Ignored)]),
        only_sent("x-goog-request-reason", &[(Of::All, Ignored)]),
        only_sent("x-goog-user-project", &[(Of::All, Ignored)]),
        only_sent("x-goog-meta-", &[(MAKES, Honoured)]),
        only_sent("x-goog-hash", &[(STREAMS, Honoured), (Of::All, Refused)]),
        only_sent("x-goog-", &[(Of::All, Refused)]),
    ]
};

/// What takes conditions on the object that it replaces or deletes.
const CONDITIONAL: Of = Of::These(&[
    Operation::PutObject,
    Operation::CopyObject,
    Operation::CompleteMultipartUpload,
    Operation::DeleteObject,
]);

impl Of {
    fn contains(self, operation: Operation) -> bool {
        match self {
            Self::All => true,
            Self::These(operations) => operations.contains(&operation),
        }
    }
}

impl Header {
    /// Whether this row is about a header of that name.
    pub(super) fn is(&self, name: &str) -> bool {
        if self.name.ends_with('-') { name.starts_with(self.name) } else { name == self.name }
    }

    /// What an operation does with it.
    pub(super) fn treatment(&self, operation: Operation) -> Treatment {
        let case = self.cases.iter().find(|(of, _)| of.contains(operation));
        case.map_or(Treatment::Ignored, |(_, treatment)| *treatment)
    }
}

/// The row of a header; none for one that means nothing to S3 or Google.
fn find(name: &str) -> Option<&'static Header> {
    // Most headers end here.
    if !name.starts_with("x-amz-") && !name.starts_with("x-goog-") {
        return None;
    }
    ALL.iter().find(|row| row.is(name))
}

/// Whether a header counts that whoever made a link moved into its query.
pub(super) fn counts_in_links(name: &str) -> bool {
    find(name).is_none_or(|row| row.counts_in_links)
}

/// Refuses the headers that ask an operation for what it does not do.
///
/// # Errors
/// `NotImplemented` with the header's name, as S3 gives it; `InvalidArgument` for a copy source
/// without a copy.
pub(super) fn check(operation: Operation, headers: &HeaderMap) -> Result<(), Error> {
    for (name, value) in headers {
        let Some(row) = find(name.as_str()) else { continue };
        match row.treatment(operation) {
            Treatment::Honoured | Treatment::Ignored => {}
            Treatment::Only(taken) if taken.iter().any(|taken| value == taken) => {}
            Treatment::Only(_) | Treatment::Refused => {
                return Err(Error::new(Code::NotImplemented).field("Header", name.as_str()));
            }
            Treatment::OnlyOfCopies => {
                return Err(Error::invalid_argument(
                    row.name,
                    &String::from_utf8_lossy(value.as_bytes()),
                    "You can only specify a copy source header for copy requests.",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{Operation, check};

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        use Operation as O;
        for (operation, name, value, taken) in [
            (O::PutObject, "x-amz-acl", "private", true),
            (O::PutObject, "x-amz-acl", "public-read", false),
            (O::CreateBucket, "x-amz-acl", "public-read", false),
            (O::GetObject, "x-amz-acl", "public-read", true),
            (O::PutObject, "x-amz-grant-read", "id=a", false),
            (O::PutObject, "x-amz-storage-class", "STANDARD", true),
            (O::CreateMultipartUpload, "x-amz-storage-class", "GLACIER", false),
            (O::CreateBucket, "x-amz-object-ownership", "BucketOwnerEnforced", true),
            (O::CreateBucket, "x-amz-object-ownership", "ObjectWriter", false),
            (O::CreateBucket, "x-amz-bucket-namespace", "account-regional", false),
            (O::CreateBucket, "x-amz-bucket-object-lock-enabled", "false", true),
            (O::CreateBucket, "x-amz-bucket-object-lock-enabled", "true", false),
            (O::CopyObject, "x-amz-object-lock-event-hold", "ON", false),
            (O::PutObject, "x-amz-server-side-encryption-context", "e30=", false),
            (O::UploadPart, "x-amz-server-side-encryption-customer-key", "a2V5", false),
            (O::GetObject, "x-amz-server-side-encryption-customer-key", "a2V5", false),
            (O::PutObject, "x-amz-server-side-encryption", "aws:kms", false),
            (O::CopyObject, "x-amz-copy-source-server-side-encryption-customer-key", "a2V5", false),
            (O::CopyObject, "x-amz-copy-source-range", "bytes=0-1", false),
            (O::UploadPartCopy, "x-amz-copy-source-range", "bytes=0-1", true),
            (O::PutObject, "x-amz-copy-source-if-match", "a", false),
            (O::PutObjectTagging, "x-amz-copy-source", "a/b", false),
            (O::GetObject, "x-amz-copy-source", "a/b", true),
            (O::PutObject, "x-amz-write-offset-bytes", "1", false),
            (O::AbortMultipartUpload, "x-amz-if-match-initiated-time", "now", false),
            (O::PutObject, "x-amz-checksum-sha512", "AA==", false),
            (O::PutObject, "x-amz-meta-anything", "at all", true),
            (O::PutObject, "x-amz-nobody-knows", "this", true),
            (O::GetObject, "x-goog-if-generation-match", "1", false),
            (O::CompleteMultipartUpload, "x-goog-hash", "md5=AA==", false),
        ] {
            let mut headers = HeaderMap::new();
            let name: HeaderName = name.parse().expect("a name");
            headers.insert(&name, HeaderValue::from_static(value));
            assert_eq!(check(operation, &headers).is_ok(), taken, "{}: {name}: {value}", operation.name());
            headers.insert(&name, HeaderValue::from_static("private"));
            headers.append(&name, HeaderValue::from_static(value));
            assert!(taken || check(operation, &headers).is_err(), "{name} on two lines");
        }
    }
}
