//! The header `x-goog-hash`: digests of what is sent, in Google's words.
//!
//! Google: "HTTP headers and common query parameters", `x-goog-hash`.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderMap;

/// What `x-goog-hash` says that the bytes are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GoogleHash {
    /// Their CRC-32C.
    pub crc32c: Option<u32>,
    /// Their MD5.
    pub md5: Option<[u8; 16]>,
}

/// A part of the header that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("x-goog-hash holds {0:?}: write crc32c=… or md5=… with the base64 of the digest")]
pub struct InvalidGoogleHash(pub String);

impl GoogleHash {
    /// Reads `x-goog-hash: crc32c=…,md5=…`, of which there may be several; nothing where there is
    /// none.
    pub fn read(headers: &HeaderMap) -> Result<Self, InvalidGoogleHash> {
        let mut hash = Self::default();
        for value in headers.get_all("x-goog-hash") {
            let text = value.to_str().map_err(|_| InvalidGoogleHash("what is not text".to_owned()))?;
            for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
                let known = match pair.split_once('=') {
                    Some(("crc32c", digest)) => {
                        hash.crc32c = decode(digest).map(u32::from_be_bytes);
                        hash.crc32c.is_some()
                    }
                    Some(("md5", digest)) => {
                        hash.md5 = decode(digest);
                        hash.md5.is_some()
                    }
                    _ => false,
                };
                if !known {
                    return Err(InvalidGoogleHash(pair.chars().take(80).collect()));
                }
            }
        }
        Ok(hash)
    }
}

fn decode<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::GoogleHash;

    #[test]
    fn digests_are_read_from_one_header_or_several() {
        let mut headers = HeaderMap::new();
        assert_eq!(GoogleHash::read(&headers), Ok(GoogleHash::default()));
        headers
            .append("x-goog-hash", "crc32c=mnG7TA==, md5=XUFAKrxLKna5cZ2REBfFkg==".parse().expect("a value"));
        let both = GoogleHash::read(&headers).expect("two digests");
        assert_eq!(both.crc32c, Some(0x9A71_BB4C));
        assert_eq!(both.md5.map(hex::encode).as_deref(), Some("5d41402abc4b2a76b9719d911017c592"));
        let mut headers = HeaderMap::new();
        headers.append("x-goog-hash", "crc32c=mnG7TA==".parse().expect("a value"));
        headers.append("x-goog-hash", "md5=XUFAKrxLKna5cZ2REBfFkg==".parse().expect("a value"));
        assert_eq!(GoogleHash::read(&headers), Ok(both));
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for broken in ["crc32c=mnG7", "md5=?", "sha1=AAAA", "mnG7TA=="] {
            let mut headers = HeaderMap::new();
            headers.insert("x-goog-hash", broken.parse().expect("a value"));
            assert!(GoogleHash::read(&headers).is_err(), "{broken} was taken");
        }
    }
}
