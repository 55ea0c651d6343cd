//! Presigned links: which headers count that their makers moved into the query, and which operations
//! version 2 of the signature is good for.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Method, StatusCode};
use sha1::Sha1;

use super::names::reference;
use super::{NOW_MS, Stage};
use crate::fallback::Fallback;
use crate::model::{AccessKeyId, BucketName, Credential, Grant, ObjectKey, Owner, SecretKey, Timestamp};
use crate::protocol::auth::Credentials;
use crate::s3::header;
use crate::signature::encode_component;
use crate::sigv2;
use crate::sigv4::{Presign, presign};

const ID: &str = "UNDERSTUDYTEST";
const SECRET: &str = "understudy+test/secret+of+these/tests+00";

/// A stage with a bucket, where only the holder of one key pair may do anything.
async fn stage() -> Stage {
    let credential = Credential {
        access_key_id: AccessKeyId::parse(ID).expect("an id"),
        secret_key: SecretKey::parse(SECRET).expect("a secret"),
        owner: Owner { id: "maker".to_owned(), display_name: "maker".to_owned() },
        grants: vec![Grant::all()],
    };
    let credentials = Credentials::new([credential]).expect("one credential");
    let stage = Stage::known_to(credentials, Fallback::default(), Vec::new());
    let created = stage.send(&by_version_2("PUT", "/bucket", None), &[], "").await;
    assert_eq!(created.status, StatusCode::OK, "{}", created.text());
    stage
}

/// The line of a request by a link of version 4.
fn by_version_4(method: &Method, key: &str, query: &[(&str, &str)]) -> String {
    let wanted = Presign {
        method,
        endpoint: "http://127.0.0.1:8000",
        region: "us-east-1",
        access_key_id: &AccessKeyId::parse(ID).expect("an id"),
        secret_key: &SecretKey::parse(SECRET).expect("a secret"),
        bucket: &BucketName::parse("bucket").expect("a name"),
        key: &ObjectKey::parse(key).expect("a key"),
        query,
        headers: &[],
        expires: Duration::from_mins(1),
    };
    let link = presign(&wanted, Timestamp::from_ms(NOW_MS)).expect("a link");
    format!("{method} {}", link.strip_prefix("http://127.0.0.1:8000").expect("the endpoint"))
}

fn signed(text: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// What version 2 signs of a path and a sub-resource.
fn resource(path: &str, sub_resource: Option<&str>) -> String {
    match sub_resource {
        Some(name) if sigv2::signs(name) => format!("{path}?{name}"),
        Some(_) | None => path.to_owned(),
    }
}

/// The line of a request by a link of version 2.
fn by_version_2(method: &str, path: &str, sub_resource: Option<&str>) -> String {
    let expires = NOW_MS / 1000 + 60;
    let signature = signed(&format!("{method}\n\n\n{expires}\n{}", resource(path, sub_resource)));
    let first = sub_resource.map(|name| format!("{name}&")).unwrap_or_default();
    let signature = encode_component(signature.as_bytes());
    format!("{method} {path}?{first}AWSAccessKeyId={ID}&Expires={expires}&Signature={signature}")
}

/// The JavaScript SDK, version 3, puts the CRC of an empty body into every link for a PUT: every body
/// was refused with `BadDigest`.
#[tokio::test]
async fn a_link_of_the_javascript_sdk_takes_a_body() {
    let stage = stage().await;
    let query = [
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
        ("x-amz-tagging", "a=1"),
        ("x-id", "PutObject"),
    ];
    let answer = stage.send(&by_version_4(&Method::PUT, "key", &query), &[], "hello").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let read = stage.send(&by_version_4(&Method::GET, "key", &[]), &[], "").await;
    assert_eq!((read.text().as_str(), read.header("x-amz-tagging-count")), ("hello", ""));
    let unsigned = [("x-amz-checksum-crc32", "AAAAAA==")];
    let answer = stage.send(&by_version_4(&Method::PUT, "key", &[]), &unsigned, "hello").await;
    assert!(answer.text().contains("HeadersNotSigned"), "a header counts: {}", answer.text());
}

#[test]
fn each_header_counts_in_a_link_or_does_not() {
    for (name, counts) in [
        ("x-amz-acl", true),
        ("x-amz-grant-read", true),
        ("x-amz-storage-class", true),
        ("x-amz-meta-build", true),
        ("x-amz-server-side-encryption", true),
        ("x-amz-server-side-encryption-customer-key", true),
        ("x-amz-copy-source", true),
        ("x-amz-copy-source-if-match", true),
        ("x-amz-metadata-directive", true),
        ("x-amz-website-redirect-location", true),
        ("x-amz-object-lock-mode", true),
        ("x-amz-expected-bucket-owner", true),
        ("x-amz-if-match-size", true),
        ("x-amz-tagging", false),
        ("x-amz-checksum-crc32", false),
        ("x-amz-checksum-sha256", false),
        ("x-amz-checksum-sha512", false),
        ("x-amz-checksum-algorithm", false),
        ("x-amz-checksum-type", false),
        ("x-amz-checksum-mode", false),
        ("x-amz-sdk-checksum-algorithm", false),
        ("x-amz-trailer", false),
        ("x-amz-decoded-content-length", false),
        ("x-amz-content-sha256", false),
        ("x-amz-user-agent", false),
        ("x-goog-meta-build", false),
    ] {
        assert_eq!(header::counts_in_links(name), counts, "{name}");
    }
}

#[tokio::test]
async fn headers_in_a_link_are_honoured_and_refused_like_those_that_are_sent() {
    let stage = stage().await;
    let query = [("x-amz-meta-build", "7"), ("x-amz-acl", "private")];
    let answer = stage.send(&by_version_4(&Method::PUT, "key", &query), &[], "hello").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let query = [("x-amz-copy-source", "bucket/key")];
    let answer = stage.send(&by_version_4(&Method::PUT, "copy", &query), &[], "").await;
    assert!(answer.text().contains("CopyObjectResult"), "{}", answer.text());
    let read = stage.send(&by_version_4(&Method::GET, "copy", &[]), &[], "").await;
    assert_eq!((read.text().as_str(), read.header("x-amz-meta-build")), ("hello", "7"));
    for (name, value) in [
        ("x-amz-acl", "public-read"),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-copy-source-if-match", "a"),
    ] {
        let answer = stage.send(&by_version_4(&Method::PUT, "key", &[(name, value)]), &[], "no").await;
        assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED, "{name}: {}", answer.text());
        assert!(answer.text().contains(name), "{}", answer.text());
    }
    assert_eq!(stage.send(&by_version_4(&Method::GET, "key", &[]), &[], "").await.text(), "hello");
}

/// Issue 10: links of version 2 do not sign `attributes`, `legal-hold`, `retention` and others, so
/// that whoever had one could make another request of it.
#[tokio::test]
async fn version_2_is_refused_where_it_does_not_cover_what_is_asked_for() {
    let stage = stage().await;
    let (mut covered, mut refused) = (Vec::new(), Vec::new());
    for row in reference() {
        let Some(name) = row.sub_resource.filter(|name| *name != "uploadId") else { continue };
        let path = if row.is_of_an_object() { "/bucket/key" } else { "/bucket" };
        let method = row.method.as_str();
        let date = "Fri, 20 Nov 2026 21:20:19 GMT";
        let signature = signed(&format!("{method}\n\n\n{date}\n{}", resource(path, Some(name))));
        let authorization = format!("AWS {ID}:{signature}");
        let headers = [("date", date), ("authorization", authorization.as_str())];
        for answer in [
            stage.send(&by_version_2(method, path, Some(name)), &[], "").await,
            stage.send(&format!("{method} {path}?{name}"), &headers, "").await,
        ] {
            let text = answer.text();
            let words = format!("Requests of ?{name} require AWS Signature Version 4.");
            assert_eq!(text.contains(&words), !sigv2::signs(name), "{method} {path}?{name}: {text}");
            assert!(!text.contains("SignatureDoesNotMatch"), "{method} {path}?{name}: {text}");
        }
        let kind = if sigv2::signs(name) { &mut covered } else { &mut refused };
        kind.push(name);
    }
    for name in ["acl", "tagging", "uploads", "delete", "object-lock", "versions"] {
        assert!(covered.contains(&name), "{name}");
    }
    for name in ["attributes", "legal-hold", "retention", "annotation", "encryption", "renameObject"] {
        assert!(refused.contains(&name), "{name}");
    }
}
