//! AWS's examples, and links as boto3 makes and yarl rewrites them.

use crate::model::{SecretKey, Timestamp};
use crate::signature::testing::{ID, Received, SECRET, later, secret};
use crate::signature::{Mismatch, SignatureError};
use crate::sigv2::{HeaderAuth, QueryAuth};

fn verify_header(received: &Received, now: Timestamp) -> Result<(), SignatureError> {
    let authorization = received.headers["authorization"].to_str().expect("ASCII");
    let auth = HeaderAuth::read(&received.as_signed(), authorization)?;
    assert_eq!(auth.access_key_id().as_str(), ID);
    auth.verify(&received.as_signed(), &secret(), now)
}

fn verify_link(received: &Received, now: Timestamp) -> Result<(), SignatureError> {
    let auth = QueryAuth::read(&received.as_signed())?;
    assert_eq!(auth.access_key_id().as_str(), ID);
    auth.verify(&received.as_signed(), &secret(), now)
}

/// When AWS's examples were sent.
fn at(date: &str) -> Timestamp {
    Timestamp::parse_http_date(date).expect("a date")
}

fn example(line: &str, bucket: Option<&str>, signature: &str, headers: &[(&str, &str)]) -> Received {
    let mut received = Received::new(line, headers);
    received.bucket = bucket.map(ToOwned::to_owned);
    received.add("authorization", &format!("AWS {ID}:{signature}"));
    received
}

/// The examples of "Signing and authenticating REST requests".
#[test]
fn the_documented_requests_verify() {
    for (line, bucket, signature, headers) in [
        (
            "GET /photos/puppy.jpg",
            Some("johnsmith"),
            "bWq2s1WEIj+Ydj0vQ697zp+IXMU=",
            &[("date", "Tue, 27 Mar 2007 19:36:42 +0000")][..],
        ),
        (
            "PUT /photos/puppy.jpg",
            Some("johnsmith"),
            "MyyxeRY7whkBe+bq8fHCL/2kKUg=",
            &[("content-type", "image/jpeg"), ("date", "Tue, 27 Mar 2007 21:15:45 +0000")],
        ),
        (
            "GET /?prefix=photos&max-keys=50&marker=puppy",
            Some("johnsmith"),
            "htDYFYduRNen8P9ZfE/s9SuKy0U=",
            &[("date", "Tue, 27 Mar 2007 19:42:41 +0000")],
        ),
        (
            "GET /?acl",
            Some("johnsmith"),
            "c2WLPFtWHVgbEmeEG93a4cG37dM=",
            &[("date", "Tue, 27 Mar 2007 19:44:46 +0000")],
        ),
        (
            "PUT /db-backup.dat.gz",
            Some("static.johnsmith.net"),
            "ilyl83RwaSoYIEdixDQcA4OnAnc=",
            &[
                ("date", "Tue, 27 Mar 2007 21:06:08 +0000"),
                ("x-amz-acl", "public-read"),
                ("content-type", "application/x-download"),
                ("content-md5", "4gJE4saaMU4BqNR0kLY+lw=="),
                ("x-amz-meta-reviewedby", "joe@johnsmith.net"),
                ("x-amz-meta-reviewedby", "jane@johnsmith.net"),
                ("x-amz-meta-filechecksum", "0x02661779"),
                ("x-amz-meta-checksumalgorithm", "crc32"),
            ],
        ),
        ("GET /", None, "qGdzdERIC03wnaRNKh6OqZehG9s=", &[("date", "Wed, 28 Mar 2007 01:29:59 +0000")]),
        // Lower-case escapes: only the path as it was received verifies.
        (
            "GET /dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re",
            None,
            "DNEZGsoieTZ92F3bUfSPQcbGmlM=",
            &[("date", "Wed, 28 Mar 2007 01:49:49 +0000")],
        ),
    ] {
        let received = example(line, bucket, signature, headers);
        let date = received.headers["date"].to_str().expect("ASCII").replace("+0000", "GMT");
        assert_eq!(verify_header(&received, at(&date)), Ok(()), "{line}");
        let mut other = received.clone();
        other.path.push('x');
        assert!(verify_header(&other, at(&date)).is_err(), "{line} with another path");
    }
}

#[test]
fn x_amz_date_takes_the_place_of_date() {
    // AWS's text says so; its example with `x-amz-date` contradicts the text and does not verify.
    // printf 'DELETE\n\n\n\nx-amz-date:Tue, 27 Mar 2007 21:20:26 +0000\n/johnsmith/photos/puppy.jpg'
    let received = example(
        "DELETE /johnsmith/photos/puppy.jpg",
        None,
        "R4dJ53KECjStyBO5iTBJZ4XVOaI=",
        &[("date", "Tue, 27 Mar 2001 21:20:27 +0000"), ("x-amz-date", "Tue, 27 Mar 2007 21:20:26 +0000")],
    );
    assert_eq!(verify_header(&received, at("Tue, 27 Mar 2007 21:20:26 GMT")), Ok(()));
}

fn documented_link() -> Received {
    let line = format!(
        "GET /johnsmith/photos/puppy.jpg?AWSAccessKeyId={ID}&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620"
    );
    Received::new(&line, &[])
}

#[test]
fn the_documented_link_verifies_until_it_expires() {
    let expires = Timestamp::from_seconds(1_175_139_620);
    assert_eq!(verify_link(&documented_link(), expires), Ok(()));
    let now = Timestamp::from_seconds(1_175_139_621);
    assert_eq!(
        verify_link(&documented_link(), now),
        Err(SignatureError::Expired { expires, server_time: now, x_amz_expires: None })
    );
}

#[test]
fn a_mismatch_shows_what_was_signed() {
    let received = documented_link().with("content-type", Some("text/plain"));
    let refused = verify_link(&received, Timestamp::from_seconds(0)).expect_err("another Content-Type");
    assert_eq!(
        refused,
        SignatureError::DoesNotMatch(Box::new(Mismatch {
            access_key_id: crate::signature::testing::id(),
            string_to_sign: "GET\n\ntext/plain\n1175139620\n/johnsmith/photos/puppy.jpg".to_owned(),
            canonical_request: None,
            signature_provided: "NpgCjnDzrM+WFzoENXmpNDUsSn8=".to_owned(),
        }))
    );
    let other = SecretKey::parse("another-secret").expect("a secret");
    let auth = QueryAuth::read(&documented_link().as_signed()).expect("well-formed");
    let refused = auth.verify(&documented_link().as_signed(), &other, Timestamp::from_seconds(0));
    assert!(matches!(refused, Err(SignatureError::DoesNotMatch(_))));
}

/// A link that boto3 has signed for a path as it stands in the string to sign.
fn boto3_link(string_to_sign: &str, line: &str, headers: &[(&str, &str)]) -> Received {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use hmac::{Hmac, KeyInit as _, Mac as _};

    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(string_to_sign.as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let signature = signature.replace('+', "%2B").replace('=', "%3D");
    let separator = if line.contains('?') { '&' } else { '?' };
    let line = format!("{line}{separator}AWSAccessKeyId={ID}&Signature={signature}&Expires=1369353660");
    Received::new(&line, headers)
}

#[test]
fn beetmover_uploads_verify_after_yarl_has_rewritten_the_link() {
    let content_type = ("content-type", "text/plain");
    for (signed, sent) in [
        ("/b/Firefox%20Setup%20141.0.exe.asc", "/b/Firefox%20Setup%20141.0.exe.asc"),
        ("/b/%26%3D%40%3A%2C%3B%27%28%29%21%2A%2B", "/b/&=@:,;'()!*%2B"),
        ("/b/%26%3D%40%3A%2C%3B%27%28%29%21%2A%2B", "/b/&=@:,;'()!*+"),
        ("/b/a%2Fb", "/b/a%2Fb"),
    ] {
        let string_to_sign = format!("PUT\n\ntext/plain\n1369353660\n{signed}");
        let line = format!("PUT {sent}?content-type=text/plain");
        let received =
            boto3_link(&string_to_sign, &line, &[content_type, ("cache-control", "public, max-age=14400")]);
        assert_eq!(verify_link(&received, later(60)), Ok(()), "{sent}");
        let other_type = received.with("content-type", Some("text/html"));
        assert!(verify_link(&other_type, later(60)).is_err(), "{sent} as another type");
    }
}

#[test]
fn a_bucket_may_be_signed_with_a_slash_behind_it_as_botocore_does() {
    for (signed, sent, expected) in [
        ("/bucket/", "/bucket", true),
        ("/bucket/", "/bucket/", true),
        ("/bucket", "/bucket", true),
        ("/bucket", "/bucket/", false),
        ("/bucket/key/", "/bucket/key", false),
        ("//", "/", false),
    ] {
        let string_to_sign = format!("GET\n\n\n1369353660\n{signed}");
        let received = boto3_link(&string_to_sign, &format!("GET {sent}?list-type=2"), &[]);
        assert_eq!(verify_link(&received, later(0)).is_ok(), expected, "{signed} sent as {sent}");
    }
    let mut received = boto3_link("GET\n\n\n1369353660\n/bucket/key/", "GET /key", &[]);
    received.bucket = Some("bucket".to_owned());
    assert!(verify_link(&received, later(0)).is_err(), "a key in virtual-host style was taken for a bucket");
}

#[test]
fn a_decoded_path_is_no_spelling_of_its_own() {
    let received = boto3_link("GET\n\n\n1369353660\n/b/a b", "GET /b/a%20b", &[]);
    assert!(verify_link(&received, later(0)).is_err());
}

#[test]
fn sub_resources_are_signed_sorted_and_decoded_and_other_parameters_are_not() {
    let string_to_sign = "GET\n\n\n1369353660\n/b/k?response-content-type=text/plain; x=1&uploadId=a&uploads";
    let line =
        "GET /b/k?uploads&prefix=x&uploadId=a&list-type=2&response-content-type=text%2Fplain%3B%20x%3D1";
    assert_eq!(verify_link(&boto3_link(string_to_sign, line, &[]), later(0)), Ok(()));
    let without = boto3_link("GET\n\n\n1369353660\n/b/k", "GET /b/k?acl", &[]);
    assert!(verify_link(&without, later(0)).is_err(), "an unsigned sub-resource was accepted");
}

#[test]
fn amz_headers_may_be_in_the_query_of_a_link_and_are_signed_wherever_they_are() {
    let string_to_sign = "PUT\n\n\n1369353660\nx-amz-acl:private\n/b/k";
    let in_query = boto3_link(string_to_sign, "PUT /b/k?x-amz-acl=private", &[]);
    let in_header = boto3_link(string_to_sign, "PUT /b/k", &[("x-amz-acl", "private")]);
    let changed = boto3_link(string_to_sign, "PUT /b/k?x-amz-acl=public-read", &[]);
    let unsigned = "PUT\n\n\n1369353660\n/b/k";
    let added = boto3_link(unsigned, "PUT /b/k", &[("x-amz-acl", "private")]);
    let added_in_query = boto3_link(unsigned, "PUT /b/k?X-Amz-Copy-Source=/b/secret", &[]);
    for (received, expected) in
        [(in_query, true), (in_header, true), (changed, false), (added, false), (added_in_query, false)]
    {
        assert_eq!(verify_link(&received, later(0)).is_ok(), expected, "{received:?}");
    }
}

#[test]
fn malformed_headers_are_told_what_is_wrong() {
    let date = [("date", "Fri, 24 May 2013 00:00:00 GMT")];
    let read = |authorization: &str, headers: &[(&str, &str)]| {
        let received = Received::new("GET /b/k", headers);
        HeaderAuth::read(&received.as_signed(), authorization).err()
    };
    assert_eq!(read(&format!("AWS {ID}:sig"), &date), None);
    assert_eq!(
        read("AWS nocolon", &date),
        Some(SignatureError::InvalidArgument {
            message: "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
            name: "Authorization",
            value: "AWS nocolon".to_owned(),
        })
    );
    assert_eq!(
        read("AWS a b:sig", &date),
        Some(SignatureError::InvalidAccessKeyId { provided: "a b".to_owned() })
    );
    let no_date = SignatureError::AccessDenied(
        "AWS authentication requires a valid Date or x-amz-date header".to_owned(),
    );
    for headers in [&[][..], &[("date", "yesterday")], &[("x-amz-date", "yesterday"), date[0]]] {
        assert_eq!(read(&format!("AWS {ID}:sig"), headers), Some(no_date.clone()));
    }
    assert_eq!(
        read(&format!("AWS {ID}:sig"), &[date[0], ("x-amz-security-token", "token")]),
        Some(SignatureError::InvalidToken)
    );
}

#[test]
fn clocks_may_be_a_quarter_of_an_hour_apart() {
    let date = "Tue, 27 Mar 2007 19:36:42 +0000";
    let received =
        example("GET /johnsmith/photos/puppy.jpg", None, "bWq2s1WEIj+Ydj0vQ697zp+IXMU=", &[("date", date)]);
    let sent = at("Tue, 27 Mar 2007 19:36:42 GMT").as_seconds();
    for (seconds, expected) in [(-901, false), (-900, true), (900, true), (901, false)] {
        let now = Timestamp::from_seconds(sent + seconds);
        let skewed = SignatureError::RequestTimeTooSkewed {
            request_time: date.to_owned(),
            server_time: now,
            max_allowed_skew_ms: 900_000,
        };
        let expected = if expected { Ok(()) } else { Err(skewed) };
        assert_eq!(verify_header(&received, now), expected, "{seconds}");
    }
}

#[test]
fn malformed_links_are_told_what_is_wrong() {
    let incomplete =
        "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters";
    for (query, expected) in [
        ("AWSAccessKeyId=AKIA&Signature=s", incomplete),
        ("AWSAccessKeyId=AKIA&Expires=1", incomplete),
        ("Signature=s&Expires=1", incomplete),
        (
            "AWSAccessKeyId=AKIA&Signature=s&Expires=tomorrow",
            "Invalid date (should be seconds since epoch): tomorrow",
        ),
    ] {
        let received = Received::new(&format!("GET /b/k?{query}"), &[]);
        let error = QueryAuth::read(&received.as_signed()).expect_err(expected);
        assert_eq!(error, SignatureError::AccessDenied(expected.to_owned()));
    }
}
