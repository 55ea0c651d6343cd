//! Who asks: bearer tokens. Those that are given out here name a key and a time until which they
//! are valid, under a MAC of the account's secret, so nothing has to be remembered of them; they
//! outlive a restart and end with the account.
//!
//! Clients may also send an assertion itself as their token, as Google's newer libraries do.

use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::Sha256;

use super::error::{Error, Reason};
use super::jwt::{Assertion, InvalidAssertion};
use super::route::TOKEN_PATH;
use super::scope::Scope;
use super::service_account::{Account, ServiceAccounts};
use crate::model::Timestamp;
use crate::protocol::auth::Identity;
use crate::protocol::query::Query;

/// Google: a token is valid for an hour.
pub(super) const LIFETIME_SECONDS: i64 = 3600;

/// What tokens of ours begin with.
const PREFIX: &str = "understudy";

/// Who sent a request.
#[derive(Debug)]
pub(super) struct Caller {
    /// The account, or nobody.
    pub(super) identity: Identity,
    /// How much of what it may do its token is for; the anonymous have none.
    pub(super) scope: Option<Scope>,
}

/// Finds out who sent a request, by its header or by `access_token`. One without a token is anonymous; one with a wrong token is
/// refused, even where the anonymous would be served.
pub(super) fn authenticate(
    accounts: &ServiceAccounts,
    headers: &HeaderMap,
    query: &Query,
    now: Timestamp,
) -> Result<Caller, Error> {
    let refused = || Error::new(Reason::AuthError);
    let token = match headers.get(AUTHORIZATION) {
        Some(header) => {
            let (scheme, token) =
                header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(refused)?;
            Some(token).filter(|_| scheme.eq_ignore_ascii_case("Bearer")).ok_or_else(refused)?
        }
        None => match query.get("access_token").or_else(|| query.get("oauth_token")) {
            Some(token) => token,
            None => return Ok(Caller { identity: Identity::anonymous(), scope: None }),
        },
    };
    let (account, scope) = match verify(accounts, token.trim(), now) {
        Some(found) => found,
        None => self_signed(accounts, token.trim(), now).map_err(|_| refused())?,
    };
    Ok(Caller { identity: Identity::holder(account.credential.clone()), scope: Some(scope) })
}

/// A token for an account, valid for an hour.
fn issue(account: &Account, scope: Scope, now: Timestamp) -> String {
    let expires = now.as_seconds() + LIFETIME_SECONDS;
    let (id, scope) = (&account.credential.access_key_id, scope.letter());
    let named = format!("{PREFIX}.{id}.{expires}.{scope}");
    let mac = hex::encode(mac(account, &named).finalize().into_bytes());
    format!("{named}.{mac}")
}

/// The account of a token of ours, and what it is for.
fn verify(accounts: &ServiceAccounts, token: &str, now: Timestamp) -> Option<(Arc<Account>, Scope)> {
    let (named, given) = token.rsplit_once('.')?;
    let (key_id, rest) = named.strip_prefix(PREFIX)?.strip_prefix('.')?.split_once('.')?;
    let (expires, scope) = rest.split_once('.')?;
    let account = accounts.find(key_id)?;
    // The comparison takes the same time wherever the first difference is.
    mac(&account, named).verify_slice(&hex::decode(given).ok()?).ok()?;
    let scope = Scope::of_letter(scope)?;
    (expires.parse::<i64>().ok()? > now.as_seconds()).then_some((account, scope))
}

fn mac(account: &Account, named: &str) -> Hmac<Sha256> {
    let secret = account.credential.secret_key.expose().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(named.as_bytes());
    mac
}

/// The account that signed an assertion which is used as a token, and what it is for.
fn self_signed(
    accounts: &ServiceAccounts,
    token: &str,
    now: Timestamp,
) -> Result<(Arc<Account>, Scope), InvalidAssertion> {
    let assertion = Assertion::parse(token)?;
    let account = accounts.find(&assertion.key_id).ok_or(InvalidAssertion::Signature)?;
    assertion.verify(&account.email, &account.public_key, now)?;
    let scope = assertion.scope_as_token(account.server_url.as_deref())?;
    Ok((account, scope))
}

/// Gives a token for an assertion that was signed for this server's token endpoint.
pub(super) fn exchange(
    accounts: &ServiceAccounts,
    assertion: &str,
    now: Timestamp,
) -> Result<String, InvalidAssertion> {
    let read = Assertion::parse(assertion)?;
    let account = accounts.find(&read.key_id).ok_or(InvalidAssertion::Signature)?;
    read.verify(&account.email, &account.public_key, now)?;
    read.check_audience(TOKEN_PATH)?;
    Ok(issue(&account, read.scope()?, now))
}

#[cfg(test)]
pub(super) mod tests {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
    use http::HeaderMap;
    use ring::rand::SystemRandom;
    use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
    use serde_json::{Value, json};

    use super::{LIFETIME_SECONDS, exchange};
    use crate::gcs::jwt::InvalidAssertion;
    use crate::gcs::scope::Scope;
    use crate::gcs::service_account::{NewAccount, ServiceAccounts, mint};
    use crate::model::{Grant, Timestamp};
    use crate::protocol::auth::Identity;
    use crate::protocol::query::Query;

    const NOW: i64 = 1_795_209_619;

    struct Fixture {
        accounts: ServiceAccounts,
        key: Value,
        folder: tempfile::TempDir,
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().expect("a folder");
        let new = NewAccount {
            name: "tester".to_owned(),
            grants: vec![Grant::all()],
            server_url: "http://127.0.0.1:8000".to_owned(),
        };
        let minted = mint(folder.path(), &new).expect("a key");
        let key = serde_json::from_str(&minted.key_file).expect("JSON");
        Fixture { accounts: ServiceAccounts::in_folder(folder.path()), key, folder }
    }

    /// Signs claims as Google's libraries do.
    pub(in crate::gcs) fn sign(key: &Value, header: &Value, claims: &Value) -> String {
        let pem = key["private_key"].as_str().expect("a key");
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = base64::prelude::BASE64_STANDARD.decode(body).expect("base64");
        let pair = RsaKeyPair::from_pkcs8(&der).expect("a key");
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .expect("a signature");
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    pub(in crate::gcs) fn header(key: &Value) -> Value {
        json!({"alg": "RS256", "typ": "JWT", "kid": key["private_key_id"]})
    }

    pub(in crate::gcs) const READ_ONLY: &str = "https://www.googleapis.com/auth/devstorage.read_only";

    fn claims(key: &Value) -> Value {
        json!({"scope": "https://www.googleapis.com/auth/devstorage.full_control", "iss": key["client_email"], "aud": key["token_uri"], "iat": NOW, "exp": NOW + 3600})
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn bearer(token: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::header::AUTHORIZATION,
            format!("Bearer {token}").parse().expect("a value"),
        )])
    }

    fn authenticate(
        accounts: &ServiceAccounts,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Identity, super::Error> {
        super::authenticate(accounts, headers, &Query::default(), now).map(|caller| caller.identity)
    }

    #[test]
    fn an_assertion_is_exchanged_for_a_token_that_ends_in_time() {
        let Fixture { accounts, key, folder } = fixture();
        let token = exchange(&accounts, &sign(&key, &header(&key), &claims(&key)), at(NOW)).expect("a token");
        let identity =
            authenticate(&accounts, &bearer(&token), at(NOW + LIFETIME_SECONDS - 1)).expect("known");
        assert_eq!(identity.grants(), [Grant::all()]);
        assert!(authenticate(&accounts, &bearer(&token), at(NOW + LIFETIME_SECONDS)).is_err());
        let mut elsewhere = claims(&key);
        elsewhere["aud"] = json!("https://oauth2.googleapis.com/token");
        assert!(exchange(&accounts, &sign(&key, &header(&key), &elsewhere), at(NOW)).is_ok());
        // After a restart nothing is remembered of it, and it is valid all the same.
        let restarted = ServiceAccounts::in_folder(folder.path());
        assert!(authenticate(&restarted, &bearer(&token), at(NOW)).is_ok());
        let forged = token.replace(&(NOW + 3600).to_string(), &(NOW + 7200).to_string());
        assert!(authenticate(&accounts, &bearer(&forged), at(NOW)).is_err());
    }

    #[test]
    fn an_assertion_can_be_the_token_itself() {
        let Fixture { accounts, key, folder: _folder } = fixture();
        let claims = json!({
            "iss": key["client_email"], "aud": "https://storage.googleapis.com/", "iat": NOW, "exp": NOW + 3600,
        });
        let token = sign(&key, &header(&key), &claims);
        assert!(authenticate(&accounts, &bearer(&token), at(NOW)).is_ok());
        assert!(authenticate(&accounts, &bearer(&token), at(NOW + 3600)).is_err());
    }

    #[test]
    fn an_assertion_as_token_is_for_this_service_or_for_a_scope() {
        let Fixture { accounts, key, folder: _folder } = fixture();
        let storage = "https://storage.googleapis.com/";
        for (aud, scope, expected) in [
            (json!(storage), Value::Null, Some(Scope::FullControl)),
            (json!("http://127.0.0.1:8000/"), Value::Null, Some(Scope::FullControl)),
            (json!(storage), json!(READ_ONLY), Some(Scope::ReadOnly)),
            (Value::Null, json!(READ_ONLY), Some(Scope::ReadOnly)),
            (Value::Null, Value::Null, None),
            (Value::Null, json!("unknown"), None),
            (json!("https://pubsub.googleapis.com/"), Value::Null, None),
            (json!("https://pubsub.googleapis.com/"), json!(READ_ONLY), None),
            (json!("http://127.0.0.1:8000/__gcs__/token"), Value::Null, None),
        ] {
            let mut claims = claims(&key);
            (claims["aud"], claims["scope"]) = (aud.clone(), scope.clone());
            let token = bearer(&sign(&key, &header(&key), &claims));
            let caller = super::authenticate(&accounts, &token, &Query::default(), at(NOW));
            assert_eq!(caller.ok().and_then(|caller| caller.scope), expected, "{aud} {scope}");
        }
    }

    #[test]
    fn a_token_may_do_what_its_assertion_asked_for() {
        let Fixture { accounts, key, folder: _folder } = fixture();
        let mut claims = claims(&key);
        claims["scope"] = json!(READ_ONLY);
        let token = exchange(&accounts, &sign(&key, &header(&key), &claims), at(NOW)).expect("a token");
        let no_headers = HeaderMap::new();
        let query = Query::parse(&format!("access_token={token}")).expect("a query");
        for (headers, query) in [(bearer(&token), Query::default()), (no_headers, query)] {
            let caller = super::authenticate(&accounts, &headers, &query, at(NOW)).expect("known");
            assert_eq!(caller.scope, Some(Scope::ReadOnly));
            assert_eq!(caller.identity.grants(), [Grant::all()]);
        }
        let widened = token.replace(".r.", ".f.");
        assert!(authenticate(&accounts, &bearer(&widened), at(NOW)).is_err());
    }

    #[test]
    fn assertions_that_prove_nothing_are_refused() {
        let Fixture { accounts, key, folder: _folder } = fixture();
        let changed = |name: &str, value: Value| {
            let mut claims = claims(&key);
            claims[name] = value;
            sign(&key, &header(&key), &claims)
        };
        let unsigned = sign(&key, &json!({"alg": "none", "kid": key["private_key_id"]}), &claims(&key));
        let mut extended = header(&key);
        extended["crit"] = json!(["b64"]);
        let critical = sign(&key, &extended, &claims(&key));
        let unknown = sign(&key, &json!({"alg": "RS256", "kid": "0".repeat(40)}), &claims(&key));
        let good = sign(&key, &header(&key), &claims(&key));
        let (signed, _) = good.rsplit_once('.').expect("a signature");
        for (assertion, expected) in [
            (changed("iss", json!("somebody@else")), InvalidAssertion::Signature),
            (changed("exp", json!(NOW)), InvalidAssertion::Time),
            (changed("exp", json!(NOW + 3601)), InvalidAssertion::Time),
            (changed("iat", json!(NOW + 301)), InvalidAssertion::Time),
            (changed("nbf", json!(NOW + 301)), InvalidAssertion::Time),
            (changed("aud", json!("https://elsewhere.example/token")), InvalidAssertion::Audience),
            (changed("aud", Value::Null), InvalidAssertion::Audience),
            (changed("sub", json!("somebody@else")), InvalidAssertion::Subject),
            (changed("scope", Value::Null), InvalidAssertion::Scope),
            (changed("scope", json!("")), InvalidAssertion::Scope),
            (changed("scope", json!(format!("{READ_ONLY} unknown"))), InvalidAssertion::Scope),
            (critical, InvalidAssertion::Critical),
            (unsigned, InvalidAssertion::Malformed),
            (unknown, InvalidAssertion::Signature),
            (format!("{signed}.AAAA"), InvalidAssertion::Signature),
            ("a.b".to_owned(), InvalidAssertion::Malformed),
            (String::new(), InvalidAssertion::Malformed),
        ] {
            assert_eq!(exchange(&accounts, &assertion, at(NOW)), Err(expected), "{assertion}");
        }
    }

    #[test]
    fn nobody_is_anonymous_and_a_wrong_token_is_nobody() {
        let accounts = ServiceAccounts::none();
        assert!(authenticate(&accounts, &HeaderMap::new(), at(NOW)).is_ok_and(|who| who.is_anonymous()));
        for token in ["", "x", "understudy.x.y.z", "a.b.c"] {
            assert!(authenticate(&accounts, &bearer(token), at(NOW)).is_err(), "{token}");
        }
    }
}
