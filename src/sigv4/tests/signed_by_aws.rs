//! Requests signed by the `aws-sigv4` crate.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use proptest::prelude::*;

use crate::signature::testing::{ID, Received, SECRET, example_time, later, secret};
use crate::signature::{SignatureError, encode_component, encode_path};
use crate::sigv4::{HeaderAuth, Payload};

const HOST: &str = "127.0.0.1:8000";

/// A request whose `Authorization` the `aws-sigv4` crate has made.
fn signed(method: &str, target: &str, headers: &[(&str, &str)], body: SignableBody<'_>) -> Received {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = Credentials::new(ID, SECRET, None, None, "test").into();
    let time = UNIX_EPOCH + Duration::from_secs(example_time().as_seconds().unsigned_abs());
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-central-1")
        .name("s3")
        .time(time)
        .settings(settings)
        .build()
        .expect("complete")
        .into();
    let url = format!("http://{HOST}{target}");
    let request =
        SignableRequest::new(method, &url, headers.iter().copied(), body).expect("a signable request");
    let (instructions, _) = sign(request, &params).expect("signed").into_parts();
    let mut received = Received::of_url(method, &url, headers);
    for (name, value) in instructions.headers() {
        received.add(name, value);
    }
    received
}

fn verify(received: &Received) -> Result<Payload, SignatureError> {
    let authorization = received.headers["authorization"].to_str().expect("ASCII");
    let auth = HeaderAuth::read(&received.as_signed(), authorization)?;
    assert_eq!(auth.access_key_id().as_str(), ID);
    auth.verify(&received.as_signed(), &secret(), later(30))
}

#[test]
fn every_kind_of_payload_is_told_apart() {
    for (body, expected) in [
        (SignableBody::UnsignedPayload, "Unsigned"),
        (SignableBody::Bytes(b"hello"), "Sha256"),
        (SignableBody::StreamingUnsignedPayloadTrailer, "StreamingUnsignedTrailer"),
        (SignableBody::StreamingSignedPayloadTrailer, "Streaming("),
        (SignableBody::Precomputed("STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned()), "Streaming("),
    ] {
        let payload = verify(&signed("PUT", "/bucket/key", &[], body)).expect("verifies");
        let shown = format!("{payload:?}");
        assert!(shown.starts_with(expected), "{shown}");
        assert!(!shown.contains(SECRET));
    }
}

#[test]
fn a_url_that_was_encoded_again_after_signing_verifies() {
    let mut received = signed(
        "GET",
        "/bucket/a%20b%3D%40%3Ac%2B?prefix=pub%2Ffirefox%2F&delimiter=%2F&x=a%20b",
        &[],
        SignableBody::UnsignedPayload,
    );
    received.path = "/bucket/a%20b=@:c+".to_owned();
    received.query = "x=a+b&delimiter=/&prefix=pub/firefox%2f".to_owned();
    assert!(verify(&received).is_ok(), "{:?}", verify(&received));
}

#[test]
fn a_path_that_was_signed_as_it_was_sent_verifies() {
    // urllib3 and curl leave a path alone, so a client may sign characters that S3 would escape.
    let received = signed("GET", "/bucket/a=b@c:d", &[], SignableBody::UnsignedPayload);
    assert!(verify(&received).is_ok());
}

#[test]
fn a_signature_for_one_key_is_none_for_another() {
    let received = signed("GET", "/bucket/a%2520b", &[], SignableBody::UnsignedPayload);
    for path in ["/bucket/a%20b", "/bucket/a b", "/bucket/a%252520b", "/bucket//a%2520b", "/bucket/./a%2520b"]
    {
        let mut other = received.clone();
        other.path = path.to_owned();
        assert!(verify(&other).is_err(), "{path} was accepted");
    }
}

#[test]
fn headers_that_come_twice_are_joined() {
    let headers = [("x-amz-meta-a", "one"), ("x-amz-meta-a", "two  words"), ("content-type", "text/plain")];
    let received = signed("PUT", "/bucket/key", &headers, SignableBody::UnsignedPayload);
    assert!(verify(&received).is_ok(), "{:?}", verify(&received));
    assert!(verify(&received.with("x-amz-meta-a", Some("one,two words"))).is_ok());
    assert!(verify(&received.with("x-amz-meta-a", Some("one"))).is_err());
}

proptest! {
    #[test]
    fn any_key_and_any_query_verify(
        key in "[ -~é🦊/]{1,30}",
        pairs in prop::collection::vec(("[ -~é]{1,8}", "[ -~é/+]{0,12}"), 0..4),
        value in "[!-~]([ -~]{0,20}[!-~])?",
    ) {
        let query: Vec<_> = pairs
            .iter()
            .map(|(name, value)| {
                format!("{}={}", encode_component(name.as_bytes()), encode_component(value.as_bytes()))
            })
            .collect();
        let target = format!("/bucket/{}?{}", encode_path(key.as_bytes()), query.join("&"));
        let headers = [("x-amz-meta-value", value.as_str())];
        let received = signed("PUT", &target, &headers, SignableBody::Bytes(b"hello"));
        prop_assert!(verify(&received).is_ok(), "{:?}", verify(&received));
    }
}
