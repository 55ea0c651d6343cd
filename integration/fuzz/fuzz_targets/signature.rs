//! Signatures: whatever a request presents, it is read and refused without a panic, and nothing that
//! the fuzzer can make up verifies.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use understudy::model::{SecretKey, Timestamp};
use understudy::presented::Presented;
use understudy::signature::SignedRequest;

fuzz_target!(|data: (&str, &str, Vec<(&str, &str)>)| {
    let (path, query, pairs) = data;
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    let request = SignedRequest { method: &Method::PUT, path, query, headers: &headers, virtual_host_bucket: None };
    let Ok(presented) = Presented::read(&request) else { return };
    let Some(_) = presented.access_key_id() else { return };
    let secret = SecretKey::parse("a-secret-that-nobody-guesses").expect("a secret");
    let verified = presented.verify(&request, &secret, Timestamp::from_seconds(1_795_209_619));
    assert!(verified.is_err(), "{request:?}");
});
