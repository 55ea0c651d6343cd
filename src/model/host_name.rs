//! A host's name, as it stands in settings.

use std::fmt;

/// A name in lower case, without scheme, port, path and final period.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

/// Why a text is not a host's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a host name: write it without scheme, port and path, such as \"ftp.stage.mozaws.net\"")]
pub struct InvalidHostName(String);

impl HostName {
    /// Reads a name in any case; a final period is left out.
    ///
    /// # Errors
    /// It is empty, or holds more than `A-Z a-z 0-9 - . _`.
    pub fn parse(text: &str) -> Result<Self, InvalidHostName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let host = text.trim_end_matches('.');
        if host.is_empty() || !host.bytes().all(allowed) {
            return Err(InvalidHostName(text.to_owned()));
        }
        Ok(Self(host.to_ascii_lowercase()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for HostName {
    type Error = InvalidHostName;

    fn try_from(text: String) -> Result<Self, InvalidHostName> {
        Self::parse(&text)
    }
}

impl From<HostName> for String {
    fn from(host: HostName) -> Self {
        host.0
    }
}

#[cfg(test)]
mod tests {
    use super::HostName;

    #[test]
    fn names_are_lower_case_and_nothing_but_names() {
        for (text, name) in [
            ("Archive.Mozilla.org.", Some("archive.mozilla.org")),
            ("stage_1", Some("stage_1")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("https://archive.mozilla.org", None),
            ("archive.mozilla.org:80", None),
            ("archive.mozilla.org/pub", None),
            ("*.mozilla.org", None),
            (".", None),
            ("", None),
        ] {
            assert_eq!(HostName::parse(text).ok().as_ref().map(HostName::as_str), name, "{text}");
        }
    }
}
