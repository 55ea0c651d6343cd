//! The string to sign, and checking its signature.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha1::Sha1;

use crate::model::{AccessKeyId, SecretKey};
use crate::signature::{Mismatch, Query, SignatureError, SignedRequest, same_text, shortened};

/// The parameters that name a sub-resource or change the answer, and so are signed.
///
/// AWS: "Constructing the CanonicalizedResource element"; the later ones as botocore signs them.
const SUB_RESOURCES: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// Whether a signature covers a query name, so that nobody can add it to a signed request.
pub fn signs(name: &str) -> bool {
    SUB_RESOURCES.contains(&name)
}

/// What a client says that it signed.
pub(super) struct Claim<'a> {
    pub(super) access_key_id: &'a AccessKeyId,
    /// The fourth line: `Date`, nothing if `x-amz-date` is there, `Expires` in a link.
    pub(super) date_line: &'a str,
    pub(super) signature: &'a str,
    /// Whether `x-amz-…` parameters are headers too: in a link alone.
    pub(super) is_link: bool,
}

impl Claim<'_> {
    /// Whether the signature holds for any spelling of the request that decodes to the same key.
    pub(super) fn verify(
        &self,
        request: &SignedRequest<'_>,
        secret: &SecretKey,
    ) -> Result<(), SignatureError> {
        let sub_resources = canonical_sub_resources(&request.query());
        let mut amz_headers = amz_headers(request.headers);
        if self.is_link {
            amz_headers.extend(self::amz_headers(&request.headers_in_query()));
        }
        let amz_headers = render(amz_headers);
        let mut shown = None;
        for path in path_spellings(request) {
            let string_to_sign = self.string_to_sign(request, &amz_headers, &path, &sub_resources);
            if same_text(&sign(secret, &string_to_sign), self.signature) {
                return Ok(());
            }
            shown.get_or_insert(string_to_sign);
        }
        Err(SignatureError::DoesNotMatch(Box::new(Mismatch {
            access_key_id: self.access_key_id.clone(),
            string_to_sign: String::from_utf8_lossy(&shown.unwrap_or_default()).into_owned(),
            canonical_request: None,
            signature_provided: shortened(self.signature),
        })))
    }

    fn string_to_sign(
        &self,
        request: &SignedRequest<'_>,
        amz_headers: &[u8],
        path: &str,
        sub_resources: &str,
    ) -> Vec<u8> {
        let first =
            |name: &str| request.headers.get(name).map_or(&b""[..], |value| value.as_bytes().trim_ascii());
        let lines = [
            request.method.as_str().as_bytes(),
            first("content-md5"),
            first("content-type"),
            self.date_line.as_bytes(),
        ];
        let mut string = lines.join(&b'\n');
        string.push(b'\n');
        string.extend_from_slice(amz_headers);
        if let Some(bucket) = request.virtual_host_bucket {
            string.push(b'/');
            string.extend_from_slice(bucket.as_bytes());
        }
        string.extend_from_slice(path.as_bytes());
        string.extend_from_slice(sub_resources.as_bytes());
        string
    }
}

/// The spellings of the path, and for a bucket in path style the one that virtual-host style gives.
///
/// S3: botocore signs `/bucket/` however the bucket is addressed, and sends `/bucket`.
fn path_spellings(request: &SignedRequest<'_>) -> Vec<String> {
    let mut spellings = request.path_spellings();
    let is_bucket = request.path.len() > 1 && request.path.rfind('/') == Some(0);
    if is_bucket && request.virtual_host_bucket.is_none() {
        spellings.extend(spellings.clone().into_iter().map(|path| path + "/"));
    }
    spellings
}

fn sign(secret: &SecretKey, string_to_sign: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(string_to_sign);
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// `?name=value&name`, sorted by name, values decoded; empty if there are none.
fn canonical_sub_resources(query: &Query) -> String {
    let mut pairs: Vec<_> = query
        .pairs()
        .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
        .filter(|(name, _)| signs(name))
        .collect();
    pairs.sort();
    let mut text = String::new();
    for (name, value) in pairs {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(&name);
        if !value.is_empty() {
            text.push('=');
            text.push_str(&value);
        }
    }
    text
}

/// Name and value of each `x-amz-…` header; several values are joined by a comma.
fn amz_headers(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let names = headers.keys().filter(|name| name.as_str().starts_with("x-amz-"));
    let line = |name: &http::HeaderName| {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()).collect();
        (name.as_str().to_owned(), values.join(&b','))
    };
    names.map(line).collect()
}

fn render(mut lines: Vec<(String, Vec<u8>)>) -> Vec<u8> {
    lines.sort();
    let line = |(name, value): (String, Vec<u8>)| {
        [
            name.as_bytes(),
            b":",
            &value,
            b"
",
        ]
        .concat()
    };
    lines.into_iter().flat_map(line).collect()
}
