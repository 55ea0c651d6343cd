//! Signatures: whatever a request presents, it is read and refused without a panic, and nothing that
//! the fuzzer can make up verifies.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use understudy::model::{SecretKey, Timestamp};
use understudy::presented::Presented;
use understudy::signature::SignedRequest;

/// The first line is a path, with its query; each further line is a header.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut lines = text.lines();
    let target = lines.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    let request =
        SignedRequest { method: &Method::PUT, path, query, headers: &headers, virtual_host_bucket: None };
    let Ok(presented) = Presented::read(&request) else { return };
    let Some(_) = presented.access_key_id() else { return };
    let secret = SecretKey::parse("a-secret-that-nobody-guesses").expect("a secret");
    let verified = presented.verify(&request, &secret, Timestamp::from_seconds(1_795_209_619));
    assert!(verified.is_err(), "{request:?}");
}
