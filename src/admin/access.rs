//! Who asks, and whether it may: a key pair with the admin permission, by HTTP Basic as curl, browsers
//! and Prometheus send it, or by a signature as S3's.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderMap, Method, header};
use subtle::ConstantTimeEq as _;

use super::refusal::Refusal;
use super::route::Route;
use crate::model::{AccessKeyId, Credential, Permission};
use crate::protocol::access::authorize;
use crate::protocol::auth::{Credentials, Identity};
use crate::protocol::request::{Context, Request};
use crate::signature::SignedRequest;
use crate::sigv4::Payload;

/// Who asks, and what is known of the body.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) identity: Identity,
    pub(super) payload: Payload,
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
        return Ok(Caller { identity: Identity::holder(holder), payload: Payload::Unsigned });
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
    if authenticated.identity.is_anonymous() {
        return Err(Refusal::Unauthenticated(
            "this needs a key pair with the admin permission, as user and password (HTTP Basic) or by a signature"
                .to_owned(),
        ));
    }
    Ok(Caller { identity: authenticated.identity, payload: authenticated.payload })
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

/// Refuses what another site makes a browser send, which adds the password that it remembers.
pub(super) fn same_site(context: &Context, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let foreign_site = text("sec-fetch-site").is_some_and(|site| !matches!(&*site, "same-origin" | "none"));
    let own = format!("{}://{}", context.scheme, context.host);
    let foreign_origin = text("origin").is_some_and(|origin| !origin.eq_ignore_ascii_case(&own));
    if foreign_site || foreign_origin {
        Err(Refusal::Forbidden("another site must not make a browser ask this".to_owned()))
    } else {
        Ok(())
    }
}
