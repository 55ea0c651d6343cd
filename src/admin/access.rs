//! Who asks, and whether it may: a key pair with the admin permission, by HTTP Basic as curl, browsers
//! and Prometheus send it, or by a signature as S3's.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Method, StatusCode, header};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::api::Token;
use super::refusal::Refusal;
use super::response;
use super::route::Route;
use crate::model::{AccessKeyId, Credential, Permission};
use crate::protocol::access::authorize;
use crate::protocol::auth::{Credentials, Identity};
use crate::protocol::browser::is_from_browser;
use crate::protocol::request::{Context, Request, Response};
use crate::signature::{SignedRequest, Version};
use crate::sigv4::Payload;

/// Who asks, and what is known of the body.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) identity: Identity,
    pub(super) payload: Payload,
    /// The key pair, if it came by HTTP Basic, which browsers add by themselves.
    by_password: Option<Arc<Credential>>,
}

impl Caller {
    /// Whether a page may have a browser send this, password included.
    fn is_page(&self, headers: &HeaderMap) -> bool {
        self.by_password.is_some() && is_from_browser(headers)
    }
}

/// Finds out who asks.
pub(super) fn authenticate(
    credentials: &Credentials,
    context: &Context,
    request: &Request,
) -> Result<Caller, Refusal> {
    if let Some((id, secret)) = basic(request.headers()) {
        let holder = holder(credentials, &id, &secret)
            .ok_or_else(|| Refusal::Unauthenticated("the access key id or the secret is wrong".to_owned()))?;
        return Ok(Caller {
            identity: Identity::holder(holder.clone()),
            payload: Payload::Unsigned,
            by_password: Some(holder),
        });
    }
    let signed = SignedRequest {
        method: request.method(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        headers: request.headers(),
        virtual_host_bucket: None,
    };
    let authenticated = credentials
        .authenticate(&signed, context.now)
        .map_err(|error| Refusal::Unauthenticated(error.to_string()))?;
    if authenticated.version == Some(Version::V2) {
        return Err(Refusal::Unauthenticated(
            "sign with version 4: version 2 does not cover the query of this API".to_owned(),
        ));
    }
    if authenticated.identity.is_anonymous() {
        return Err(Refusal::Unauthenticated(
            "this needs a key pair with the admin permission, as user and password (HTTP Basic) or by a signature"
                .to_owned(),
        ));
    }
    Ok(Caller { identity: authenticated.identity, payload: authenticated.payload, by_password: None })
}

/// The user and the password of HTTP Basic; nobody's, empty ones, if they do not read. RFC 7617.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let (id, secret) = decoded.as_deref().and_then(|pair| pair.split_once(':')).unwrap_or_default();
    Some((id.to_owned(), secret.to_owned()))
}

/// The credential, if the secret is its.
fn holder(credentials: &Credentials, id: &str, secret: &str) -> Option<Arc<Credential>> {
    let credential = credentials.find(&AccessKeyId::parse(id)?)?;
    let same = credential.secret_key.expose().as_bytes().ct_eq(secret.as_bytes());
    bool::from(same).then(|| Arc::clone(credential))
}

/// Whether it may. What is about the whole stage needs the admin permission everywhere.
pub(super) fn allow(identity: &Identity, route: &Route) -> Result<(), Refusal> {
    if let Some(bucket) = &route.bucket {
        return authorize(identity, &[], Permission::Admin, bucket, "")
            .map_err(|denied| Refusal::Forbidden(denied.to_string()));
    }
    let everywhere = identity.grants().iter().any(|grant| {
        grant.bucket.is_none() && grant.prefix.is_empty() && grant.permissions.contains(&Permission::Admin)
    });
    if everywhere {
        Ok(())
    } else {
        Err(Refusal::Forbidden("this needs a credential with the grant \"admin:*\"".to_owned()))
    }
}

/// Where a page shows its token.
const TOKEN_HEADER: &str = "x-understudy-token";

/// Refuses a change that a browser sends with nothing but the password that it remembers: an object
/// that is stored here and served as HTML could have it do so.
///
/// That another origin has it do so is refused for every face (`protocol::browser`).
pub(super) fn page_has_token(caller: &Caller, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    if matches!(*method, Method::GET | Method::HEAD) || !caller.is_page(headers) {
        return Ok(());
    }
    let shown = headers.get(TOKEN_HEADER).map(http::HeaderValue::as_bytes).unwrap_or_default();
    let expected = caller.by_password.as_deref().map(token).unwrap_or_default();
    if bool::from(expected.as_bytes().ct_eq(shown)) {
        return Ok(());
    }
    Err(Refusal::Forbidden(format!(
        "a page in a browser must show the header {TOKEN_HEADER}, which GET /-/api/v1/token gives to curl and other clients that are no browsers"
    )))
}

/// Gives the token to whoever can show that no page asks.
pub(super) fn token_for(caller: &Caller, headers: &HeaderMap) -> Result<Response, Refusal> {
    match &caller.by_password {
        Some(credential) if !is_from_browser(headers) => {
            Ok(response::json(StatusCode::OK, &Token { token: token(credential) }))
        }
        Some(_) => Err(Refusal::Forbidden("no page in a browser is given a token".to_owned())),
        None => Err(Refusal::Malformed("a signed request needs no token".to_owned())),
    }
}

/// A MAC of the secret: it needs no memory, and ends with the key pair.
fn token(credential: &Credential) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(credential.secret_key.expose().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(b"understudy admin token");
    hex::encode(mac.finalize().into_bytes())
}
