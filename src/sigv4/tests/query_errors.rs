//! What S3 says to presigned links that it cannot take.

use crate::signature::SignatureError;
use crate::signature::testing::{Received, example_time, secret};
use crate::sigv4::QueryAuth;

const GOOD: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00";

fn request(query: &str) -> Received {
    Received::new(&format!("GET /bucket/key?{query}"), &[("host", "localhost")])
}

fn read(query: &str) -> Result<QueryAuth, SignatureError> {
    QueryAuth::read(&request(query).as_signed())
}

#[test]
fn malformed_links_are_told_what_is_wrong() {
    assert!(read(GOOD).is_ok());
    let incomplete = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.";
    let too_long = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds";
    for (from, to, expected) in [
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256&", "", incomplete),
        ("X-Amz-Credential=", "Y=", incomplete),
        ("X-Amz-Date=", "Y=", incomplete),
        ("X-Amz-Expires=", "Y=", incomplete),
        ("X-Amz-SignedHeaders=", "Y=", incomplete),
        ("X-Amz-Signature=", "Y=", incomplete),
        ("X-Amz-Signature=00", "X-Amz-Signature=", incomplete),
        (
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA1",
            "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256\"",
        ),
        (
            "%2Fs3%2F",
            "%2Fec2%2F",
            "Error parsing the X-Amz-Credential parameter; incorrect service \"ec2\". This endpoint belongs to \"s3\".",
        ),
        (
            "Date=20130524T000000Z",
            "Date=20130524",
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"",
        ),
        (
            "Date=20130524T",
            "Date=20130525T",
            "Invalid credential date \"20130524\". This date is not the same as X-Amz-Date: \"20130525\".",
        ),
        ("Expires=60", "Expires=soon", "X-Amz-Expires should be a number"),
        ("Expires=60", "Expires=99999999999999999999", "X-Amz-Expires should be a number"),
        ("Expires=60", "Expires=-1", "X-Amz-Expires must be non-negative"),
        ("Expires=60", "Expires=0", "X-Amz-Expires must be at least 1 second"),
        ("Expires=60", "Expires=604801", too_long),
        ("Expires=60", "Expires=99999999999", too_long),
        ("=host", "=host%3Bhost", "X-Amz-SignedHeaders must be distinct header names, separated by ';'"),
    ] {
        let error = read(&GOOD.replace(from, to)).expect_err(expected);
        assert_eq!(error, SignatureError::AuthorizationQueryParametersError(expected.to_owned()));
    }
}

#[test]
fn the_ecdsa_scheme_is_not_implemented() {
    let error = read(&GOOD.replace("HMAC-SHA256", "ECDSA-P256-SHA256")).expect_err("ECDSA");
    let value = "AWS4-ECDSA-P256-SHA256".to_owned();
    assert_eq!(error, SignatureError::NotImplemented { header: "X-Amz-Algorithm", value });
}

#[test]
fn a_link_without_signed_headers_does_not_sign_the_host() {
    let error = read(&GOOD.replace("=host", "=")).expect_err("no host");
    assert_eq!(error, SignatureError::HeadersNotSigned { headers: "host".to_owned() });
}

#[test]
fn a_link_holder_may_not_add_amz_headers() {
    let received = request(GOOD).with("x-amz-copy-source", Some("/bucket/other"));
    let error = QueryAuth::read(&received.as_signed()).expect_err("unsigned");
    assert_eq!(error, SignatureError::HeadersNotSigned { headers: "x-amz-copy-source".to_owned() });
}

#[test]
fn a_session_token_is_never_ours() {
    let error = read(&format!("{GOOD}&X-Amz-Security-Token=token")).expect_err("a token");
    assert_eq!(error, SignatureError::InvalidToken);
}

#[test]
fn the_payload_hash_may_stand_in_the_query_or_in_a_signed_header() {
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let signed = GOOD.replace("=host", "=host%3Bx-amz-content-sha256");
    let by_header = request(&signed).with("x-amz-content-sha256", Some(hash));
    let by_query = request(&format!("{GOOD}&X-Amz-Content-Sha256={hash}"));
    for (received, expected) in [(request(GOOD), "UNSIGNED-PAYLOAD"), (by_header, hash), (by_query, hash)] {
        let auth = QueryAuth::read(&received.as_signed()).expect("well-formed");
        // The canonical request of the mismatch tells which hash was used, and signs it.
        let Err(SignatureError::DoesNotMatch(mismatch)) =
            auth.verify(&received.as_signed(), &secret(), example_time())
        else {
            panic!("accepted");
        };
        let canonical = mismatch.canonical_request.unwrap_or_default();
        assert_eq!(canonical.lines().last(), Some(expected));
    }
}
