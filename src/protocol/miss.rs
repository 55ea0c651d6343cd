//! What becomes of a read of a key that is not here, the same on every face.
//!
//! Deliberately elsewhere: the decision itself (`fallback`), and each face's words for "not found".

use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, StatusCode};

use super::body::ResponseBody;
use super::outcome::{Answered, Outcome};
use super::request::Response;
use crate::fallback::{Decision, PresignFailed, RedirectStatus, Target};
use crate::model::Timestamp;

/// Carries out a decision: a redirect, or `None` for "there is no such key". Nothing is asked of
/// the network.
///
/// # Errors
/// A link that cannot be signed, which the configuration should have ruled out.
///
/// # Panics
/// Never: a location is visible ASCII, which `Redirect::location` promises.
pub fn answer(
    decision: &Decision<'_>,
    now: Timestamp,
    outcome: &mut Outcome,
) -> Result<Option<Response>, PresignFailed> {
    outcome.answered = answered(decision);
    let Decision::Redirect(redirect) = decision else { return Ok(None) };
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = match redirect.status {
        RedirectStatus::Found => StatusCode::FOUND,
        RedirectStatus::TemporaryRedirect => StatusCode::TEMPORARY_REDIRECT,
    };
    let location = redirect.location(now)?;
    let location = HeaderValue::try_from(location).expect("a location is visible ASCII");
    response.headers_mut().insert(LOCATION, location);
    // No cache may keep it: the next upload may take the key's place.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(Some(response))
}

/// What the request log calls a decision.
fn answered(decision: &Decision<'_>) -> Answered {
    match decision {
        Decision::NoRule | Decision::NotMappable { .. } => Answered::Absent,
        Decision::UnderTest { .. } => Answered::UnderTest,
        Decision::NotPrevious { .. } | Decision::Fetch(_) => Answered::Absent,
        Decision::Deny { .. } => Answered::Deny,
        Decision::Redirect(redirect) => match redirect.target {
            Target::Plain(_) => Answered::Redirect,
            Target::Presigned { .. } => Answered::Presign,
        },
    }
}
