//! Where a page begins, and the tokens that carry it to the client and back.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};

use super::Row;
use crate::model::UploadId;

/// A place between two entries of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// Behind this key: `marker`, `start-after`, `key-marker`.
    AfterKey(String),
    /// Behind this upload of this key: `key-marker` with `upload-id-marker`.
    AfterUpload(String, UploadId),
    /// Behind every key that begins with this.
    AfterPrefix(String),
}

/// A continuation token that was not made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The continuation token provided is incorrect")]
pub struct InvalidToken;

/// The first byte of every token, raised when their form changes.
const VERSION: u8 = 1;
const AFTER_KEY: u8 = b'k';
const AFTER_UPLOAD: u8 = b'u';
const AFTER_PREFIX: u8 = b'p';

impl Cursor {
    /// The place behind a row.
    pub(super) fn after(row: &impl Row) -> Self {
        match row.upload_id() {
            None => Self::AfterKey(row.key().to_owned()),
            Some(id) => Self::AfterUpload(row.key().to_owned(), id.clone()),
        }
    }

    /// The key or common prefix: `NextMarker`, `NextKeyMarker`.
    pub fn key(&self) -> &str {
        match self {
            Self::AfterKey(key) | Self::AfterUpload(key, _) | Self::AfterPrefix(key) => key,
        }
    }

    /// The upload, if it stands behind one of several of its key: `NextUploadIdMarker`.
    pub fn upload_id(&self) -> Option<&UploadId> {
        match self {
            Self::AfterUpload(_, id) => Some(id),
            Self::AfterKey(_) | Self::AfterPrefix(_) => None,
        }
    }

    /// The opaque token of this place: base64url of a version, a kind and the text. It names no
    /// state of the server, so it outlives a restart and any change of what is listed.
    pub fn token(&self) -> String {
        let bytes = match self {
            Self::AfterKey(key) => [&[VERSION, AFTER_KEY], key.as_bytes()].concat(),
            Self::AfterPrefix(prefix) => [&[VERSION, AFTER_PREFIX], prefix.as_bytes()].concat(),
            // The id comes first: it never holds a NUL, and a key may.
            Self::AfterUpload(key, id) => {
                [&[VERSION, AFTER_UPLOAD], id.as_str().as_bytes(), b"\0", key.as_bytes()].concat()
            }
        };
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token.
    pub fn parse_token(token: &str) -> Result<Self, InvalidToken> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| InvalidToken)?;
        let [VERSION, kind, text @ ..] = bytes.as_slice() else { return Err(InvalidToken) };
        let text = std::str::from_utf8(text).map_err(|_| InvalidToken)?;
        match *kind {
            AFTER_KEY => Ok(Self::AfterKey(text.to_owned())),
            AFTER_PREFIX => Ok(Self::AfterPrefix(text.to_owned())),
            AFTER_UPLOAD => {
                let (id, key) = text.split_once('\0').ok_or(InvalidToken)?;
                let id = UploadId::parse(id).map_err(|_| InvalidToken)?;
                Ok(Self::AfterUpload(key.to_owned(), id))
            }
            _ => Err(InvalidToken),
        }
    }
}
