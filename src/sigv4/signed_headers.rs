//! Which headers are signed, and their canonical form.
//!
//! AWS: "Create a signed AWS API request".

use http::HeaderMap;

use crate::signature::SignatureError;

/// The list `SignedHeaders`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignedHeaders {
    /// As the client wrote it, which is how it is signed.
    text: String,
}

impl SignedHeaders {
    /// Reads the list; `None` if a name comes twice.
    ///
    /// A repeated name would let a small request ask for a canonical form of any size.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut names: Vec<_> = text.split(';').map(str::to_ascii_lowercase).collect();
        names.sort_unstable();
        let distinct = names.windows(2).all(|pair| pair[0] != pair[1]);
        distinct.then(|| Self { text: text.to_owned() })
    }

    /// The list as the client wrote it.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.text.split(';')
    }

    /// Whether a header, given in lower case, is signed.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.names().any(|signed| signed.eq_ignore_ascii_case(name))
    }

    /// Checks that every header whose meaning must not be changed on the way is signed.
    ///
    /// AWS: `host` and every `x-amz-…` header that is in the request.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), SignatureError> {
        let host = std::iter::once("host");
        let amz = headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-amz-"));
        let mut unsigned: Vec<_> = host.chain(amz).filter(|name| !self.contains(name)).collect();
        if unsigned.is_empty() {
            return Ok(());
        }
        unsigned.sort_unstable();
        Err(SignatureError::HeadersNotSigned { headers: unsigned.join(", ") })
    }

    /// Writes `name:value` lines. A header that is signed but absent counts as empty: then only a
    /// client that signed it empty matches.
    pub(super) fn write_canonical(&self, headers: &HeaderMap, canonical: &mut Vec<u8>) {
        for name in self.names() {
            canonical.extend_from_slice(name.to_ascii_lowercase().as_bytes());
            canonical.push(b':');
            for (index, value) in headers.get_all(name).iter().enumerate() {
                if index > 0 {
                    canonical.push(b',');
                }
                push_trimmed(value.as_bytes(), canonical);
            }
            canonical.push(b'\n');
        }
    }
}

/// Appends a value without the blanks around it and with one space for each run of blanks within.
fn push_trimmed(value: &[u8], canonical: &mut Vec<u8>) {
    let words = value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            canonical.push(b' ');
        }
        canonical.extend_from_slice(word);
    }
}
