//! The examples of "Signature Calculations for the Authorization Header" and "Authenticating
//! Requests: Using Query Parameters" in the S3 API reference.

use crate::signature::testing::{ID, Received, example_time, later, secret};
use crate::signature::{Mismatch, SignatureError};
use crate::sigv4::{HeaderAuth, Payload, QueryAuth};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn verify(received: &Received) -> Result<Payload, SignatureError> {
    let authorization = received.headers["authorization"].to_str().expect("ASCII");
    let auth = HeaderAuth::read(&received.as_signed(), authorization)?;
    auth.verify(&received.as_signed(), &secret(), example_time())
}

fn example(line: &str, signed: &str, signature: &str, headers: &[(&str, &str)]) -> Received {
    let mut received = Received::new(line, headers);
    received.add("host", "examplebucket.s3.amazonaws.com");
    received.add("x-amz-date", "20130524T000000Z");
    received.add(
        "authorization",
        &format!(
            "AWS4-HMAC-SHA256 Credential={ID}/20130524/us-east-1/s3/aws4_request,SignedHeaders={signed},Signature={signature}"
        ),
    );
    received
}

fn get_object() -> Received {
    example(
        "GET /test.txt",
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        &[("range", "bytes=0-9"), ("x-amz-content-sha256", EMPTY)],
    )
}

#[test]
fn the_documented_requests_verify() {
    let put_object = example(
        "PUT /test$file.text",
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        &[
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
        ],
    );
    let lifecycle = example(
        "GET /?lifecycle",
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        &[("x-amz-content-sha256", EMPTY)],
    );
    let list = example(
        "GET /?max-keys=2&prefix=J",
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        &[("x-amz-content-sha256", EMPTY)],
    );
    for (received, sha256) in [
        (get_object(), EMPTY),
        (put_object, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
        (lifecycle, EMPTY),
        (list, EMPTY),
    ] {
        let line = format!("{} {}?{}", received.method, received.path, received.query);
        match verify(&received) {
            Ok(Payload::Sha256(found)) => assert_eq!(hex::encode(found), sha256, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn the_documented_link_verifies_until_it_expires() {
    let link = format!(
        "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={ID}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    );
    let received = Received::new(&link, &[("host", "examplebucket.s3.amazonaws.com")]);
    let auth = QueryAuth::read(&received.as_signed()).expect("well-formed");
    assert_eq!(auth.access_key_id().as_str(), ID);
    for seconds in [-900, 0, 86_400] {
        let verified = auth.verify(&received.as_signed(), &secret(), later(seconds));
        assert!(matches!(verified, Ok(Payload::Unsigned)), "{seconds}: {verified:?}");
    }
    let expired = auth.verify(&received.as_signed(), &secret(), later(86_401));
    assert_eq!(
        expired.expect_err("expired"),
        SignatureError::Expired {
            expires: later(86_400),
            server_time: later(86_401),
            x_amz_expires: Some(86_400),
        }
    );
    let early = auth.verify(&received.as_signed(), &secret(), later(-901));
    assert_eq!(
        early.expect_err("too early"),
        SignatureError::NotYetValid { valid_from: example_time(), server_time: later(-901) }
    );
}

#[test]
fn a_mismatch_shows_the_documented_canonical_request_and_string_to_sign() {
    let received = get_object();
    let authorization = received.headers["authorization"].to_str().expect("ASCII").to_owned();
    let wrong = authorization.replace("bdb41", "bdb42");
    let Err(SignatureError::DoesNotMatch(mismatch)) = verify(&received.with("authorization", Some(&wrong)))
    else {
        panic!("a wrong signature was accepted");
    };
    let canonical_request = format!(
        "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\nx-amz-content-sha256:{EMPTY}\nx-amz-date:20130524T000000Z\n\nhost;range;x-amz-content-sha256;x-amz-date\n{EMPTY}"
    );
    assert_eq!(
        *mismatch,
        Mismatch {
            access_key_id: crate::signature::testing::id(),
            string_to_sign: "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972".to_owned(),
            canonical_request: Some(canonical_request),
            signature_provided: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb42".to_owned(),
        }
    );
}

#[test]
fn every_signed_part_of_a_request_is_protected() {
    let base = get_object();
    let mut other_method = base.clone();
    other_method.method = http::Method::DELETE;
    let mut other_path = base.clone();
    other_path.path = "/test.txt2".to_owned();
    let mut other_query = base.clone();
    other_query.query = "acl".to_owned();
    for (what, received) in [
        ("method", other_method),
        ("path", other_path),
        ("query", other_query),
        ("range", base.with("range", Some("bytes=0-10"))),
        ("missing range", base.with("range", None)),
        ("host", base.with("host", Some("other.s3.amazonaws.com"))),
        ("date", base.with("x-amz-date", Some("20130524T000001Z"))),
        ("payload", base.with("x-amz-content-sha256", Some("UNSIGNED-PAYLOAD"))),
    ] {
        let refused = matches!(verify(&received), Err(SignatureError::DoesNotMatch(_)));
        assert!(refused, "another {what} was accepted");
    }
    assert!(verify(&base).is_ok());
}

#[test]
fn blanks_in_and_around_header_values_do_not_count() {
    let received = get_object().with("range", Some("  bytes=0-9  "));
    assert!(verify(&received).is_ok());
}

#[test]
fn another_secret_does_not_verify() {
    let received = get_object();
    let authorization = received.headers["authorization"].to_str().expect("ASCII");
    let auth = HeaderAuth::read(&received.as_signed(), authorization).expect("well-formed");
    let other = crate::model::SecretKey::parse("another-secret").expect("a secret");
    let refused = auth.verify(&received.as_signed(), &other, example_time());
    assert!(matches!(refused, Err(SignatureError::DoesNotMatch(_))));
}
