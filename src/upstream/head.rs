//! The head of an answer: what is passed on of it, and what it says of the object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES, HeaderName, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::Remote;
use crate::model::{ETag, Metadata, ObjectKey, SystemHeader, Timestamp};

/// When an object was written of which upstream does not say it: 2000-01-01, before anything that
/// could be compared with it, and a time that every client can show.
const UNKNOWN_TIME_SECONDS: i64 = 946_684_800;

/// Headers that speak of the object, whatever the status.
const OF_OBJECT: [HeaderName; 5] = [ETAG, LAST_MODIFIED, CACHE_CONTROL, EXPIRES, ACCEPT_RANGES];

/// Headers that speak of the body, which is an upstream's own page where the status is 412 or 416.
const OF_BODY: [HeaderName; 5] =
    [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_DISPOSITION];

/// What the names of user metadata begin with.
const USER: [&str; 2] = ["x-amz-meta-", "x-goog-meta-"];

const GOOG_HASH: &str = "x-goog-hash";

/// What may be passed on. Hop-by-hop headers are on no list, not even if they are called like ours.
pub(super) fn passed_on(status: StatusCode, headers: &HeaderMap) -> HeaderMap {
    let dropped = hop_by_hop(headers);
    let is_object = status.is_success();
    let mut passed = HeaderMap::new();
    let singles = OF_OBJECT.iter().chain([&CONTENT_RANGE]).chain(OF_BODY.iter().filter(|_| is_object));
    for name in singles {
        if let Some(value) = headers.get(name).filter(|_| !dropped.contains(name)) {
            passed.insert(name, value.clone());
        }
    }
    // RFC 9110 section 13.1.1: a weak tag matches no If-Match, so that a client which asks for the
    // parts of one version would get none.
    if strong_tag(headers).is_none() {
        passed.remove(ETAG);
    }
    if status == StatusCode::PRECONDITION_FAILED || status == StatusCode::RANGE_NOT_SATISFIABLE {
        return passed;
    }
    let was_changed = is_transcoded(headers);
    for (name, value) in headers {
        let is_user = USER.iter().any(|prefix| name.as_str().starts_with(prefix));
        let is_sum = name.as_str().starts_with("x-amz-checksum-") || name == GOOG_HASH;
        if (is_user || is_sum && !was_changed) && !dropped.contains(name) {
            passed.append(name, value.clone());
        }
    }
    passed
}

/// RFC 9110 section 7.6.1: what `Connection` names is for the next hop only.
fn hop_by_hop(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

/// Reads what the head of an answer says of the whole object.
pub(super) fn remote(key: &ObjectKey, status: StatusCode, headers: &HeaderMap) -> Remote {
    let was_changed = is_transcoded(headers);
    let size_bytes = if was_changed { None } else { size(status, headers) };
    let modified = text(headers, &LAST_MODIFIED).and_then(Timestamp::parse_http_date);
    let modified = modified.map_or_else(unknown_time, Timestamp::truncated_to_seconds);
    let tag = strong_tag(headers);
    let hashes = if was_changed { Hashes::default() } else { Hashes::read(headers) };
    let md5_of_tag = || tag.as_ref().filter(|_| !was_changed && !is_encrypted(headers)).and_then(md5_of);
    Remote {
        key: key.clone(),
        size_bytes,
        md5: hashes.md5.or_else(md5_of_tag),
        crc32c: hashes.crc32c,
        etag: tag.unwrap_or_else(|| derived_tag(size_bytes, modified)),
        modified,
        metadata: if status.is_client_error() { Metadata::default() } else { metadata(headers) },
    }
}

/// The fixed time of objects of which no time is known.
pub(super) fn unknown_time() -> Timestamp {
    Timestamp::from_seconds(UNKNOWN_TIME_SECONDS)
}

/// The tag of an object that has none, or only a weak one. Its hyphen keeps it from being taken for
/// an MD5, its lengths from being taken for a multipart tag.
pub(super) fn derived_tag(size_bytes: Option<u64>, modified: Timestamp) -> ETag {
    let size = size_bytes.map_or_else(|| "unsized".to_owned(), |size| format!("{size:x}"));
    ETag::parse(&format!("{:x}-{size}", modified.as_seconds())).expect("digits, a hyphen and letters")
}

/// The MD5 that a tag is, by S3's and Google's rule for objects written in one request.
pub(super) fn md5_of(tag: &ETag) -> Option<[u8; 16]> {
    let digits = tag.as_str();
    let mut md5 = [0; 16];
    let is_lower = !digits.bytes().any(|byte| byte.is_ascii_uppercase());
    (is_lower && hex::decode_to_slice(digits, &mut md5).is_ok()).then_some(md5)
}

fn strong_tag(headers: &HeaderMap) -> Option<ETag> {
    let value = text(headers, &ETAG)?;
    if value.trim().starts_with("W/") { None } else { ETag::parse(value).ok() }
}

/// AWS: "Common response headers", `ETag`: that of an object encrypted with a key of KMS or of the
/// customer is not an MD5, though it looks like one.
fn is_encrypted(headers: &HeaderMap) -> bool {
    let by_kms = headers
        .get("x-amz-server-side-encryption")
        .is_some_and(|value| value.as_bytes().starts_with(b"aws:kms"));
    by_kms || headers.contains_key("x-amz-server-side-encryption-customer-algorithm")
}

/// GCS: "Transcoding of gzip-compressed files": the bytes that come are not those that are stored,
/// and length and hashes speak of the latter.
fn is_transcoded(headers: &HeaderMap) -> bool {
    let stored =
        headers.get("x-goog-stored-content-encoding").map_or(&b"identity"[..], HeaderValue::as_bytes);
    let sent = headers.get(CONTENT_ENCODING).map_or(&b"identity"[..], HeaderValue::as_bytes);
    headers.contains_key("x-goog-stored-content-encoding") && !stored.eq_ignore_ascii_case(sent)
}

fn size(status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    match status {
        StatusCode::OK => number(text(headers, &CONTENT_LENGTH)?),
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            // RFC 9110 section 14.4: `bytes 0-9/100` and `bytes */100`.
            number(text(headers, &CONTENT_RANGE)?.rsplit_once('/')?.1)
        }
        _ => None,
    }
}

/// `u64::from_str` would also take a sign.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What does not fit the limits of the model is left out: an object with odd metadata is still
/// there to be read.
fn metadata(headers: &HeaderMap) -> Metadata {
    let mut metadata = Metadata::default();
    let dropped = hop_by_hop(headers);
    for header in SystemHeader::ALL {
        // Where a bucket redirects its website's visitors is no business of a stage.
        if header == SystemHeader::WebsiteRedirectLocation {
            continue;
        }
        let value = headers.get(header.name()).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        if let Some(value) = value {
            drop(metadata.set_system(header, value));
        }
    }
    for name in headers.keys().filter(|name| !dropped.contains(name)) {
        let Some(bare) = USER.iter().find_map(|prefix| name.as_str().strip_prefix(prefix)) else { continue };
        let values = headers.get_all(name).iter().map(|value| std::str::from_utf8(value.as_bytes()));
        let Ok(values) = values.collect::<Result<Vec<_>, _>>() else { continue };
        if metadata.set_user(bare, &values.join(",")).is_err() {
            metadata.remove_user(bare);
        }
    }
    metadata
}

/// `x-goog-hash: crc32c=…,md5=…`, in one header or in several.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hashes {
    md5: Option<[u8; 16]>,
    crc32c: Option<u32>,
}

impl Hashes {
    fn read(headers: &HeaderMap) -> Self {
        let mut hashes = Self::default();
        let values = headers.get_all(GOOG_HASH).iter().filter_map(|value| value.to_str().ok());
        for (name, value) in values.flat_map(|value| value.split(',')).filter_map(|item| item.split_once('='))
        {
            let Ok(bytes) = STANDARD.decode(value.trim()) else { continue };
            match name.trim() {
                "md5" => hashes.md5 = bytes.try_into().ok(),
                "crc32c" => hashes.crc32c = bytes.try_into().ok().map(u32::from_be_bytes),
                _ => {}
            }
        }
        hashes
    }
}
