//! The service account that a stage is checked out with, used as google-auth uses it.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use super::engine::{docker, engine_answers};
use super::http::exchange;
use super::shelf::{CATALOGUE, Name, checked_out, done};

fn environment(name: &Name, more: &[&str]) -> Value {
    let arguments = [&["env", name.as_str(), "--json"], more].concat();
    serde_json::from_str(&done(&arguments)).expect("a JSON object")
}

fn key_file(environment: &Value) -> Value {
    let creds = environment["GCS_DEP_CREDS"].as_str().expect("an account");
    serde_json::from_slice(&BASE64_STANDARD.decode(creds).expect("base64, on one line")).expect("JSON")
}

/// RFC 7523, "JWT Bearer Token Grants".
fn assertion(key: &Value) -> String {
    let pem = key["private_key"].as_str().expect("a key");
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let pair = RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(body).expect("PEM")).expect("an RSA key");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": key["private_key_id"] });
    let claims = json!({
        "iss": key["client_email"], "aud": key["token_uri"], "iat": now, "exp": now + 3600,
        "scope": "https://www.googleapis.com/auth/devstorage.read_write",
    });
    let encoded = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encoded(&header), encoded(&claims));
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).expect("signed");
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn the_account_of_a_stage_is_taken_by_that_stage() {
    if !engine_answers() {
        return;
    }
    let name = Name::new("account");
    checked_out(&name, &CATALOGUE.replace("read-write", "none"), &[]);
    let own = environment(&name, &[]);
    let key = key_file(&own);
    let url = own["API_ENDPOINT_OVERRIDE"].as_str().expect("an address");
    assert_eq!(key["token_uri"], format!("{url}/__gcs__/token"));
    let inside = key_file(&environment(&name, &["--inside"]));
    assert_eq!(inside["token_uri"], "http://store:8000/__gcs__/token");
    assert_eq!(inside["private_key"], key["private_key"], "one account, wherever it is asked for");

    let form = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={}",
        assertion(&key)
    );
    let head = "POST /__gcs__/token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let answer = exchange(name.address(), head, form.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let token = answer["access_token"].as_str().expect("a token");
    for (authorization, status) in [(format!("Authorization: Bearer {token}\r\n"), 200), (String::new(), 401)]
    {
        let head = format!("GET /storage/v1/b/one HTTP/1.1\r\n{authorization}");
        let answer = exchange(name.address(), &head, b"").expect("an answer");
        assert_eq!(answer.status, status, "{answer:?}");
    }

    // Whoever may only look at the container sees nothing of it.
    let inspected = docker(&["inspect", &name.thing()]);
    assert!(!inspected.contains("PRIVATE KEY") && !inspected.contains("GCS_DEP_CREDS"));
    // It outlives what the stage is taken back to, and a stop.
    done(&["reset", name.as_str()]);
    docker(&["stop", &name.thing()]);
    assert_eq!(key_file(&environment(&name, &["--inside"]))["private_key"], key["private_key"]);
}
