//! The If-Match family, read from headers into the model's values. Pure.
//!
//! RFC 9110 section 13.1; AWS: "Conditional requests", "Conditional writes", "Conditional deletes".
//!
//! Deliberately elsewhere: evaluating them (`model`), within the store's transaction for writes.

use http::HeaderMap;
use http::header::{
    HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};

use crate::model::{Comparison, ETag, ETagMatch, RangeSpec, ReadConditions, Timestamp, WriteConditions};

/// A condition of a write that cannot be honoured. Ignoring it could destroy what it protects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCondition {
    /// The value is not of the header's kind: `InvalidArgument`.
    #[error("the value {value:?} of {header} is not {wanted}")]
    Malformed {
        /// The header's name.
        header: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        wanted: &'static str,
    },
    /// S3 has no such condition on writes: `NotImplemented`.
    #[error("A header you provided implies functionality that is not implemented")]
    NotImplemented {
        /// The header's name.
        header: &'static str,
    },
}

/// The value of `If-Range`: the range is used only if the object is still this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfRange {
    /// The object has this tag.
    ETag(ETag),
    /// The object was written at this second.
    Date(Timestamp),
    /// A weak tag or no value at all: it holds for no object.
    Never,
}

/// The date conditions of S3, on what is read and on the source of a copy.
const S3_DATES: [HeaderName; 4] = [
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
    HeaderName::from_static("x-amz-copy-source-if-modified-since"),
    HeaderName::from_static("x-amz-copy-source-if-unmodified-since"),
];

/// Says S3's date conditions as HTTP dates, once the signature over them was checked, so that all
/// that lies behind the S3 face takes them alike, production included.
///
/// S3: ISO 8601 and zones of their own are read too; what cannot be parsed and what lies in the
/// future is ignored (versitygw and Ozone have compared theirs with AWS).
pub fn as_http_dates(headers: &mut HeaderMap, now: Timestamp) {
    for name in S3_DATES {
        let mut values = headers.get_all(&name).iter();
        let Some(first) = values.next() else { continue };
        // Two dates are no date (RFC 9110 section 13.1.3).
        let only = if values.next().is_none() { first.to_str().ok() } else { None };
        let date = only.and_then(Timestamp::parse_any).filter(|date| *date <= now);
        match date.and_then(|date| HeaderValue::try_from(date.http_date().to_string()).ok()) {
            Some(value) => drop(headers.insert(name, value)),
            None => drop(headers.remove(name)),
        }
    }
}

/// Conditions of GET and HEAD.
///
/// Dates that cannot be read are ignored (RFC 9110 sections 13.1.3 and 13.1.4).
pub fn of_read(headers: &HeaderMap) -> ReadConditions {
    ReadConditions {
        if_match: tags(headers, IF_MATCH.as_str(), Comparison::Strong),
        if_none_match: tags(headers, IF_NONE_MATCH.as_str(), Comparison::Weak),
        if_modified_since: date(headers, IF_MODIFIED_SINCE.as_str()),
        if_unmodified_since: date(headers, IF_UNMODIFIED_SINCE.as_str()),
    }
}

/// Conditions on the source of CopyObject and UploadPartCopy: `x-amz-copy-source-if-…`.
pub fn of_copy_source(headers: &HeaderMap) -> ReadConditions {
    ReadConditions {
        if_match: tags(headers, "x-amz-copy-source-if-match", Comparison::Strong),
        if_none_match: tags(headers, "x-amz-copy-source-if-none-match", Comparison::Weak),
        if_modified_since: date(headers, "x-amz-copy-source-if-modified-since"),
        if_unmodified_since: date(headers, "x-amz-copy-source-if-unmodified-since"),
    }
}

/// Conditions of PUT, CopyObject, CompleteMultipartUpload and DELETE on what they would replace.
pub fn of_write(headers: &HeaderMap) -> Result<WriteConditions, InvalidCondition> {
    const SIZE: &str = "x-amz-if-match-size";
    const MODIFIED: &str = "x-amz-if-match-last-modified-time";
    let if_none_match = tags(headers, IF_NONE_MATCH.as_str(), Comparison::Weak);
    // S3: "Expects the '*' (asterisk) character" for If-None-Match of a write.
    if if_none_match.as_ref().is_some_and(|tags| *tags != ETagMatch::Any) {
        return Err(InvalidCondition::NotImplemented { header: "If-None-Match" });
    }
    Ok(WriteConditions {
        if_match: tags(headers, IF_MATCH.as_str(), Comparison::Strong),
        if_none_match,
        if_match_size: parsed(headers, SIZE, "a number of bytes", digits)?,
        if_match_modified: parsed(headers, MODIFIED, "a date", Timestamp::parse_any)?,
        ..WriteConditions::default()
    })
}

/// What `Range` asks for; `None` for the whole object, and for values that S3 ignores.
pub fn range(headers: &HeaderMap) -> Option<RangeSpec> {
    RangeSpec::parse(text(headers, RANGE.as_str())?)
}

/// The value of `If-Range`, if there is one.
pub fn if_range(headers: &HeaderMap) -> Option<IfRange> {
    let value = headers.get(IF_RANGE)?.to_str().unwrap_or_default().trim();
    // RFC 9110 section 13.1.5: a tag and a date are told apart by the quotation mark.
    if value.starts_with('"') {
        return Some(ETag::parse(value).map_or(IfRange::Never, IfRange::ETag));
    }
    Some(Timestamp::parse_http_date(value).map_or(IfRange::Never, IfRange::Date))
}

fn text<'headers>(headers: &'headers HeaderMap, name: &str) -> Option<&'headers str> {
    headers.get(name)?.to_str().ok()
}

/// Several headers of one name are one list (RFC 9110 section 5.3).
///
/// A value that is not text is kept as a list without tags, so that a condition never vanishes.
fn tags(headers: &HeaderMap, name: &str, comparison: Comparison) -> Option<ETagMatch> {
    if !headers.contains_key(name) {
        return None;
    }
    let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    Some(ETagMatch::parse(&values.join(","), comparison))
}

fn date(headers: &HeaderMap, name: &str) -> Option<Timestamp> {
    Timestamp::parse_http_date(text(headers, name)?)
}

fn parsed<T>(
    headers: &HeaderMap,
    header: &'static str,
    wanted: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, InvalidCondition> {
    let Some(value) = headers.get(header) else { return Ok(None) };
    let value = String::from_utf8_lossy(value.as_bytes());
    let malformed =
        || InvalidCondition::Malformed { header, value: value.chars().take(80).collect(), wanted };
    parse(&value).ok_or_else(malformed).map(Some)
}

/// `u64::from_str` would also take a sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{
        IfRange, InvalidCondition, S3_DATES, as_http_dates, if_range, of_copy_source, of_read, of_write,
        range,
    };
    use crate::model::{ETag, ETagMatch, RangeSpec, ReadConditions, Timestamp, WriteConditions};

    const DATE: &str = "Fri, 20 Nov 2026 21:20:19 GMT";
    const DATE_SECONDS: i64 = 1_795_209_619;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| -> (HeaderName, HeaderValue) {
            (name.parse().expect("a header name"), value.parse().expect("a header value"))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    fn one_of(tags: &[&str]) -> ETagMatch {
        ETagMatch::OneOf(tags.iter().map(|tag| ETag::parse(tag).expect("a tag")).collect())
    }

    fn date() -> Timestamp {
        Timestamp::from_seconds(DATE_SECONDS)
    }

    #[test]
    fn conditions_of_a_read_are_read() {
        let none = ReadConditions::default;
        for (pairs, expected) in [
            (&[][..], none()),
            (&[("if-match", "\"a\"")], ReadConditions { if_match: Some(one_of(&["a"])), ..none() }),
            (&[("if-match", "*")], ReadConditions { if_match: Some(ETagMatch::Any), ..none() }),
            (
                &[("if-none-match", "\"a\", b"), ("if-none-match", "\"c\"")],
                ReadConditions { if_none_match: Some(one_of(&["a", "b", "c"])), ..none() },
            ),
            // What cannot be a tag matches nothing, and the condition stays.
            (&[("if-match", "W/\"a\"")], ReadConditions { if_match: Some(one_of(&[])), ..none() }),
            (
                &[("if-none-match", "W/\"a\", \"b\"")],
                ReadConditions { if_none_match: Some(one_of(&["a", "b"])), ..none() },
            ),
            (&[("if-match", "")], ReadConditions { if_match: Some(one_of(&[])), ..none() }),
            (&[("if-modified-since", DATE)], ReadConditions { if_modified_since: Some(date()), ..none() }),
            (
                &[("if-unmodified-since", DATE)],
                ReadConditions { if_unmodified_since: Some(date()), ..none() },
            ),
            (&[("if-modified-since", "yesterday"), ("if-unmodified-since", "")], none()),
        ] {
            assert_eq!(of_read(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn the_date_conditions_of_s3_become_http_dates_or_go() {
        let now = Timestamp::from_seconds(DATE_SECONDS);
        for (value, expected) in [
            (DATE, Some(DATE)),
            ("Friday, 20-Nov-26 21:20:19 GMT", Some(DATE)),
            ("Fri Nov 20 21:20:19 2026", Some(DATE)),
            ("Fri, 20 Nov 2026 21:20:19 -0000", Some(DATE)),
            ("Fri, 20 Nov 2026 22:20:19 +0100", Some(DATE)),
            ("Fri, 20 Nov 2026 21:20:19 UTC", Some(DATE)),
            ("2026-11-20T21:20:19Z", Some(DATE)),
            ("2026-11-20T21:20:19.000Z", Some(DATE)),
            ("2026-11-20T22:20:19+01:00", Some(DATE)),
            ("20261120T212019Z", Some(DATE)),
            ("2020-01-01T00:00:00Z", Some("Wed, 01 Jan 2020 00:00:00 GMT")),
            ("1950-01-01T00:00:00Z", Some("Thu, 01 Jan 1970 00:00:00 GMT")),
            ("Fri, 20 Nov 2026 21:20:20 GMT", None),
            ("2026-11-20T21:20:19.001Z", None),
            ("9999-12-31T23:59:59Z", None),
            ("2026-11-20", None),
            ("1795209619", None),
            ("yesterday", None),
            ("", None),
        ] {
            for name in S3_DATES {
                let mut headers = headers(&[(name.as_str(), value), ("if-match", "\"a\"")]);
                as_http_dates(&mut headers, now);
                let read = headers.get(&name).map(|value| value.to_str().expect("ASCII"));
                assert_eq!(read, expected, "{name}: {value}");
                assert!(headers.contains_key("if-match"), "{name}: {value}");
            }
        }
        let mut twice = headers(&[("if-modified-since", DATE), ("if-modified-since", DATE)]);
        as_http_dates(&mut twice, now);
        assert!(twice.is_empty(), "{twice:?}");
    }

    #[test]
    fn without_s3_a_date_is_an_http_date_and_may_be_in_the_future() {
        let future = "Sat, 20 Nov 9998 21:20:19 GMT";
        let headers =
            headers(&[("if-modified-since", future), ("if-unmodified-since", "2020-01-01T00:00:00Z")]);
        let expected = ReadConditions {
            if_modified_since: Timestamp::parse_http_date(future),
            ..ReadConditions::default()
        };
        assert_eq!(of_read(&headers), expected);
    }

    #[test]
    fn conditions_of_a_copys_source_have_names_of_their_own() {
        let headers = headers(&[
            ("if-match", "\"destination\""),
            ("x-amz-copy-source-if-match", "\"a\""),
            ("x-amz-copy-source-if-none-match", "\"b\""),
            ("x-amz-copy-source-if-modified-since", DATE),
            ("x-amz-copy-source-if-unmodified-since", DATE),
        ]);
        let expected = ReadConditions {
            if_match: Some(one_of(&["a"])),
            if_none_match: Some(one_of(&["b"])),
            if_modified_since: Some(date()),
            if_unmodified_since: Some(date()),
        };
        assert_eq!(of_copy_source(&headers), expected);
    }

    #[test]
    fn conditions_of_a_write_are_read() {
        let none = WriteConditions::default;
        for (pairs, expected) in [
            (&[][..], none()),
            (&[("if-none-match", "*")], WriteConditions { if_none_match: Some(ETagMatch::Any), ..none() }),
            (&[("if-match", "\"a\"")], WriteConditions { if_match: Some(one_of(&["a"])), ..none() }),
            (&[("x-amz-if-match-size", "12")], WriteConditions { if_match_size: Some(12), ..none() }),
            (
                &[("x-amz-if-match-last-modified-time", DATE)],
                WriteConditions { if_match_modified: Some(date()), ..none() },
            ),
            (
                &[("x-amz-if-match-last-modified-time", "2026-11-20T21:20:19Z")],
                WriteConditions { if_match_modified: Some(date()), ..none() },
            ),
        ] {
            assert_eq!(of_write(&headers(pairs)), Ok(expected), "{pairs:?}");
        }
    }

    #[test]
    fn a_condition_of_a_write_that_cannot_be_honoured_is_refused() {
        let malformed = |header, value: &str, wanted| InvalidCondition::Malformed {
            header,
            value: value.to_owned(),
            wanted,
        };
        for (name, value, expected) in [
            ("if-none-match", "\"a\"", InvalidCondition::NotImplemented { header: "If-None-Match" }),
            ("x-amz-if-match-size", "-1", malformed("x-amz-if-match-size", "-1", "a number of bytes")),
            ("x-amz-if-match-size", "+1", malformed("x-amz-if-match-size", "+1", "a number of bytes")),
            (
                "x-amz-if-match-last-modified-time",
                "now",
                malformed("x-amz-if-match-last-modified-time", "now", "a date"),
            ),
        ] {
            assert_eq!(of_write(&headers(&[(name, value)])), Err(expected), "{name}: {value}");
        }
    }

    #[test]
    fn if_range_is_a_tag_or_a_date_or_holds_for_nothing() {
        for (value, expected) in [
            ("\"a\"", IfRange::ETag(ETag::parse("a").expect("a tag"))),
            (DATE, IfRange::Date(Timestamp::from_seconds(DATE_SECONDS))),
            ("W/\"a\"", IfRange::Never),
            ("tomorrow", IfRange::Never),
            ("\"", IfRange::Never),
            ("", IfRange::Never),
        ] {
            assert_eq!(if_range(&headers(&[("if-range", value)])), Some(expected), "{value:?}");
        }
        assert_eq!(if_range(&HeaderMap::new()), None);
    }

    #[test]
    fn only_one_range_of_bytes_is_a_range() {
        for (value, expected) in [
            ("bytes=0-2", Some(RangeSpec::Closed { first: 0, last: 2 })),
            ("bytes=-5", Some(RangeSpec::Suffix(5))),
            ("bytes=0-1,3-4", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(range(&headers(&[("range", value)])), expected, "{value}");
        }
    }
}
