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

/// The longest header that is kept with an object. AWS: "Uploading objects": all headers of a PUT
/// together have 8 KB, so no object of S3 has more.
const VALUE_BYTES_MAX: usize = 8 << 10;

/// What may be passed on. Hop-by-hop headers are on no list, not even if they are called like ours.
pub(super) fn passed_on(status: StatusCode, headers: &HeaderMap) -> HeaderMap {
    let dropped = hop_by_hop(headers);
    let is_object = status.is_success();
    let mut passed = HeaderMap::new();
    let is_part = matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE);
    let range = [&CONTENT_RANGE].into_iter().filter(|_| is_part);
    let singles = OF_OBJECT.iter().chain(range).chain(OF_BODY.iter().filter(|_| is_object));
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
        etag: tag.unwrap_or_else(|| ETag::of_time_and_size(modified, size_bytes)),
        modified,
        metadata: if status.is_client_error() { Metadata::default() } else { metadata(headers) },
    }
}

/// The fixed time of objects of which no time is known.
pub(super) fn unknown_time() -> Timestamp {
    Timestamp::from_seconds(UNKNOWN_TIME_SECONDS)
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
        if let Some(value) = value.filter(|value| value.len() <= VALUE_BYTES_MAX) {
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

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::{passed_on, remote};
    use crate::model::{ETag, ObjectKey, SystemHeader, Timestamp};
    use crate::upstream::Remote;

    const MD5: &str = "5d41402abc4b2a76b9719d911017c592";

    /// Five bytes, at 1,795,209,619 seconds.
    const DERIVED: &str = "6b00b993-5";

    fn headers(lines: &str) -> HeaderMap {
        let pair = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a header");
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            (name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
        };
        lines.split('|').filter(|line| !line.is_empty()).map(pair).collect()
    }

    fn read(status: u16, lines: &str) -> Remote {
        let key = ObjectKey::parse("a").expect("a key");
        remote(&key, StatusCode::from_u16(status).expect("a status"), &headers(lines))
    }

    #[test]
    fn the_size_is_that_of_the_whole_object() {
        for (status, lines, expected) in [
            (200, "Content-Length: 5", Some(5)),
            (200, "Content-Length: 0", Some(0)),
            (200, "", None),
            (206, "Content-Length: 2|Content-Range: bytes 1-2/5", Some(5)),
            (206, "Content-Length: 2|Content-Range: bytes 1-2/*", None),
            (206, "Content-Length: 2", None),
            (206, "Content-Range: bytes 1-2/+5", None),
            (206, "Content-Range: bytes 1-2/", None),
            (416, "Content-Length: 99|Content-Range: bytes */5", Some(5)),
            (304, "Content-Length: 0", None),
            (412, "Content-Length: 99", None),
        ] {
            assert_eq!(read(status, lines).size_bytes, expected, "{status} {lines}");
        }
    }

    #[test]
    fn a_tag_is_strong_or_made_of_size_and_time() {
        let time = "Last-Modified: Fri, 20 Nov 2026 21:20:19 GMT|Content-Length: 5";
        for (lines, expected) in [
            ("ETag: \"abc\"", "abc"),
            ("ETag: abc-2", "abc-2"),
            ("ETag: W/\"abc\"", DERIVED),
            ("ETag: \"a b\"", DERIVED),
            ("ETag: \"\"", DERIVED),
            ("", DERIVED),
        ] {
            let lines = format!("{time}|{lines}");
            let found = read(200, &lines);
            assert_eq!(found.etag.as_str(), expected, "{lines}");
            let passed = passed_on(StatusCode::OK, &headers(&lines));
            assert_eq!(passed.contains_key("etag"), expected != DERIVED, "{lines}");
        }
        let tag = ETag::of_time_and_size(Timestamp::from_seconds(255), None);
        assert_eq!(tag.as_str(), "ff-unsized");
        // As long as an MD5 with a number of parts it never is.
        let tag = ETag::of_time_and_size(Timestamp::from_seconds(i64::MAX), Some(u64::MAX));
        assert!(tag.as_str().split_once('-').is_some_and(|(time, _)| time.len() < 32));
    }

    #[test]
    fn a_time_that_is_missing_is_always_the_same() {
        for lines in ["", "Last-Modified: yesterday"] {
            assert_eq!(read(200, lines).modified.iso().to_string(), "2000-01-01T00:00:00.000Z");
        }
    }

    #[test]
    fn sums_come_from_googles_header_or_from_a_tag_that_is_one() {
        let google = "x-goog-hash: crc32c=mnG7TA==|x-goog-hash: md5=XUFAKrxLKna5cZ2REBfFkg==";
        let both = "x-goog-hash: crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg==";
        let (md5, crc32c) = (Some(MD5), Some(0x9a71_bb4c));
        for (lines, expected) in [
            (google.to_owned(), (md5, crc32c)),
            (both.to_owned(), (md5, crc32c)),
            (format!("{both}|ETag: \"{}\"", "0".repeat(32)), (md5, crc32c)),
            ("x-goog-hash: md5=AAAA,crc32c=?,sha1=AA==".to_owned(), (None, None)),
            (format!("ETag: \"{MD5}\""), (md5, None)),
            (format!("ETag: {MD5}"), (md5, None)),
            (format!("ETag: \"{}\"", MD5.to_uppercase()), (None, None)),
            (format!("ETag: \"{MD5}-2\""), (None, None)),
            (format!("ETag: W/\"{MD5}\""), (None, None)),
            (format!("ETag: \"{MD5}\"|x-amz-server-side-encryption: AES256"), (md5, None)),
            (format!("ETag: \"{MD5}\"|x-amz-server-side-encryption: aws:kms"), (None, None)),
            (
                format!("ETag: \"{MD5}\"|x-amz-server-side-encryption-customer-algorithm: AES256"),
                (None, None),
            ),
        ] {
            let found = read(200, &lines);
            assert_eq!((found.md5.map(hex::encode).as_deref(), found.crc32c), expected, "{lines}");
        }
    }

    #[test]
    fn sums_and_size_of_other_bytes_than_those_sent_are_not_believed() {
        let sums =
            "Content-Length: 9|ETag: \"5d41402abc4b2a76b9719d911017c592\"|x-goog-hash: crc32c=mnG7TA==";
        for (lines, expected) in [
            ("x-goog-stored-content-encoding: gzip", false),
            ("x-goog-stored-content-encoding: gzip|Content-Encoding: gzip", true),
            ("x-goog-stored-content-encoding: identity|Content-Encoding: gzip", false),
            ("x-goog-stored-content-encoding: identity", true),
            ("Content-Encoding: gzip", true),
        ] {
            let lines = format!("{sums}|{lines}");
            let found = read(200, &lines);
            assert_eq!(
                (found.size_bytes.is_some(), found.md5.is_some(), found.crc32c.is_some()),
                (expected, expected, expected),
                "{lines}"
            );
            let passed = passed_on(StatusCode::OK, &headers(&lines));
            assert_eq!(passed.contains_key("x-goog-hash"), expected, "{lines}");
        }
    }

    #[test]
    fn metadata_is_read_from_both_dialects_and_kept_within_limits() {
        let found = read(
            200,
            "Cache-Control: max-age=1|Content-Encoding: gzip|Expires: 0|Content-Type: a/b\
             |x-amz-website-redirect-location: https://evil.example/\
             |x-amz-meta-One: 1|x-amz-meta-one: 2|x-goog-meta-two: é|Connection: close, x-amz-meta-hop\
             |x-amz-meta-hop: 3",
        );
        let system: Vec<_> = found.metadata.system_headers().collect();
        assert_eq!(
            system,
            [
                (SystemHeader::CacheControl, "max-age=1"),
                (SystemHeader::ContentEncoding, "gzip"),
                (SystemHeader::ContentType, "a/b"),
                (SystemHeader::Expires, "0"),
            ]
        );
        assert_eq!(found.metadata.user().collect::<Vec<_>>(), [("one", "1,2"), ("two", "é")]);
        let found = read(200, &format!("Cache-Control: {}|Content-Type: a/b", "x".repeat(8193)));
        let kept: Vec<_> = found.metadata.system_headers().collect();
        assert_eq!(kept, [(SystemHeader::ContentType, "a/b")], "of a header that is too long");
        let found = read(200, &format!("x-amz-meta-a: 1|x-amz-meta-b: {}|x-amz-meta-c: 3", "x".repeat(8192)));
        assert_eq!(found.metadata.user().collect::<Vec<_>>(), [("a", "1"), ("c", "3")]);
        assert_eq!(read(416, "Content-Type: text/html").metadata.system_headers().count(), 0);
    }

    #[test]
    fn what_is_on_no_list_is_not_passed_on() {
        let lines = "Set-Cookie: a|Server: b|Date: c|x-amz-request-id: d|x-amz-id-2: e|Transfer-Encoding: chunked\
            |Connection: Expires|Expires: 0|Location: /|Strict-Transport-Security: f|Content-Location: /g\
            |x-amz-server-side-encryption: AES256|Access-Control-Allow-Origin: *|Content-Range: bytes 0-0/1\
            |Accept-Ranges: bytes|x-amz-checksum-crc32: AAAAAA==|x-amz-meta-h: 1|x-goog-meta-i: 2\
            |x-goog-hash: crc32c=mnG7TA==|x-goog-hash: md5=XUFAKrxLKna5cZ2REBfFkg==";
        let passed = passed_on(StatusCode::OK, &headers(lines));
        let mut names: Vec<_> = passed.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let expected = [
            "accept-ranges",
            "x-amz-checksum-crc32",
            "x-amz-meta-h",
            "x-goog-hash",
            "x-goog-hash",
            "x-goog-meta-i",
        ];
        assert_eq!(names, expected);
    }
}
