//! What is kept and given back with an object, besides its bytes.
//!
//! AWS: "Working with object metadata".

use std::collections::BTreeMap;

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
    /// A name or value that could not go back out as a header.
    #[error("the metadata entry {0:?} cannot be sent as a header")]
    NotAHeader(String),
}

/// Standard headers and user metadata of an object.
///
/// Invariants: every name and value can be sent as a header; user names are in lower case and
/// without `x-amz-meta-`; user names and values together have at most 2,048 bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Metadata {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    system: BTreeMap<SystemHeader, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    user: BTreeMap<String, String>,
}

impl Metadata {
    /// The most bytes that user names and values may have together.
    pub const USER_BYTES_MAX: usize = 2048;

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

#[cfg(test)]
mod tests {
    use super::{InvalidMetadata, Metadata, SystemHeader};

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
}
