//! What a client says of an object in JSON, read into the model's metadata. Pure.
//!
//! GCS: "Objects: insert", "Objects: patch", the object resource.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value};

use super::error::{Error, Reason};
use crate::model::{InvalidObjectKey, Metadata, ObjectKey, SystemHeader, Timestamp};
use crate::protocol::google_hash::{GoogleHash, InvalidGoogleHash};

/// Members of the resource that are headers of the object.
const HEADERS: [(&str, SystemHeader); 5] = [
    ("cacheControl", SystemHeader::CacheControl),
    ("contentDisposition", SystemHeader::ContentDisposition),
    ("contentEncoding", SystemHeader::ContentEncoding),
    ("contentLanguage", SystemHeader::ContentLanguage),
    ("contentType", SystemHeader::ContentType),
];

/// Members that ask for something the store does not do. Ignoring them would be a wrong success.
const UNSUPPORTED: [&str; 6] =
    ["acl", "contexts", "eventBasedHold", "kmsKeyName", "retention", "temporaryHold"];

/// The resource that a client sends: what is to be kept with an object, and what its bytes are.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent(Map<String, Value>);

/// Checksums that the bytes must have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub(super) struct Expected {
    /// `crc32c`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crc32c: Option<u32>,
    /// `md5Hash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) md5: Option<[u8; 16]>,
}

impl Sent {
    /// Reads a document; an empty one says nothing.
    pub(super) fn parse(document: &[u8]) -> Result<Self, Error> {
        if document.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(document) {
            Ok(Value::Object(members)) => Self::new(members),
            Ok(_) => Err(Error::with_message(Reason::ParseError, "Parse Error: a JSON object is expected.")),
            Err(reason) => Err(Error::with_message(Reason::ParseError, format!("Parse Error: {reason}"))),
        }
    }

    /// Takes the members of a document.
    pub(super) fn new(members: Map<String, Value>) -> Result<Self, Error> {
        for name in UNSUPPORTED {
            let asked = match members.get(name) {
                None | Some(Value::Null | Value::Bool(false)) => false,
                Some(Value::Array(items)) => !items.is_empty(),
                Some(Value::Bool(true) | Value::Number(_) | Value::String(_) | Value::Object(_)) => true,
            };
            if asked {
                return Err(Error::not_implemented(format_args!("the object property {name}")));
            }
        }
        match members.get("storageClass").and_then(Value::as_str) {
            None | Some("STANDARD") => Ok(Self(members)),
            Some(other) => Err(Error::not_implemented(format_args!("the storage class {other}"))),
        }
    }

    /// Whether it says nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A member that is text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Error::field(name, other)),
        }
    }

    /// A member as it was sent.
    pub(super) fn member(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// `crc32c` and `md5Hash`.
    pub(super) fn expected(&self) -> Result<Expected, Error> {
        let crc32c = self.text("crc32c")?.map(|text| decode("crc32c", text).map(u32::from_be_bytes));
        let md5 = self.text("md5Hash")?.map(|text| decode("md5Hash", text));
        Ok(Expected { crc32c: crc32c.transpose()?, md5: md5.transpose()? })
    }

    /// The metadata of a new object: what is said here and nothing else.
    pub(super) fn metadata(&self) -> Result<Metadata, Error> {
        let mut metadata = Metadata::default();
        self.patch(&mut metadata)?;
        Ok(metadata)
    }

    /// Changes metadata as PATCH does: what is not said stays, `null` goes.
    pub(super) fn patch(&self, metadata: &mut Metadata) -> Result<(), Error> {
        for (name, header) in HEADERS {
            match self.0.get(name) {
                None => {}
                Some(Value::Null) => metadata.remove_system(header),
                Some(Value::String(text)) if text.is_empty() => metadata.remove_system(header),
                Some(Value::String(text)) => metadata.set_system(header, text)?,
                Some(other) => return Err(Error::field(name, other)),
            }
        }
        match self.0.get("metadata") {
            None => {}
            Some(Value::Null) => metadata.clear_user(),
            Some(Value::Object(entries)) => {
                for (name, value) in entries {
                    match value {
                        Value::Null => metadata.remove_user(name),
                        Value::String(text) => metadata.set_user(name, text)?,
                        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                            return Err(Error::field("metadata", other));
                        }
                    }
                }
            }
            Some(other) => return Err(Error::field("metadata", other)),
        }
        self.patch_custom_time(metadata)
    }

    /// GCS: once it is set, a custom time can neither be taken away nor set to an earlier time.
    fn patch_custom_time(&self, metadata: &mut Metadata) -> Result<(), Error> {
        let present = metadata.custom_time();
        match self.text("customTime")? {
            None if self.0.contains_key("customTime") && present.is_some() => Err(Error::with_message(
                Reason::Invalid,
                "The custom time of an object cannot be removed once it is set.",
            )),
            None => Ok(()),
            Some(text) => {
                let time = Timestamp::parse_iso(text).ok_or_else(|| Error::field("customTime", text))?;
                if present.is_some_and(|present| time < present) {
                    return Err(Error::with_message(
                        Reason::Invalid,
                        "The custom time of an object cannot be set to an earlier time than it has.",
                    ));
                }
                metadata.set_custom_time(Some(time));
                Ok(())
            }
        }
    }
}

/// Reads the base64 of a digest.
fn decode<const BYTES: usize>(name: &str, text: &str) -> Result<[u8; BYTES], Error> {
    let bytes = BASE64_STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| Error::field(name, text))
}

impl Expected {
    /// Reads `x-goog-hash: crc32c=…,md5=…`, of which there may be several.
    pub(super) fn of_headers(headers: &http::HeaderMap) -> Result<Self, Error> {
        let GoogleHash { crc32c, md5 } = GoogleHash::read(headers)
            .map_err(|InvalidGoogleHash(part)| Error::field("x-goog-hash", &part))?;
        let mut expected = Self { crc32c, md5 };
        if let Some(value) = headers.get("content-md5") {
            expected.md5 = Some(decode("content-md5", value.to_str().unwrap_or_default())?);
        }
        Ok(expected)
    }

    /// What both say; where they say something else of the same digest, the later one counts.
    pub(super) fn and(self, later: Self) -> Self {
        Self { crc32c: later.crc32c.or(self.crc32c), md5: later.md5.or(self.md5) }
    }

    /// Compares with what came. A digest that could not be computed is no proof.
    pub(super) fn check(&self, crc32c: Option<u32>, md5: Option<[u8; 16]>) -> Result<(), Error> {
        if let Some(wanted) = self.crc32c
            && crc32c != Some(wanted)
        {
            return Err(mismatch("CRC32C", &wanted.to_be_bytes(), crc32c.map(u32::to_be_bytes).as_ref()));
        }
        match self.md5 {
            Some(wanted) if md5 != Some(wanted) => Err(mismatch("MD5 hash", &wanted, md5.as_ref())),
            _ => Ok(()),
        }
    }
}

fn mismatch<const BYTES: usize>(what: &str, provided: &[u8], calculated: Option<&[u8; BYTES]>) -> Error {
    let provided = BASE64_STANDARD.encode(provided);
    let calculated = calculated.map(|bytes| BASE64_STANDARD.encode(bytes)).unwrap_or_default();
    Error::with_message(
        Reason::Invalid,
        format!("Provided {what} \"{provided}\" doesn't match calculated {what} \"{calculated}\"."),
    )
}

/// Reads the name of an object that is to be written.
///
/// GCS: "Object name requirements": no carriage return or line feed, neither `.` nor `..`.
pub(super) fn object_name(text: &str) -> Result<ObjectKey, Error> {
    if text == "." || text == ".." || text.contains(['\r', '\n']) {
        return Err(Error::with_message(
            Reason::Invalid,
            "Disallowed unicode characters present in object name, or a name that is '.' or '..'.",
        ));
    }
    ObjectKey::parse(text).map_err(|reason| match reason {
        InvalidObjectKey::Empty => Error::required("name"),
        InvalidObjectKey::TooLong(length) => Error::with_message(
            Reason::Invalid,
            format!("The maximum object length is 1024 bytes, but got a name with {length} bytes."),
        ),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde_json::json;

    use super::{Expected, Sent, object_name};
    use crate::model::{Metadata, SystemHeader, Timestamp};

    fn sent(document: &serde_json::Value) -> Sent {
        Sent::parse(document.to_string().as_bytes()).expect("a document")
    }

    #[test]
    fn what_a_resource_says_is_kept() {
        let metadata = sent(&json!({
            "name": "a",
            "contentType": "text/plain",
            "cacheControl": "public, max-age=14400",
            "contentLanguage": "de",
            "customTime": "2027-11-20T21:20:19.123456Z",
            "metadata": {"Build-Id": "1"},
        }));
        let metadata = metadata.metadata().expect("metadata");
        assert_eq!(metadata.system(SystemHeader::ContentType), Some("text/plain"));
        assert_eq!(metadata.system(SystemHeader::CacheControl), Some("public, max-age=14400"));
        assert_eq!(metadata.system(SystemHeader::ContentLanguage), Some("de"));
        assert_eq!(metadata.custom_time(), Timestamp::parse_iso("2027-11-20T21:20:19.123Z"));
        assert_eq!(metadata.user().collect::<Vec<_>>(), [("Build-Id", "1")]);
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let mut metadata = Metadata::default();
        let apply =
            |document, metadata: &mut Metadata| sent(&document).patch(metadata).map_err(|e| e.reason());
        apply(
            json!({"contentType": "a/b", "cacheControl": "x", "metadata": {"a": "1", "b": "2"}}),
            &mut metadata,
        )
        .expect("a patch");
        apply(json!({"cacheControl": null, "metadata": {"a": null, "c": "3"}}), &mut metadata)
            .expect("a patch");
        assert_eq!(metadata.system_headers().collect::<Vec<_>>(), [(SystemHeader::ContentType, "a/b")]);
        assert_eq!(metadata.user().collect::<Vec<_>>(), [("b", "2"), ("c", "3")]);
        apply(json!({"metadata": null}), &mut metadata).expect("a patch");
        assert_eq!(metadata.user().count(), 0);
    }

    #[test]
    fn a_custom_time_only_goes_forward() {
        let mut metadata = Metadata::default();
        sent(&json!({"customTime": "2027-01-01T00:00:00Z"})).patch(&mut metadata).expect("a patch");
        for (document, taken) in [
            (json!({"customTime": "2027-01-01T00:00:00Z"}), true),
            (json!({"customTime": "2028-01-01T00:00:00+01:00"}), true),
            (json!({"customTime": "2026-12-31T00:00:00Z"}), false),
            (json!({"customTime": null}), false),
            (json!({"customTime": "soon"}), false),
            (json!({}), true),
        ] {
            assert_eq!(sent(&document).patch(&mut metadata).is_ok(), taken, "{document}");
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for document in [
            "[]",
            "{",
            r#"{"temporaryHold": true}"#,
            r#"{"storageClass": "COLDLINE"}"#,
            r#"{"acl": [{"entity": "allUsers", "role": "READER"}]}"#,
        ] {
            assert!(Sent::parse(document.as_bytes()).is_err(), "{document}");
        }
        for document in
            ["", " \n", "{}", r#"{"acl": [], "temporaryHold": false, "storageClass": "STANDARD"}"#]
        {
            assert!(Sent::parse(document.as_bytes()).is_ok(), "{document}");
        }
    }

    #[test]
    fn digests_are_compared_and_a_mismatch_is_named() {
        // printf 123456789: its CRC-32C is E3069283.
        let resource = sent(&json!({"crc32c": "4waSgw==", "md5Hash": "JfnnlDI7RTiF9RgfG2JNCw=="}));
        let expected = resource.expected().expect("digests");
        let md5: [u8; 16] =
            hex::decode("25f9e794323b453885f5181f1b624d0b").expect("hex").try_into().expect("16 bytes");
        assert_eq!(expected, Expected { crc32c: Some(0xE306_9283), md5: Some(md5) });
        assert!(expected.check(Some(0xE306_9283), Some(md5)).is_ok());
        for (crc32c, given) in [(Some(1), Some(md5)), (None, Some(md5)), (Some(0xE306_9283), None)] {
            assert!(expected.check(crc32c, given).is_err());
        }
        let mut headers = HeaderMap::new();
        headers
            .append("x-goog-hash", "crc32c=4waSgw==, md5=JfnnlDI7RTiF9RgfG2JNCw==".parse().expect("a value"));
        assert_eq!(Expected::of_headers(&headers).expect("digests"), expected);
        for broken in ["crc32c", "crc32c=AAAA", "sha1=AAAAAA==", "md5=%"] {
            headers.insert("x-goog-hash", broken.parse().expect("a value"));
            assert!(Expected::of_headers(&headers).is_err(), "{broken}");
        }
    }

    #[test]
    fn names_are_those_that_gcs_takes() {
        for (name, taken) in [
            ("a/b", true),
            ("a%2Fb", true),
            ("...", true),
            (".", false),
            ("..", false),
            ("a\nb", false),
            ("", false),
        ] {
            assert_eq!(object_name(name).is_ok(), taken, "{name:?}");
        }
    }
}
