//! Links that `presign` makes, received as real clients send them.

use std::time::Duration;

use http::Method;
use proptest::prelude::*;

use crate::model::{BucketName, ObjectKey, Timestamp};
use crate::signature::testing::{Received, example_time, id, later, secret};
use crate::signature::{SignatureError, decode_path};
use crate::sigv4::{Payload, Presign, PresignError, QueryAuth, presign};

struct Wanted<'a> {
    method: Method,
    endpoint: &'a str,
    key: &'a str,
    query: &'a [(&'a str, &'a str)],
    headers: &'a [(&'a str, &'a str)],
    seconds: u64,
}

const PLAIN: Wanted<'static> = Wanted {
    method: Method::GET,
    endpoint: "http://127.0.0.1:8000",
    key: "key",
    query: &[],
    headers: &[],
    seconds: 3600,
};

fn link(wanted: &Wanted<'_>) -> Result<String, PresignError> {
    let wanted = Presign {
        method: &wanted.method,
        endpoint: wanted.endpoint,
        region: "us-east-1",
        access_key_id: &id(),
        secret_key: &secret(),
        bucket: &BucketName::parse("bucket").expect("a name"),
        key: &ObjectKey::parse(wanted.key).expect("a key"),
        query: wanted.query,
        headers: wanted.headers,
        expires: Duration::from_secs(wanted.seconds),
    };
    presign(&wanted, example_time())
}

fn verify(received: &Received, now: Timestamp) -> Result<Payload, SignatureError> {
    QueryAuth::read(&received.as_signed())?.verify(&received.as_signed(), &secret(), now)
}

#[test]
fn a_link_is_in_path_style_and_encoded_once() {
    let url = link(&Wanted { key: "pub/a b+c%2F//é", ..PLAIN }).expect("a link");
    assert!(url.starts_with("http://127.0.0.1:8000/bucket/pub/a%20b%2Bc%252F//%C3%A9?"), "{url}");
    assert!(url.contains("X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"));
    assert!(url.contains("X-Amz-SignedHeaders=host&") || url.ends_with("X-Amz-SignedHeaders=host"), "{url}");
    assert!(url.contains("X-Amz-Expires=3600"));
    assert_eq!(url.matches("X-Amz-Signature=").count(), 1);
}

#[test]
fn odd_keys_verify_as_they_are_and_after_yarl() {
    for key in [
        "//",
        "a//b",
        "../x",
        "a b",
        "a+b",
        "a%2Fb",
        "a%20b",
        "🦊",
        "&=@:,;'()!*",
        "$[]?#",
        "a/",
        "\u{1}",
        "~-_.",
    ] {
        let url = link(&Wanted { key, ..PLAIN }).expect("a link");
        let mut received = Received::of_url("GET", &url, &[]);
        assert_eq!(&*decode_path(&received.path), format!("/bucket/{key}").as_bytes());
        assert!(verify(&received, later(1)).is_ok(), "{key}: {:?}", verify(&received, later(1)));

        // What yarl makes of the URL before it sends it.
        for (escaped, plain) in [
            ("%26", "&"),
            ("%3D", "="),
            ("%40", "@"),
            ("%3A", ":"),
            ("%2C", ","),
            ("%3B", ";"),
            ("%27", "'"),
            ("%28", "("),
            ("%29", ")"),
            ("%21", "!"),
            ("%2A", "*"),
            ("%24", "$"),
        ] {
            received.path = received.path.replace(escaped, plain);
        }
        received.query = received.query.replace("%2F", "/").replace("%3B", ";");
        assert!(verify(&received, later(1)).is_ok(), "{key} after yarl: {:?}", verify(&received, later(1)));
    }
}

#[test]
fn signed_headers_and_parameters_are_part_of_the_link() {
    let wanted = Wanted {
        method: Method::PUT,
        headers: &[("content-type", "text/plain")],
        query: &[("response-content-disposition", "attachment; filename=\"a b\""), ("x", "")],
        ..PLAIN
    };
    let url = link(&wanted).expect("a link");
    let received = Received::of_url("PUT", &url, &[("content-type", "text/plain")]);
    assert!(matches!(verify(&received, later(1)), Ok(Payload::Unsigned)));
    for other in [
        received.with("content-type", Some("text/html")),
        received.with("content-type", None),
        received.with("host", Some("127.0.0.1:8001")),
        Received { query: received.query.replace("a%20b", "a%20c"), ..received.clone() },
        Received { query: format!("{}&y=1", received.query), ..received.clone() },
        Received { method: Method::GET, ..received.clone() },
    ] {
        let refused = matches!(verify(&other, later(1)), Err(SignatureError::DoesNotMatch(_)));
        assert!(refused, "{other:?} was accepted");
    }
}

#[test]
fn the_payload_hash_may_be_a_parameter() {
    // The JavaScript SDK puts it there.
    let query = &[("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")];
    let url = link(&Wanted { query, ..PLAIN }).expect("a link");
    let verified = verify(&Received::of_url("GET", &url, &[]), later(1));
    assert!(matches!(verified, Ok(Payload::Unsigned)), "{verified:?}");
}

#[test]
fn a_link_is_good_for_a_second_to_a_week() {
    for (seconds, expected) in [(0, false), (1, true), (604_800, true), (604_801, false)] {
        let url = link(&Wanted { seconds, ..PLAIN });
        assert_eq!(url.is_ok(), expected, "{seconds}");
        let Ok(url) = url else { continue };
        let received = Received::of_url("GET", &url, &[]);
        let seconds = i64::try_from(seconds).expect("a week fits");
        assert!(verify(&received, later(seconds)).is_ok());
        assert!(matches!(verify(&received, later(seconds + 1)), Err(SignatureError::Expired { .. })));
    }
}

#[test]
fn an_endpoint_may_have_a_path_and_must_be_a_server() {
    for (endpoint, expected) in [
        ("https://s3.example.com", Some("https://s3.example.com/bucket/key?")),
        ("https://s3.example.com/", Some("https://s3.example.com/bucket/key?")),
        ("http://[::1]:9000", Some("http://[::1]:9000/bucket/key?")),
        ("http://proxy/s3", Some("http://proxy/s3/bucket/key?")),
        ("s3.example.com", None),
        ("ftp://s3.example.com", None),
        ("http://", None),
        ("http://host?query", None),
        ("", None),
    ] {
        match (link(&Wanted { endpoint, ..PLAIN }), expected) {
            (Ok(url), Some(begin)) => assert!(url.starts_with(begin), "{url}"),
            (Err(PresignError::Endpoint { .. }), None) => {}
            (other, _) => panic!("{endpoint}: {other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn a_link_for_any_key_verifies(key in "\\PC{1,40}") {
        let url = link(&Wanted { key: &key, ..PLAIN }).expect("a link");
        let received = Received::of_url("GET", &url, &[]);
        let path = format!("/bucket/{key}");
        prop_assert_eq!(&*decode_path(&received.path), path.as_bytes());
        prop_assert!(verify(&received, later(1)).is_ok(), "{:?}", verify(&received, later(1)));
    }
}
