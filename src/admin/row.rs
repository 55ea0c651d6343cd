//! Rows of an imported index as people and tools write them, and as we write them. Pure.
//!
//! Taken are the words of S3, of Google's listings and of the archive's: what a dump calls `key` or
//! `name`, `modified`, `time`, `updated` or `last_modified`, with digests in hexadecimal or base64.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};

use crate::model::{ETag, ObjectKey, Timestamp};
use crate::store::InventoryRow;

/// One row, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Fields {
    /// The key, or what follows a prefix that is known otherwise.
    #[serde(alias = "name")]
    pub key: String,
    /// The size in bytes.
    #[serde(deserialize_with = "text_or_number")]
    pub size: Option<String>,
    /// The time: see [`parse_time`].
    #[serde(
        default,
        deserialize_with = "text_or_number",
        alias = "time",
        alias = "last_modified",
        alias = "updated"
    )]
    pub modified: Option<String>,
    /// The tag.
    #[serde(default)]
    pub etag: Option<String>,
    /// The MD5, in hexadecimal or base64.
    #[serde(default, alias = "md5Hash", alias = "md5_hash")]
    pub md5: Option<String>,
    /// The CRC-32C of the bytes, big-endian, in hexadecimal or base64.
    #[serde(default)]
    pub crc32c: Option<String>,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRow {
    /// Not JSON, or not these fields.
    #[error(
        "{0}; write a line such as {{\"key\": \"pub/a\", \"size\": 12, \"md5\": \"…\", \"modified\": \"2026-11-20T21:20:19Z\"}}"
    )]
    Json(String),
    /// Not the archive's listing of a folder.
    #[error("not a listing {{\"prefixes\": […], \"files\": [{{\"name\": …, \"size\": …}}]}}: {}", without_place(.0))]
    Listing(String),
    /// A key that no object can have.
    #[error("key: {0}")]
    Key(#[from] crate::model::InvalidObjectKey),
    /// A field with a value that it cannot have.
    #[error("{field}: {value:?} {problem}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What was written.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A field that must be there.
    #[error("there is no {0}")]
    Missing(&'static str),
}

/// A row as we write it.
#[derive(Debug, Serialize)]
struct Written<'a> {
    key: &'a str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    md5: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crc32c: Option<String>,
}

/// Numbers may be written as text, as Google's listings do, and times as numbers.
fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Number(serde_json::Number),
    }
    Ok(Option::<Either>::deserialize(deserializer)?.map(|either| match either {
        Either::Text(text) => text,
        Either::Number(number) => number.to_string(),
    }))
}

/// Reads a row that is a JSON object on one line.
pub fn parse(line: &str) -> Result<InventoryRow, InvalidRow> {
    Fields::parse(line)?.row("")
}

/// Writes a row as a JSON object on one line, which [`parse`] reads. Without the end of the line.
///
/// # Panics
/// Never: text and numbers are JSON.
pub fn render(row: &InventoryRow) -> String {
    let written = Written {
        key: row.key.as_str(),
        size: row.size_bytes,
        modified: row.modified.map(|time| time.iso().to_string()),
        etag: row.etag.as_ref().map(ETag::as_str),
        md5: row.md5.map(hex::encode),
        crc32c: row.crc32c.map(|crc| BASE64_STANDARD.encode(crc.to_be_bytes())),
    };
    serde_json::to_string(&written).expect("text and numbers are JSON")
}

impl Fields {
    /// Reads the fields of a JSON object.
    pub fn parse(line: &str) -> Result<Self, InvalidRow> {
        serde_json::from_str(line).map_err(|error| InvalidRow::Json(without_place(&error.to_string())))
    }

    /// The row, with `prefix` before its key.
    pub fn row(&self, prefix: &str) -> Result<InventoryRow, InvalidRow> {
        let size = present(self.size.as_deref()).ok_or(InvalidRow::Missing("size"))?;
        let md5 = digest("md5", self.md5.as_deref())?;
        Ok(InventoryRow {
            key: ObjectKey::parse(&format!("{prefix}{}", self.key))?,
            size_bytes: size.parse().map_err(|_| refused("size", size, "is not a number of bytes"))?,
            modified: present(self.modified.as_deref())
                .map(|text| {
                    parse_time(text).ok_or_else(|| {
                        refused("modified", text, "is not a time such as 2026-11-20T21:20:19Z")
                    })
                })
                .transpose()?,
            etag: present(self.etag.as_deref())
                .map(|text| ETag::parse(text).map_err(|_| refused("etag", text, "is not an entity tag")))
                .transpose()?
                .filter(|etag| md5.is_none_or(|md5| *etag != ETag::of_md5(md5))),
            md5,
            crc32c: digest("crc32c", self.crc32c.as_deref())?.map(u32::from_be_bytes),
        })
    }
}

/// An empty cell says nothing.
fn present(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn refused(field: &'static str, value: &str, problem: &'static str) -> InvalidRow {
    InvalidRow::Field { field, value: value.chars().take(80).collect(), problem }
}

/// A digest of `N` bytes in hexadecimal or base64.
fn digest<const N: usize>(field: &'static str, text: Option<&str>) -> Result<Option<[u8; N]>, InvalidRow> {
    let Some(text) = present(text) else { return Ok(None) };
    let bytes = |decoded: Vec<u8>| decoded.try_into().ok();
    // Base64 of a CRC is as long as its hexadecimal, but ends in `==`.
    let of_hex = hex::decode(text).ok().and_then(bytes);
    let found = of_hex.or_else(|| BASE64_STANDARD.decode(text).ok().and_then(bytes));
    found.map(Some).ok_or_else(|| refused(field, text, "is neither its hexadecimal nor its base64"))
}

/// Reads a time: RFC 3339, an HTTP date, a date and time of UTC without saying so, the archive's
/// `20-Nov-2026 21:20`, or seconds since 1970.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let civil = || {
        let civil = text.parse::<jiff::civil::DateTime>().ok();
        let civil = civil.or_else(|| jiff::civil::DateTime::strptime("%d-%b-%Y %H:%M", text).ok())?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Timestamp::from_ms(zoned.timestamp().as_millisecond()))
    };
    // All digits are seconds, though a parser of dates may take eight of them for a day.
    match text.parse::<i64>() {
        Ok(seconds) => (0..SECONDS_END).contains(&seconds).then(|| Timestamp::from_seconds(seconds)),
        Err(_) => Timestamp::parse_iso(text).or_else(|| Timestamp::parse_http_date(text)).or_else(civil),
    }
}

/// The end of the year 9999.
const SECONDS_END: i64 = 253_402_300_800;

/// What serde says of one line has a line and column of no use to anybody.
fn without_place(message: &str) -> String {
    message.split(" at line ").next().unwrap_or(message).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Fields, InvalidRow, parse, parse_time, render};
    use crate::model::{ETag, ObjectKey, Timestamp};
    use crate::store::InventoryRow;

    const TIME: i64 = 1_795_209_619;

    #[test]
    fn rows_are_read_in_the_words_of_their_makers() {
        let plain = InventoryRow {
            key: ObjectKey::parse("pub/a").expect("a key"),
            size_bytes: 12,
            modified: None,
            etag: None,
            md5: None,
            crc32c: None,
        };
        let full = InventoryRow {
            modified: Some(Timestamp::from_seconds(TIME)),
            md5: Some([0x11; 16]),
            crc32c: Some(0x0102_0304),
            ..plain.clone()
        };
        let tagged = InventoryRow { etag: ETag::parse("x-2").ok(), ..plain.clone() };
        for (line, row) in [
            (r#"{"key": "pub/a", "size": 12}"#, &plain),
            (
                r#"{"name": "pub/a", "size": "12", "storageClass": "STANDARD", "md5": null, "crc32c": ""}"#,
                &plain,
            ),
            (
                r#"{"key":"pub/a","size":12,"time":"2026-11-20T21:20:19Z","md5":"11111111111111111111111111111111","crc32c":"01020304"}"#,
                &full,
            ),
            (
                r#"{"name":"pub/a","size":"12","updated":"2026-11-20T21:20:19.000Z","md5Hash":"ERERERERERERERERERERAQ==","crc32c":"AQIDBA=="}"#,
                &InventoryRow {
                    md5: Some(*b"\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x01"),
                    ..full.clone()
                },
            ),
            (r#"{"key":"pub/a","size":12,"etag":"\"x-2\""}"#, &tagged),
            (
                r#"{"key":"pub/a","size":12,"last_modified":1795209619,"etag":"11111111111111111111111111111111","md5":"11111111111111111111111111111111","crc32c":"01020304"}"#,
                &full,
            ),
        ] {
            assert_eq!(parse(line).as_ref(), Ok(row), "{line}");
            assert_eq!(parse(&render(row)).as_ref(), Ok(row), "{line}");
        }
    }

    #[test]
    fn what_a_row_cannot_say_is_refused_by_name() {
        for (line, told) in [
            ("", "write a line such as"),
            ("[]", "write a line such as"),
            (r#"{"size": 1}"#, "missing field `key`"),
            (r#"{"key": "a"}"#, "missing field `size`"),
            (r#"{"key": "a", "size": null}"#, "there is no size"),
            (r#"{"key": "a", "size": 1.5}"#, "size: \"1.5\" is not a number of bytes"),
            (r#"{"key": "a", "size": -1}"#, "size: \"-1\" is not"),
            (r#"{"key": "", "size": 1}"#, "key: an object key must not be empty"),
            (r#"{"key": "a", "name": "b", "size": 1}"#, "duplicate field `key`"),
            (r#"{"key": "a", "size": 1, "md5": "abc"}"#, "md5: \"abc\" is neither"),
            (r#"{"key": "a", "size": 1, "crc32c": "zzzzzzzz"}"#, "crc32c: \"zzzzzzzz\" is neither"),
            (r#"{"key": "a", "size": 1, "modified": "yesterday"}"#, "modified: \"yesterday\" is not a time"),
            (r#"{"key": "a", "size": 1, "etag": "a\"b"}"#, "etag: "),
        ] {
            let refused = parse(line).expect_err("a mistake").to_string();
            assert!(refused.contains(told), "{line}: {refused}");
            assert!(!refused.contains(" line 1"), "{line}: {refused}");
        }
    }

    #[test]
    fn a_prefix_goes_before_the_name() {
        let fields = Fields { key: "a".to_owned(), size: Some("1".to_owned()), ..Fields::default() };
        assert_eq!(fields.row("pub/").map(|row| row.key.as_str().to_owned()), Ok("pub/a".to_owned()));
        let long = fields.row(&"x".repeat(1024)).expect_err("too long");
        assert!(matches!(long, InvalidRow::Key(_)));
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        for (text, seconds) in [
            ("2026-11-20T21:20:19Z", Some(TIME)),
            ("2026-11-20T22:20:19+01:00", Some(TIME)),
            ("2026-11-20 21:20:19", Some(TIME)),
            ("Fri, 20 Nov 2026 21:20:19 GMT", Some(TIME)),
            ("20-Nov-2026 21:20", Some(TIME - 19)),
            ("1795209619", Some(TIME)),
            ("20261120", Some(20_261_120)),
            ("-5", None),
            ("253402300800", None),
            ("now", None),
        ] {
            assert_eq!(parse_time(text).map(Timestamp::as_seconds), seconds, "{text}");
        }
    }
}
