//! Tags that are made of an object's time and size, where production had no better one to give.
//!
//! Plain servers send weak tags or none, and an imported index may know size and time alone. A
//! client that was told such a tag comes back with it, in `If-Match` for each part of a download,
//! when the object may have a tag of production's own, or is kept here by now. It still means the
//! same object. Upstream has never heard of these tags and must not be asked about them.
//!
//! Deliberately elsewhere: how they are made (`model`), and when (`upstream`, `view`).

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH, IF_RANGE};

use crate::model::{Comparison, ETag, ETagMatch, ObjectState};
use crate::store::{Object, Origin};

/// Headers that name tags.
pub const NAMING: [HeaderName; 3] = [IF_MATCH, IF_NONE_MATCH, IF_RANGE];

/// What a client's conditions are compared with: the object, by the tag made of it if that is the
/// kind of tag that the client names and the object is production's.
///
/// Other servers make tags of two such numbers as well, so that the object's own tag comes first.
pub fn compared(object: &Object, headers: &HeaderMap) -> ObjectState {
    let state = object.state();
    let is_made_named = || named(headers).any(|tag| is_made(&tag));
    let is_named = |wanted: &ETag| named(headers).any(|tag| tag == *wanted);
    if object.origin != Origin::Cached || is_named(&state.etag) || !is_made_named() {
        return state;
    }
    // What was told while the size was not known means the same object.
    let of_time = ETag::of_time_and_size(state.modified, None);
    let of_size = ETag::of_time_and_size(state.modified, Some(state.size_bytes));
    ObjectState { etag: if is_named(&of_time) { of_time } else { of_size }, ..state }
}

/// Whether a condition names such a tag, or one of production's that looks like it.
pub fn is_named(headers: &HeaderMap) -> bool {
    named(headers).any(|tag| is_made(&tag))
}

/// All tags that conditions name.
fn named(headers: &HeaderMap) -> impl Iterator<Item = ETag> {
    let tags = NAMING.iter().flat_map(|name| {
        let comparison = if *name == IF_NONE_MATCH { Comparison::Weak } else { Comparison::Strong };
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.map(move |value| ETagMatch::parse(value, comparison))
    });
    tags.flat_map(|tags| match tags {
        ETagMatch::Any => Vec::new(),
        ETagMatch::OneOf(tags) => tags,
    })
}

/// `SECONDS-SIZE`, both in hexadecimal, or `SECONDS-unsized`, as [`ETag::of_time_and_size`] makes
/// them. A multipart tag has 32 digits before its hyphen, and seconds never have so many.
fn is_made(tag: &ETag) -> bool {
    let is_hex = |text: &str| {
        (1..=16).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let parts = tag.as_str().split_once('-');
    parts.is_some_and(|(seconds, size)| is_hex(seconds) && (size == "unsized" || is_hex(size)))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::is_named;

    #[test]
    fn tags_of_time_and_size_are_told_from_all_others() {
        for (header, value, expected) in [
            ("if-match", "\"6b00f353-ff\"", true),
            ("if-none-match", "\"0-0\"", true),
            ("if-none-match", "W/\"0-0\"", true),
            ("if-match", "W/\"0-0\"", false),
            ("if-range", "\"6b00f353-ff\"", true),
            ("if-match", "\"abc\", \"6b00f353-ff\"", true),
            ("if-match", "\"6b00f353-unsized\"", true),
            ("if-match", "\"-unsized\"", false),
            ("if-match", "*", false),
            ("if-match", "\"d41d8cd98f00b204e9800998ecf8427e\"", false),
            ("if-match", "\"d41d8cd98f00b204e9800998ecf8427e-12\"", false),
            ("if-match", "\"6b00f353-\"", false),
            ("if-match", "\"6B00F353-FF\"", false),
            ("if-modified-since", "\"6b00f353-ff\"", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header, HeaderValue::from_static(value));
            assert_eq!(is_named(&headers), expected, "{header}: {value}");
        }
    }
}
