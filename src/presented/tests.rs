//! Which scheme a request uses, and what it may not combine.

use super::{Presented, Verified};
use crate::signature::SignatureError;
use crate::signature::testing::{ID, Received, later, secret};
use crate::sigv4::Payload;

const V4: &str = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=00";
const V4_QUERY: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host;x-amz-content-sha256;x-amz-date&X-Amz-Signature=00";
const V2_QUERY: &str = "AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=00&Expires=1369353660";

fn request(query: &str, authorization: Option<&str>) -> Received {
    Received::new(
        &format!("GET /bucket/key?{query}"),
        &[
            ("host", "localhost"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ],
    )
    .with("authorization", authorization)
}

#[test]
fn the_four_schemes_and_none_are_told_apart() {
    let v2 = format!("AWS {ID}:signature");
    let v2_dated = request("", Some(&v2)).with("x-amz-date", Some("Fri, 24 May 2013 00:00:00 GMT"));
    for (received, expected) in [
        (request("", None), "Anonymous"),
        (request("Expires=1&prefix=Signatures", None), "Anonymous"),
        (request("", Some(V4)), "V4Header"),
        (request(V4_QUERY, None), "V4Query"),
        (v2_dated, "V2Header"),
        (request(V2_QUERY, None), "V2Query"),
    ] {
        let presented = Presented::read(&received.as_signed()).expect(expected);
        let shown = format!("{presented:?}");
        assert_eq!(shown.split('(').next(), Some(expected));
        let expected_id = (expected != "Anonymous").then_some(ID);
        assert_eq!(presented.access_key_id().map(ToString::to_string).as_deref(), expected_id);
        let refused = presented.verify(&received.as_signed(), &secret(), later(0)).err();
        let is_mismatch = matches!(refused, Some(SignatureError::DoesNotMatch(_)));
        assert_eq!(is_mismatch, expected != "Anonymous", "{expected}: {refused:?}");
    }
}

#[test]
fn headers_in_the_query_count_in_links_alone() {
    let hoisted = "x-amz-acl=private&X-Amz-Meta-A=b+c&x-amz-date=never&x-amz-meta-bad=%0A&x-amz-b%3A=c&acl";
    let v4 = format!("{V4_QUERY}&{hoisted}");
    let v2 = format!("{V2_QUERY}&{hoisted}");
    for (query, authorization, expected) in [
        (v4.as_str(), None, &[("x-amz-acl", "private"), ("x-amz-meta-a", "b c")][..]),
        (&v2, None, &[("x-amz-acl", "private"), ("x-amz-meta-a", "b c")]),
        (hoisted, Some(V4), &[]),
        (hoisted, None, &[]),
    ] {
        let received = request(query, authorization);
        let presented = Presented::read(&received.as_signed()).expect("well-formed");
        let headers = presented.further_headers(&received.as_signed());
        let found: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("ASCII"))).collect();
        assert_eq!(found, expected, "{query}");
    }
    let received = request(&v4, None).with("x-amz-acl", Some("public-read"));
    assert!(!received.as_signed().headers_in_query().contains_key("x-amz-acl"), "the sent one is stronger");
}

#[test]
fn two_schemes_at_once_are_refused() {
    for received in [
        request(V4_QUERY, Some(V4)),
        request(V2_QUERY, Some(V4)),
        request(&format!("{V2_QUERY}&{V4_QUERY}"), None),
    ] {
        let error = Presented::read(&received.as_signed()).expect_err("two schemes");
        assert!(error.to_string().starts_with("Only one auth mechanism allowed"), "{error}");
    }
}

#[test]
fn unknown_schemes_are_refused() {
    for (authorization, expected) in [
        ("", "Authorization header is invalid -- one and only one ' ' (space) required"),
        ("AWS4-HMAC-SHA256", "Authorization header is invalid -- one and only one ' ' (space) required"),
        ("Bearer token", "Unsupported Authorization Type"),
        ("Basic dXNlcjpwYXNz", "Unsupported Authorization Type"),
        ("aws4-hmac-sha256 x", "Unsupported Authorization Type"),
    ] {
        let received = request("", Some(authorization));
        let error = Presented::read(&received.as_signed()).expect_err(expected);
        assert_eq!(
            error,
            SignatureError::InvalidArgument {
                message: expected,
                name: "Authorization",
                value: authorization.to_owned(),
            }
        );
    }
    let received = request("", Some("AWS4-ECDSA-P256-SHA256 Credential=x"));
    let error = Presented::read(&received.as_signed()).expect_err("ECDSA");
    assert!(matches!(error, SignatureError::NotImplemented { header: "Authorization", .. }), "{error:?}");
}

#[test]
fn anonymous_bodies_are_what_they_say() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let chunked = Some("gzip, AWS-chunked");
    for (sha256, encoding, expected) in [
        (None, None, "Unsigned"),
        (None, Some("gzip"), "Unsigned"),
        (None, chunked, "StreamingUnsignedTrailer"),
        (Some("UNSIGNED-PAYLOAD"), None, "Unsigned"),
        (Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"), chunked, "StreamingUnsignedTrailer"),
        (Some(empty), None, "Sha256"),
    ] {
        let received =
            request("", None).with("x-amz-content-sha256", sha256).with("content-encoding", encoding);
        let presented = Presented::read(&received.as_signed()).expect("anonymous");
        let Verified { payload } =
            presented.verify(&received.as_signed(), &secret(), later(0)).expect("nothing to verify");
        let shown = format!("{payload:?}");
        assert_eq!(shown.split('(').next(), Some(expected), "{sha256:?} {encoding:?}");
        assert!(!matches!(payload, Payload::Streaming(_)));
    }
    let received = request("", None)
        .with("x-amz-content-sha256", Some("UNSIGNED-PAYLOAD"))
        .with("content-encoding", chunked);
    let presented = Presented::read(&received.as_signed()).expect("anonymous");
    let refused = presented.verify(&received.as_signed(), &secret(), later(0));
    assert!(matches!(refused, Err(SignatureError::InvalidArgument { .. })), "{refused:?}");
    let signed_chunks = Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let received = request("", None).with("x-amz-content-sha256", signed_chunks);
    let presented = Presented::read(&received.as_signed()).expect("anonymous");
    let refused = presented.verify(&received.as_signed(), &secret(), later(0));
    assert!(matches!(refused, Err(SignatureError::InvalidRequest(_))), "{refused:?}");
}
