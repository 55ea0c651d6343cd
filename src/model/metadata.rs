//! What is kept and given back with an object, besides its bytes.
//!
//! AWS: "Working with object metadata".

use std::collections::BTreeMap;

use super::Timestamp;

/// A standard header that S3 stores with the object and returns with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemHeader {
    /// `Cache-Control`.
    CacheControl,
    /// `Content-Disposition`.
    ContentDisposition,
    /// `Content-Encoding`, never with `aws-chunked`.
    ContentEncoding,
    /// `Content-Language`.
    ContentLanguage,
    /// `Content-Type`.
    ContentType,
    /// `Expires`, kept as text as S3 does.
    Expires,
    /// `x-amz-website-redirect-location`.
    WebsiteRedirectLocation,
}

impl SystemHeader {
    /// Every header of the family.
    pub const ALL: [Self; 7] = [
        Self::CacheControl,
        Self::ContentDisposition,
        Self::ContentEncoding,
        Self::ContentLanguage,
        Self::ContentType,
        Self::Expires,
        Self::WebsiteRedirectLocation,
    ];

    /// The header's name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::CacheControl => "cache-control",
            Self::ContentDisposition => "content-disposition",
            Self::ContentEncoding => "content-encoding",
            Self::ContentLanguage => "content-language",
            Self::ContentType => "content-type",
            Self::Expires => "expires",
            Self::WebsiteRedirectLocation => "x-amz-website-redirect-location",
        }
    }
}

/// Why metadata was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// AWS: user metadata is limited to 2 KB of names and values.
    #[error("Your metadata headers exceed the maximum allowed metadata size of 2048 bytes: they have {0}")]
    TooLarge(usize),
    /// GCS: custom metadata is limited to 8 KiB of names and values.
    #[error(
        "The custom metadata of an object may have at most 8192 bytes of keys and values, this one has {0}"
    )]
    CustomTooLarge(usize),
    /// A name or value that could not go back out as a header.
    #[error("the metadata entry {0:?} cannot be sent as a header")]
    NotAHeader(String),
}

/// Standard headers and user metadata of an object, and the time that GCS lets its writer give it.
///
/// Invariants: every standard value can be sent as a header, and so can every user entry that came by S3;
/// those that came by GCS may be any text, and are left out of headers where they cannot be sent. User names
/// are without `x-amz-meta-`, and in lower case where they came by S3, whose headers have no case; user
/// names and values together have at most 2,048 bytes by S3 and 8,192 by GCS.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Metadata {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    system: BTreeMap<SystemHeader, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    user: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "custom_time_ms")]
    custom_time: Option<Timestamp>,
}

impl Metadata {
    /// The most bytes that user names and values may have together by S3.
    pub const USER_BYTES_MAX: usize = 2048;

    /// The most bytes that user names and values may have together by GCS.
    pub const CUSTOM_BYTES_MAX: usize = 8192;

    /// Sets a standard header.
    pub fn set_system(&mut self, header: SystemHeader, value: &str) -> Result<(), InvalidMetadata> {
        check_value(header.name(), value)?;
        self.system.insert(header, value.to_owned());
        Ok(())
    }

    /// Sets a user entry. A repeated name is joined with a comma, as S3 does.
    pub fn add_user(&mut self, name: &str, value: &str) -> Result<(), InvalidMetadata> {
        let name = name.to_ascii_lowercase();
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(InvalidMetadata::NotAHeader(name.chars().take(80).collect()));
        }
        check_value(&name, value)?;
        self.user
            .entry(name)
            .and_modify(|present| {
                present.push(',');
                present.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
        match self.user.iter().map(|(name, value)| name.len() + value.len()).sum() {
            size if size > Self::USER_BYTES_MAX => Err(InvalidMetadata::TooLarge(size)),
            _ => Ok(()),
        }
    }

    /// Sets a user entry under this very name, whose case GCS keeps, in the place of an earlier one.
    ///
    /// GCS: a name is any text, such as `arrow/gcsfs`.
    pub fn set_user(&mut self, name: &str, value: &str) -> Result<(), InvalidMetadata> {
        if name.is_empty() {
            return Err(InvalidMetadata::NotAHeader(String::new()));
        }
        self.user.insert(name.to_owned(), value.to_owned());
        match self.user.iter().map(|(name, value)| name.len() + value.len()).sum() {
            size if size > Self::CUSTOM_BYTES_MAX => Err(InvalidMetadata::CustomTooLarge(size)),
            _ => Ok(()),
        }
    }

    /// Takes a user entry away.
    pub fn remove_user(&mut self, name: &str) {
        self.user.remove(name);
    }

    /// Takes every user entry away.
    pub fn clear_user(&mut self) {
        self.user.clear();
    }

    /// Takes a standard header away.
    pub fn remove_system(&mut self, header: SystemHeader) {
        self.system.remove(&header);
    }

    /// Sets the time that GCS's lifecycle rules count from. S3 knows nothing of it.
    pub fn set_custom_time(&mut self, time: Option<Timestamp>) {
        self.custom_time = time;
    }

    /// GCS `customTime`.
    pub fn custom_time(&self) -> Option<Timestamp> {
        self.custom_time
    }

    /// A standard header's value.
    pub fn system(&self, header: SystemHeader) -> Option<&str> {
        self.system.get(&header).map(String::as_str)
    }

    /// The standard headers that are set, ordered by name.
    pub fn system_headers(&self) -> impl Iterator<Item = (SystemHeader, &str)> {
        self.system.iter().map(|(header, value)| (*header, value.as_str()))
    }

    /// The user entries, ordered by name.
    pub fn user(&self) -> impl Iterator<Item = (&str, &str)> {
        self.user.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn check_value(name: &str, value: &str) -> Result<(), InvalidMetadata> {
    match http::HeaderValue::from_bytes(value.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err(InvalidMetadata::NotAHeader(name.to_owned())),
    }
}

/// The custom time as it is stored: milliseconds since 1970.
mod custom_time_ms {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Timestamp;

    #[expect(clippy::ref_option, reason = "serde hands the field over like this")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_i64(time.as_ms()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(Timestamp::from_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidMetadata, Metadata, SystemHeader};
    use crate::model::Timestamp;

    #[test]
    fn repeated_user_entries_are_joined_and_names_lowered() {
        let mut metadata = Metadata::default();
        metadata.add_user("Build-Id", "1").expect("an entry");
        metadata.add_user("build-id", "2").expect("an entry");
        assert_eq!(metadata.user().collect::<Vec<_>>(), [("build-id", "1,2")]);
    }

    #[test]
    fn what_could_split_a_response_is_refused() {
        let mut metadata = Metadata::default();
        assert!(metadata.set_system(SystemHeader::ContentType, "text/plain\r\nX: y").is_err());
        assert!(metadata.add_user("a b", "c").is_err());
        assert!(metadata.add_user("a", "b\nc").is_err());
        assert_eq!(metadata, Metadata::default());
    }

    #[test]
    fn user_metadata_is_limited_to_2_kb() {
        let mut metadata = Metadata::default();
        metadata.add_user("a", &"x".repeat(2047)).expect("2048 bytes");
        assert_eq!(metadata.add_user("b", ""), Err(InvalidMetadata::TooLarge(2049)));
    }

    #[test]
    fn what_is_stored_reads_back() {
        let mut metadata = Metadata::default();
        metadata.set_system(SystemHeader::CacheControl, "public, max-age=14400").expect("a header");
        metadata.add_user("a", "é").expect("an entry");
        let text = serde_json::to_string(&metadata).expect("JSON");
        assert_eq!(text, r#"{"system":{"cache-control":"public, max-age=14400"},"user":{"a":"é"}}"#);
        assert_eq!(serde_json::from_str::<Metadata>(&text).expect("JSON"), metadata);
    }

    #[test]
    fn names_set_by_gcs_keep_their_case_and_are_replaced() {
        let mut metadata = Metadata::default();
        metadata.set_user("Build-Id", "1").expect("an entry");
        metadata.set_user("Build-Id", "2").expect("an entry");
        metadata.set_user("build-id", "3").expect("an entry");
        assert_eq!(metadata.user().collect::<Vec<_>>(), [("Build-Id", "2"), ("build-id", "3")]);
        assert!(metadata.set_user("", "1").is_err());
        metadata.set_user("x", &"y".repeat(8173)).expect("8192 bytes");
        assert_eq!(metadata.set_user("z", ""), Err(InvalidMetadata::CustomTooLarge(8193)));
    }

    #[test]
    fn a_custom_time_is_kept_and_can_go_again() {
        let mut metadata = Metadata::default();
        metadata.set_custom_time(Some(Timestamp::from_ms(1_795_209_619_123)));
        let text = serde_json::to_string(&metadata).expect("JSON");
        assert_eq!(text, r#"{"custom_time":1795209619123}"#);
        assert_eq!(serde_json::from_str::<Metadata>(&text).expect("JSON"), metadata);
        metadata.set_custom_time(None);
        assert_eq!(metadata, Metadata::default());
    }
}
