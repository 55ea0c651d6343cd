//! Checks that both versions make in the same way.

use subtle::ConstantTimeEq as _;

use super::{Query, SignatureError, SignedRequest};
use crate::model::Timestamp;

/// How far a client's clock may be from ours: 15 minutes.
pub(crate) const MAX_SKEW_MS: i64 = 15 * 60 * 1000;

/// Refuses a request that was dated too far from now; `written` is the date as the client wrote it.
pub(crate) fn check_skew(date: Timestamp, written: &str, now: Timestamp) -> Result<(), SignatureError> {
    if (now.as_ms() - date.as_ms()).abs() <= MAX_SKEW_MS {
        return Ok(());
    }
    Err(SignatureError::RequestTimeTooSkewed {
        request_time: written.to_owned(),
        server_time: now,
        max_allowed_skew_ms: MAX_SKEW_MS,
    })
}

/// Refuses a session token, in the header or in the query: none is ever issued here.
pub(crate) fn refuse_session_token(request: &SignedRequest<'_>, query: &Query) -> Result<(), SignatureError> {
    let in_query = query.contains("X-Amz-Security-Token") || query.contains("x-amz-security-token");
    if in_query || request.headers.contains_key("x-amz-security-token") {
        return Err(SignatureError::InvalidToken);
    }
    Ok(())
}

/// Compares two signatures in a time that does not tell where they differ.
pub(crate) fn same_text(ours: &str, theirs: &str) -> bool {
    ours.as_bytes().ct_eq(theirs.as_bytes()).into()
}
