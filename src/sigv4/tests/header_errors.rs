//! What S3 says to `Authorization` headers that it cannot take.

use crate::signature::SignatureError;
use crate::signature::testing::{Received, example_time, later, secret};
use crate::sigv4::{HeaderAuth, QueryAuth};

const GOOD: &str = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=00";

fn request() -> Received {
    Received::new(
        "GET /bucket/key",
        &[
            ("host", "localhost"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ],
    )
}

fn read(received: &Received, authorization: &str) -> Result<HeaderAuth, SignatureError> {
    HeaderAuth::read(&received.as_signed(), authorization)
}

#[test]
fn a_body_in_chunks_that_is_not_signed_is_refused() {
    let chunked = request().with("content-encoding", Some("gzip, aws-chunked"));
    let refused = read(&chunked, GOOD).expect_err("the framing would become the object");
    assert!(
        matches!(refused, SignatureError::InvalidArgument { name: "content-encoding", .. }),
        "{refused:?}"
    );
    let link = Received::new(
        "PUT /bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00",
        &[("host", "localhost"), ("content-encoding", "aws-chunked")],
    );
    let refused = QueryAuth::read(&link.as_signed()).expect_err("a link signs no body");
    assert!(
        matches!(refused, SignatureError::InvalidArgument { name: "content-encoding", .. }),
        "{refused:?}"
    );
}

#[test]
fn malformed_headers_are_told_what_is_wrong() {
    assert!(read(&request(), GOOD).is_ok());
    for (from, to, expected) in [
        ("us-east-1/s3", "us-east-1/ec2", "incorrect service \"ec2\". This endpoint belongs to \"s3\"."),
        (
            "aws4_request",
            "aws5_request",
            "incorrect terminal \"aws5_request\". This endpoint uses \"aws4_request\".",
        ),
        (
            "/us-east-1",
            "",
            "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
        ),
        ("us-east-1", "", "a non-empty region must be provided in the credential."),
        (
            "20130524",
            "2013-05-24",
            "incorrect date format \"2013-05-24\". This date in the credential must be in the format \"yyyyMMdd\".",
        ),
        (
            "20130524",
            "20130525",
            "Invalid credential date \"20130525\". This date is not the same as X-Amz-Date: \"20130524\".",
        ),
        (
            ", Signature=00",
            "",
            "the authorization header requires three components: Credential, SignedHeaders, and Signature.",
        ),
        (
            ", Signature=00",
            ", Signature=00, Signature=11",
            "the authorization header requires three components: Credential, SignedHeaders, and Signature.",
        ),
        (", Signature=00", ", Signature", "the authorization component \"Signature\" is malformed."),
        (", Signature=00", ", Sign=00", "the authorization component \"Sign=00\" is malformed."),
        ("=host;", "=host;host;", "SignedHeaders must be distinct header names, separated by ';'."),
    ] {
        let error = read(&request(), &GOOD.replace(from, to)).expect_err(expected);
        assert_eq!(error, SignatureError::AuthorizationHeaderMalformed(expected.to_owned()));
        assert_eq!(error.to_string(), format!("The authorization header is malformed; {expected}"));
    }
}

#[test]
fn blanks_between_the_components_do_not_matter() {
    for authorization in [GOOD.replace(", ", ","), GOOD.replace(", ", " ,  ")] {
        assert!(read(&request(), &authorization).is_ok(), "{authorization}");
    }
}

#[test]
fn an_id_that_could_be_nobodys_is_unknown() {
    let error = read(&request(), &GOOD.replace("AKIAIOSFODNN7EXAMPLE", "a b")).expect_err("no id");
    assert_eq!(error, SignatureError::InvalidAccessKeyId { provided: "a b".to_owned() });
}

#[test]
fn the_date_may_stand_in_either_header_and_must_be_one() {
    let no_date = SignatureError::AccessDenied(
        "AWS authentication requires a valid Date or x-amz-date header".to_owned(),
    );
    for (amz_date, date, expected) in [
        (Some("20130524T000000Z"), None, None),
        (None, Some("Fri, 24 May 2013 00:00:00 GMT"), None),
        (None, Some("Fri, 24 May 2013 00:00:00 -0000"), None),
        (Some("Fri, 24 May 2013 00:00:00 GMT"), None, None),
        (None, Some("20130524T000000Z"), None),
        (Some("20130524T000000Z"), Some("garbage"), None),
        (None, None, Some(&no_date)),
        (Some("yesterday"), Some("Fri, 24 May 2013 00:00:00 GMT"), Some(&no_date)),
        (None, Some("yesterday"), Some(&no_date)),
    ] {
        let received = request().with("x-amz-date", amz_date).with("date", date);
        assert_eq!(read(&received, GOOD).err().as_ref(), expected, "{amz_date:?} {date:?}");
    }
}

#[test]
fn the_payload_hash_must_be_there_and_one_of_its_forms() {
    let missing = read(&request().with("x-amz-content-sha256", None), GOOD).expect_err("missing");
    assert_eq!(missing.to_string(), "Missing required header for this request: x-amz-content-sha256");
    for value in ["", "abc", "unsigned-payload", &"0".repeat(63), &"g".repeat(64), "STREAMING-PAYLOAD"] {
        let error = read(&request().with("x-amz-content-sha256", Some(value)), GOOD).expect_err(value);
        let SignatureError::InvalidArgument { name, value: shown, .. } = error else {
            panic!("{value}: {error:?}")
        };
        assert_eq!((name, shown.as_str()), ("x-amz-content-sha256", value));
    }
    let ecdsa = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER";
    let error = read(&request().with("x-amz-content-sha256", Some(ecdsa)), GOOD).expect_err(ecdsa);
    assert_eq!(
        error,
        SignatureError::NotImplemented { header: "x-amz-content-sha256", value: ecdsa.to_owned() }
    );
}

#[test]
fn host_and_every_amz_header_must_be_signed() {
    let mut received = request();
    for (name, value) in [("x-amz-acl", "private"), ("x-amz-meta-a", "b"), ("content-type", "text/plain")] {
        received.add(name, value);
    }
    for (authorization, expected) in [
        (GOOD.to_owned(), "x-amz-acl, x-amz-meta-a"),
        (GOOD.replace("=host;", "=x-amz-acl;x-amz-meta-a;"), "host"),
        (
            GOOD.replace("=host;x-amz-content-sha256;x-amz-date", "="),
            "host, x-amz-acl, x-amz-content-sha256, x-amz-date, x-amz-meta-a",
        ),
    ] {
        let error = read(&received, &authorization).expect_err(expected);
        assert_eq!(error, SignatureError::HeadersNotSigned { headers: expected.to_owned() });
    }
}

#[test]
fn a_session_token_is_never_ours() {
    let in_header = request().with("x-amz-security-token", Some("token"));
    let mut in_query = request();
    in_query.query = "X-Amz-Security-Token=token".to_owned();
    for received in [in_header, in_query] {
        assert_eq!(read(&received, GOOD).expect_err("a token"), SignatureError::InvalidToken);
    }
}

#[test]
fn clocks_may_be_a_quarter_of_an_hour_apart() {
    let received = request();
    let auth = read(&received, GOOD).expect("well-formed");
    for (seconds, skewed) in [(0, false), (900, false), (-900, false), (901, true), (-901, true)] {
        let now = later(seconds);
        let error = auth.verify(&received.as_signed(), &secret(), now).expect_err("a wrong signature");
        let expected = SignatureError::RequestTimeTooSkewed {
            request_time: "20130524T000000Z".to_owned(),
            server_time: now,
            max_allowed_skew_ms: 900_000,
        };
        assert_eq!(error == expected, skewed, "{seconds}: {error:?}");
    }
}

#[test]
fn what_a_client_sent_is_repeated_only_in_part() {
    let long = GOOD.replace("=00", &format!("={}", "0".repeat(100_000)));
    let received = request();
    let auth = read(&received, &long).expect("well-formed");
    let Err(SignatureError::DoesNotMatch(mismatch)) =
        auth.verify(&received.as_signed(), &secret(), example_time())
    else {
        panic!("accepted");
    };
    assert_eq!(mismatch.signature_provided.len(), 1024);
}
