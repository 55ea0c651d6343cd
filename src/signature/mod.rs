//! What both signature versions share: the request as it was received, the canonical encoding,
//! and the errors.
//!
//! Deliberately elsewhere: the two versions themselves (`sigv4`, `sigv2`), choosing between them
//! (`presented`), finding the secret of an access key id, and every HTTP status.

mod checks;
mod date;
mod encoding;
mod error;
mod query;
mod request;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use checks::{MAX_SKEW_MS, check_skew, refuse_session_token, same_text};
pub(crate) use date::read_date;
pub use encoding::{InvalidPath, decode_path, encode_component, encode_path, read_path};
pub(crate) use error::shortened;
pub use error::{Mismatch, SignatureError};
pub use query::Query;
pub use request::SignedRequest;

/// A version of AWS's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Signature version 2.
    V2,
    /// Signature version 4.
    V4,
}
