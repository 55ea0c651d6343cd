//! A token for a service account.
//!
//! RFC 7523 section 2.1; errors as RFC 6749 section 5.2 gives them, which clients know.

use http::StatusCode;
use serde_json::{Value, json};

use crate::gcs::bearer::{self, LIFETIME_SECONDS};
use crate::gcs::call::Call;
use crate::gcs::error::Error;
use crate::gcs::jwt::InvalidAssertion;
use crate::gcs::response;
use crate::protocol::query::Query;
use crate::protocol::request::Response;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// 200 with a token for a signed assertion.
pub(super) async fn token(mut call: Call<'_>) -> Result<Response, Error> {
    let document = call.document().await?;
    let form = Query::parse(&String::from_utf8_lossy(&document))?;
    if form.get("grant_type") != Some(GRANT_TYPE) {
        return Ok(refused("unsupported_grant_type", &format!("the grant_type must be {GRANT_TYPE}")));
    }
    let assertion = form.get("assertion").unwrap_or_default();
    Ok(match bearer::exchange(&call.inner().accounts, assertion, call.context.now) {
        Ok(token) => response::json(
            StatusCode::OK,
            &json!({ "access_token": token, "expires_in": LIFETIME_SECONDS, "token_type": "Bearer" }),
        ),
        Err(reason @ InvalidAssertion::Scope) => refused("invalid_scope", &reason.to_string()),
        Err(reason) => refused("invalid_grant", &format!("the assertion was refused: {reason}")),
    })
}

fn refused(error: &str, description: &str) -> Response {
    let document: Value = json!({ "error": error, "error_description": description });
    response::json(StatusCode::BAD_REQUEST, &document)
}
