//! The surface of S3 through the Rust aws-sdk-s3, without TLS.
//!
//! What boto3 cannot send without TLS is sent here: bodies whose checksum follows as a trailer.

use std::path::PathBuf;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLocationConstraint, ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload,
    CompletedPart, CreateBucketConfiguration, Delete, MetadataDirective, ObjectIdentifier, TaggingDirective,
};
use std::time::Duration;

use super::http::exchange;
use super::server::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Server, Setup};

/// The bucket that every server here has.
const BUCKET: &str = "sdk";
/// The least that a part may have which is not the last.
const PART_BYTES: usize = 5 * 1024 * 1024;
/// Keys that a client may escape in more than one way.
const ODD_KEYS: [&str; 14] = [
    "a//b",
    "/leading",
    "a/../b",
    "..",
    ".",
    "trailing/",
    "with space",
    "100%",
    "a%2Fb",
    "a+b",
    "🦊 日本",
    "x",
    "x/y",
    "a&b=c?d#e;f,g:h@i$j!k*l'm(n)o",
];

/// A server with a bucket, and a client of it that never retries.
fn stage() -> (Server, Client) {
    let server = Server::start(&Setup::with_buckets(&[BUCKET]));
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(format!("http://{}", server.address()))
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .force_path_style(true)
        .build();
    (server, Client::from_conf(config))
}

/// Bytes that do not repeat soon.
fn content(size: usize) -> Vec<u8> {
    (0_u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).take(size).collect()
}

/// A file with this content, which the SDK streams: its checksum can only follow the body.
fn file(server: &Server, body: &[u8]) -> PathBuf {
    let path = server.scratch().join("body");
    std::fs::write(&path, body).expect("the scratch folder is writable");
    path
}

/// The whole body of an object.
async fn body_of(client: &Client, key: &str) -> Vec<u8> {
    let object = client.get_object().bucket(BUCKET).key(key).checksum_mode(ChecksumMode::Enabled);
    let object = object.send().await.unwrap_or_else(|error| panic!("GET {key:?}: {error:?}"));
    object.body.collect().await.expect("a whole body with the announced checksum").to_vec()
}

/// S3's error code.
fn code<E: ProvideErrorMetadata>(error: &E) -> &str {
    error.code().unwrap_or("no code")
}

#[tokio::test]
async fn any_key_is_put_read_copied_and_deleted() {
    let (_server, client) = stage();
    for key in ODD_KEYS {
        let put = client.put_object().bucket(BUCKET).key(key).body(key.as_bytes().to_vec().into());
        put.send().await.unwrap_or_else(|error| panic!("PUT {key:?}: {error:?}"));
        assert_eq!(body_of(&client, key).await, key.as_bytes(), "{key:?}");
        let escaped = percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC);
        let copy = client.copy_object().bucket(BUCKET).key("copy").copy_source(format!("{BUCKET}/{escaped}"));
        copy.send().await.unwrap_or_else(|error| panic!("copy of {key:?}: {error:?}"));
        assert_eq!(body_of(&client, "copy").await, key.as_bytes(), "copy of {key:?}");
        client.delete_object().bucket(BUCKET).key("copy").send().await.expect("a delete");
    }
    let listed = client.list_objects_v2().bucket(BUCKET).send().await.expect("a listing");
    let mut wanted = ODD_KEYS;
    wanted.sort_unstable();
    assert_eq!(listed.contents().iter().filter_map(|entry| entry.key()).collect::<Vec<_>>(), wanted);
    let doomed = ODD_KEYS.map(|key| ObjectIdentifier::builder().key(key).build().expect("a key is enough"));
    let doomed = Delete::builder().set_objects(Some(doomed.to_vec())).build().expect("objects are enough");
    let deleted = client.delete_objects().bucket(BUCKET).delete(doomed).send().await.expect("many deletes");
    assert_eq!(deleted.deleted().len(), ODD_KEYS.len(), "{deleted:?}");
    let left = client.list_objects_v2().bucket(BUCKET).send().await.expect("a listing");
    assert_eq!(left.key_count(), Some(0), "{left:?}");
}

#[tokio::test]
async fn a_streamed_body_is_stored_without_its_framing_and_with_its_trailing_checksum() {
    let (server, client) = stage();
    let body = content(300_001);
    let path = file(&server, &body);
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        let stream = ByteStream::from_path(&path).await.expect("the file is there");
        let put = client.put_object().bucket(BUCKET).key("key").body(stream).content_encoding("gzip");
        let put = put.checksum_algorithm(algorithm.clone()).send().await;
        let put = put.unwrap_or_else(|error| panic!("{algorithm:?}: {error:?}"));
        assert!(body_of(&client, "key").await == body, "{algorithm:?}: the bytes");
        let head = client.head_object().bucket(BUCKET).key("key").checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.expect("the object is there");
        assert_eq!(head.content_encoding(), Some("gzip"), "{algorithm:?}");
        let shown = [
            (put.checksum_crc32(), head.checksum_crc32()),
            (put.checksum_crc32_c(), head.checksum_crc32_c()),
            (put.checksum_crc64_nvme(), head.checksum_crc64_nvme()),
            (put.checksum_sha1(), head.checksum_sha1()),
            (put.checksum_sha256(), head.checksum_sha256()),
        ];
        let shown: Vec<_> = shown.into_iter().filter(|pair| *pair != (None, None)).collect();
        assert!(matches!(&shown[..], [(Some(put), Some(head))] if put == head), "{algorithm:?}: {shown:?}");
    }
}

#[tokio::test]
async fn metadata_tags_and_conditions_hold() {
    let (_server, client) = stage();
    let put = client.put_object().bucket(BUCKET).key("key").body(b"body".to_vec().into()).metadata("a", "1");
    let put =
        put.cache_control("no-store").tagging("t=1").if_none_match("*").send().await.expect("a first write");
    let again =
        client.put_object().bucket(BUCKET).key("key").body(b"never".to_vec().into()).if_none_match("*");
    assert_eq!(code(&again.send().await.expect_err("it is there")), "PreconditionFailed");
    let etag = put.e_tag().expect("an ETag");
    let over = client.put_object().bucket(BUCKET).key("key").body(b"body".to_vec().into()).if_match(etag);
    over.metadata("a", "1").cache_control("no-store").send().await.expect("the ETag matches");

    let source = format!("{BUCKET}/key");
    let copy = || client.copy_object().bucket(BUCKET).key("copy").copy_source(&source);
    copy().send().await.expect("a copy");
    let head = client.head_object().bucket(BUCKET).key("copy").send().await.expect("the copy is there");
    assert_eq!(
        (head.cache_control(), head.metadata().and_then(|all| all.get("a"))),
        (Some("no-store"), Some(&"1".into()))
    );
    copy()
        .metadata_directive(MetadataDirective::Replace)
        .metadata("b", "2")
        .tagging_directive(TaggingDirective::Replace)
        .tagging("u=1&v=2")
        .send()
        .await
        .expect("a copy with other metadata");
    let got =
        client.get_object().bucket(BUCKET).key("copy").range("bytes=1-2").send().await.expect("a range");
    assert_eq!((got.cache_control(), got.content_range()), (None, Some("bytes 1-2/4")));
    assert_eq!(got.tag_count(), Some(2));
    assert_eq!(got.body.collect().await.expect("two bytes").to_vec(), b"od");
    let refused = copy().copy_source_if_none_match(etag).send().await.expect_err("it is the same");
    assert_eq!(code(&refused), "PreconditionFailed");
}

#[tokio::test]
async fn parts_from_streams_and_copies_make_an_object() {
    let (server, client) = stage();
    let part = content(PART_BYTES);
    let path = file(&server, &part);
    let source = client.put_object().bucket(BUCKET).key("source").body(part.clone().into());
    source.send().await.expect("the source of a copy");
    let create =
        client.create_multipart_upload().bucket(BUCKET).key("key").checksum_type(ChecksumType::FullObject);
    let create = create.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).send().await.expect("an upload");
    let id = create.upload_id().expect("an upload id");
    let stream = ByteStream::from_path(&path).await.expect("the file is there");
    let one = client.upload_part().bucket(BUCKET).key("key").upload_id(id).part_number(1).body(stream);
    let one =
        one.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).send().await.expect("a part with a trailer");
    let two = client.upload_part_copy().bucket(BUCKET).key("key").upload_id(id).part_number(2);
    let two =
        two.copy_source(format!("{BUCKET}/source")).copy_source_range(format!("bytes=0-{}", PART_BYTES - 2));
    let two = two.send().await.expect("a copied part");
    let two = two.copy_part_result().and_then(|result| result.e_tag()).expect("an ETag").to_owned();
    let completed = |number, etag: &str| CompletedPart::builder().part_number(number).e_tag(etag).build();
    let parts = vec![completed(1, one.e_tag().expect("an ETag")), completed(2, &two)];
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete =
        client.complete_multipart_upload().bucket(BUCKET).key("key").upload_id(id).multipart_upload(parts);
    let complete = complete.send().await.expect("a completion");
    assert!(complete.e_tag().is_some_and(|etag| etag.ends_with("-2\"")), "{complete:?}");
    let wanted = [&part[..], &part[..PART_BYTES - 1]].concat();
    assert!(body_of(&client, "key").await == wanted, "the bytes");
}

#[tokio::test]
async fn uploads_are_listed_and_aborted() {
    let (_server, client) = stage();
    let create = || client.create_multipart_upload().bucket(BUCKET).key("key");
    let id = create().send().await.expect("an upload").upload_id().expect("an upload id").to_owned();
    for number in [1, 2, 3] {
        let part = client.upload_part().bucket(BUCKET).key("key").upload_id(&id).part_number(number);
        part.body(vec![b'x'; 10].into()).send().await.expect("a part");
    }
    let parts = || client.list_parts().bucket(BUCKET).key("key").upload_id(&id);
    let listed = parts().part_number_marker("1").max_parts(1).send().await.expect("a page of parts");
    assert_eq!(
        listed.parts().iter().filter_map(aws_sdk_s3::types::Part::part_number).collect::<Vec<_>>(),
        [2]
    );
    assert_eq!((listed.is_truncated(), listed.next_part_number_marker()), (Some(true), Some("2")));
    let uploads = client.list_multipart_uploads().bucket(BUCKET).send().await.expect("uploads");
    assert_eq!(uploads.uploads().iter().filter_map(|upload| upload.upload_id()).collect::<Vec<_>>(), [&id]);
    client
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("key")
        .upload_id(&id)
        .send()
        .await
        .expect("an end of it");
    let gone = parts().send().await.expect_err("it is gone");
    assert_eq!(code(&gone), "NoSuchUpload");
}

#[tokio::test]
async fn listings_roll_up_and_page() {
    let (_server, client) = stage();
    let keys = ["a/1", "a/2", "b", "c/1", "d", "é/1", "🦊"];
    for key in keys {
        client
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .body(ByteStream::default())
            .send()
            .await
            .expect("a write");
    }
    let mut pages =
        client.list_objects_v2().bucket(BUCKET).delimiter("/").max_keys(2).into_paginator().send();
    let (mut found, mut prefixes) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        found.extend(page.contents().iter().filter_map(|entry| entry.key().map(str::to_owned)));
        prefixes.extend(page.common_prefixes().iter().filter_map(|entry| entry.prefix().map(str::to_owned)));
    }
    assert_eq!(
        (found, prefixes),
        (vec!["b".into(), "d".into(), "🦊".into()], vec!["a/".into(), "c/".into(), "é/".into()])
    );
    let first = client.list_objects().bucket(BUCKET).marker("b").send().await.expect("a V1 listing");
    assert_eq!(first.contents().iter().filter_map(|entry| entry.key()).collect::<Vec<_>>(), &keys[3..]);
}

#[tokio::test]
async fn buckets_and_errors_are_typed() {
    let (_server, client) = stage();
    let place = BucketLocationConstraint::EuCentral1;
    let place = CreateBucketConfiguration::builder().location_constraint(place).build();
    let create = || client.create_bucket().bucket("sdk-eu").create_bucket_configuration(place.clone());
    create().send().await.expect("a new bucket");
    let location = client.get_bucket_location().bucket("sdk-eu").send().await.expect("a location");
    assert_eq!(location.location_constraint(), Some(&BucketLocationConstraint::EuCentral1));
    let head = client.head_bucket().bucket("sdk-eu").send().await.expect("the bucket is there");
    assert_eq!(head.bucket_region(), Some("eu-central-1"));
    let again = create().send().await.expect_err("it is there").into_service_error();
    assert!(again.is_bucket_already_owned_by_you(), "{again:?}");
    let buckets = client.list_buckets().send().await.expect("a listing");
    assert_eq!(
        buckets.buckets().iter().filter_map(|bucket| bucket.name()).collect::<Vec<_>>(),
        ["sdk", "sdk-eu"]
    );
    client.delete_bucket().bucket("sdk-eu").send().await.expect("an empty bucket goes");

    let missing = client.get_object().bucket(BUCKET).key("none").send().await.expect_err("it is not there");
    assert!(missing.into_service_error().is_no_such_key());
    let missing = client.head_object().bucket(BUCKET).key("none").send().await.expect_err("it is not there");
    assert!(missing.into_service_error().is_not_found());
    let missing = client.list_objects_v2().bucket("none-such").send().await.expect_err("it is not there");
    assert!(missing.into_service_error().is_no_such_bucket());
    let wrong =
        client.put_object().bucket(BUCKET).key("key").body(b"x".to_vec().into()).checksum_crc32("AAAAAA==");
    assert_eq!(code(&wrong.send().await.expect_err("the checksum is another's")), "BadDigest");
    let unsupported =
        client.get_bucket_website().bucket(BUCKET).send().await.expect_err("there are no websites");
    assert_eq!(code(&unsupported), "NotImplemented");
}

#[tokio::test]
async fn presigned_links_work_for_anybody() {
    let (server, client) = stage();
    let hour = PresigningConfig::expires_in(Duration::from_hours(1)).expect("an hour is allowed");
    let key = "links/a +%&=é.txt";
    let put = client.put_object().bucket(BUCKET).key(key).content_type("text/plain");
    let put = put.presigned(hour.clone()).await.expect("a link");
    let get = client.get_object().bucket(BUCKET).key(key).presigned(hour).await.expect("a link");
    let send = |method: &str, uri: &str, headers: &str, body: &[u8]| {
        let target = uri.split_once(&server.address().to_string()).expect("the endpoint is in the link").1;
        exchange(server.address(), &format!("{method} {target} HTTP/1.1\r\n{headers}"), body)
            .expect("an answer")
    };
    let signed = put.headers().filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
    let headers: String = signed.flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    let answer = send("PUT", put.uri(), &headers, b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = send("GET", get.uri(), "", b"");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain")), "{answer:?}");
    let answer = send("PUT", get.uri(), "", b"");
    assert_eq!((answer.status, answer.code().as_str()), (403, "SignatureDoesNotMatch"), "{answer:?}");
}
