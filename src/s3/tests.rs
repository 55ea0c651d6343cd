//! The S3 face in process: statuses, headers and documents as they stand on the wire.
//!
//! Real clients over real sockets are in `integration/clients`; here are the documents themselves.

mod elsewhere;
mod links;
mod listings;
mod names;
mod semantics;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};

use super::{Config, Inner, Service};
use crate::clock::Clock;
use crate::fallback::Fallback;
use crate::model::{AccessKeyId, Credential, Grant, Owner, SecretKey, Timestamp};
use crate::protocol::auth::Credentials;
use crate::protocol::body::{self, ByteCount};
use crate::protocol::request::{Context, RequestId, Response};
use crate::store::{Durability, Options, Store};

/// 2026-11-20T21:20:19.123Z.
const NOW_MS: i64 = 1_795_209_619_123;

/// A face over an empty store, whose time stands still and where everybody may do everything.
struct Stage {
    service: Service,
    _folder: tempfile::TempDir,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Stage {
    fn new() -> Self {
        Self::with(vec![Grant::all()])
    }

    /// The same, but everybody may do only this.
    fn with(anonymous: Vec<Grant>) -> Self {
        Self::over(Fallback::default(), anonymous)
    }

    /// The same, with rules for what is not here.
    fn over(fallback: Fallback, anonymous: Vec<Grant>) -> Self {
        let credentials = Credentials::new([signer(anonymous.clone())]).expect("one credential");
        Self::known_to(credentials, fallback, anonymous)
    }

    /// The same, with key pairs that requests may be signed with.
    fn known_to(credentials: Credentials, fallback: Fallback, anonymous: Vec<Grant>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock = Clock::Fixed(Timestamp::from_ms(NOW_MS));
        let mut options = Options::new(folder.path().to_owned());
        options.durability = Durability::Ephemeral;
        options.clock = clock;
        let store = Store::open(options).expect("an empty folder opens");
        let service = Service::new(Inner {
            view: crate::view::View::over(store, fallback),
            credentials,
            anonymous,
            limits: crate::protocol::Config::for_tests(),
            config: Config::default(),
        });
        Self { service, _folder: folder }
    }

    /// Sends `METHOD TARGET` with headers and a body.
    async fn send(&self, line: &str, headers: &[(&str, &str)], content: &str) -> Answer {
        let (parts, body) = self.ask(line, headers, content).await.into_parts();
        let body = body.collect().await.expect("the body comes whole").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Sends `METHOD TARGET`, and leaves the body of the answer to be read.
    async fn stream(&self, line: &str) -> Response {
        self.ask(line, &[], "").await
    }

    async fn ask(&self, line: &str, headers: &[(&str, &str)], content: &str) -> Response {
        let (method, target) = line.split_once(' ').expect("METHOD TARGET");
        let received = ByteCount::default();
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).expect("a method"))
            .uri(target)
            .header("host", "127.0.0.1:8000")
            .header("content-length", content.len());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let content = Full::new(Bytes::copy_from_slice(content.as_bytes()));
        let request = request.body(body::receive(content, received.clone())).expect("a request");
        self.service.call(&context(received), request).await
    }

    /// Sends a request without a body, signed by somebody who may do what everybody may.
    async fn signed(&self, line: &str, headers: &[(&str, &str)]) -> Answer {
        let (method, target) = line.split_once(' ').expect("METHOD TARGET");
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let date = Timestamp::from_ms(NOW_MS).http_date().to_string();
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(SECRET.as_bytes()).expect("any length");
        mac.update(format!("{method}\n\n\n{date}\n{path}").as_bytes());
        let signature =
            base64::Engine::encode(&base64::prelude::BASE64_STANDARD, mac.finalize().into_bytes());
        let authorization = format!("AWS {ID}:{signature}");
        let mut all = vec![("date", &date[..]), ("authorization", &authorization)];
        all.extend(headers);
        self.send(line, &all, "").await
    }

    /// Sends a request without headers or body that must succeed.
    async fn get(&self, line: &str) -> Answer {
        let answer = self.send(line, &[], "").await;
        assert!(answer.status.is_success(), "{line}: {}", answer.text());
        answer
    }

    /// Sends a `Delete` document with the digest that it needs.
    async fn delete_objects(&self, document: &str) -> Answer {
        let digest = <md5::Md5 as md5::Digest>::digest(document);
        let md5 = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, digest);
        self.send("POST /bucket?delete", &[("content-md5", md5.as_str())], document).await
    }

    async fn put(&self, target: &str, content: &str) -> Answer {
        let answer = self.send(&format!("PUT {target}"), &[("content-type", "text/plain")], content).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer
    }
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The document, an element a line, without its declaration.
    fn xml(&self) -> String {
        self.text().lines().skip(1).collect::<String>().replace("><", ">\n<")
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Whose signature `Stage::signed` makes, by version 2, which signs no parameter of a listing.
const ID: &str = "AKTESTS";
const SECRET: &str = "secret-of-the-tests";

fn signer(grants: Vec<Grant>) -> Credential {
    Credential {
        access_key_id: AccessKeyId::parse(ID).expect("an id"),
        secret_key: SecretKey::parse(SECRET).expect("a secret"),
        owner: Owner { id: "signer".to_owned(), display_name: "signer".to_owned() },
        grants,
    }
}

fn context(received: ByteCount) -> Context {
    Context {
        request_id: RequestId::new(0x0123_4567_89AB_CDEF),
        peer: ([127, 0, 0, 1], 40_000).into(),
        host: "127.0.0.1:8000".parse().expect("an authority"),
        received,
        ..Context::for_tests(Timestamp::from_ms(NOW_MS))
    }
}

#[tokio::test]
async fn an_error_is_a_document_with_its_fields() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    let answer = stage.send("GET /bucket/a%20b", &[], "").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.header("content-type"), "application/xml");
    assert_eq!(answer.header("x-amz-request-id"), "0123456789ABCDEF");
    insta::assert_snapshot!(answer.xml(), @r"
    <Error>
    <Code>NoSuchKey</Code>
    <Message>The specified key does not exist.</Message>
    <Key>a b</Key>
    <Resource>/bucket/a%20b</Resource>
    <RequestId>0123456789ABCDEF</RequestId>
    <HostId>understudy</HostId>
    </Error>
    ");
}

#[tokio::test]
async fn what_is_not_served_says_so_by_its_name() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    for (line, operation) in [
        ("GET /bucket?policy", "GetBucketPolicy"),
        ("PUT /bucket?versioning", "PutBucketVersioning"),
        ("POST /bucket", "PostObject"),
        ("GET /bucket/key?attributes", "GetObjectAttributes"),
        ("GET /bucket/key?acl", "GetObjectAcl"),
    ] {
        let answer = stage.send(line, &[], "").await;
        assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED, "{line}");
        assert!(answer.text().contains(operation), "{line}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_bucket_is_made_as_asked_or_not_at_all() {
    let stage = Stage::new();
    let document =
        |content: &str| format!("<CreateBucketConfiguration>{content}</CreateBucketConfiguration>");
    let tags = document("<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>");
    let answer = stage.send("PUT /bucket", &[], &tags).await;
    assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED, "{}", answer.text());
    assert!(answer.text().contains("CreateBucketConfiguration/Tags"), "{}", answer.text());
    assert_eq!(stage.send("HEAD /bucket", &[], "").await.status, StatusCode::NOT_FOUND);
    let elsewhere = document("<LocationConstraint>eu-central-1</LocationConstraint>");
    stage.put("/bucket", &elsewhere).await;
    assert_eq!(stage.get("HEAD /bucket").await.header("x-amz-bucket-region"), "eu-central-1");
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    stage.put("/bucket/key", "hello").await;
    let (get, head) = (stage.get("GET /bucket/key").await, stage.get("HEAD /bucket/key").await);
    assert_eq!(get.text(), "hello");
    assert_eq!(head.text(), "");
    for name in ["content-length", "content-type", "etag", "last-modified", "accept-ranges"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
        assert!(!get.header(name).is_empty(), "{name} is missing");
    }
    let missing = stage.send("HEAD /bucket/none", &[], "").await;
    assert_eq!((missing.status, missing.text().as_str()), (StatusCode::NOT_FOUND, ""));
    let fresh = stage.send("HEAD /bucket/key", &[("if-none-match", head.header("etag"))], "").await;
    assert_eq!((fresh.status, fresh.header("content-length")), (StatusCode::NOT_MODIFIED, ""));
}

#[tokio::test]
async fn a_list_of_buckets_never_names_one_that_its_caller_may_not_see() {
    let grants = ["admin:*", "list:seen-1", "list:seen-2", "list:seen-3"];
    let stage = Stage::with(grants.into_iter().map(|grant| Grant::parse(grant).expect("a grant")).collect());
    for bucket in ["hidden-0", "seen-1", "seen-1-hidden", "seen-2", "seen-2-hidden", "seen-3"] {
        stage.put(&format!("/{bucket}"), "").await;
    }
    let (mut token, mut pages) = (String::new(), Vec::new());
    loop {
        let line = format!("GET /?max-buckets=1&continuation-token={token}");
        let page = stage.signed(&line, &[]).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text());
        let page = page.text();
        assert!(!page.contains("hidden"), "{page}");
        pages.push(page.matches("<Bucket>").count());
        let Some((_, rest)) = page.split_once("<ContinuationToken>") else { break };
        token = rest.split('<').next().expect("its end").to_owned();
    }
    assert_eq!(pages, [1, 1, 1]);
}

#[tokio::test]
async fn version_1_of_a_listing() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    for key in ["a", "b%20c", "d/1", "d/2", "e"] {
        stage.put(&format!("/bucket/{key}"), "x").await;
    }
    let answer = stage.get("GET /bucket?delimiter=%2F&max-keys=3&encoding-type=url").await;
    insta::assert_snapshot!(answer.xml(), @r#"
    <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
    <Name>bucket</Name>
    <Prefix/>
    <Marker/>
    <NextMarker>d/</NextMarker>
    <MaxKeys>3</MaxKeys>
    <Delimiter>/</Delimiter>
    <IsTruncated>true</IsTruncated>
    <EncodingType>url</EncodingType>
    <Contents>
    <Key>a</Key>
    <LastModified>2026-11-20T21:20:19.123Z</LastModified>
    <ETag>&quot;9dd4e461268c8034f5c8564e155c67a6&quot;</ETag>
    <ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>
    <ChecksumType>FULL_OBJECT</ChecksumType>
    <Size>1</Size>
    <Owner>
    <ID>65a011a29cdf8ec533ec3d1ccaae921c</ID>
    <DisplayName>anonymous</DisplayName>
    </Owner>
    <StorageClass>STANDARD</StorageClass>
    </Contents>
    <Contents>
    <Key>b%20c</Key>
    <LastModified>2026-11-20T21:20:19.123Z</LastModified>
    <ETag>&quot;9dd4e461268c8034f5c8564e155c67a6&quot;</ETag>
    <ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>
    <ChecksumType>FULL_OBJECT</ChecksumType>
    <Size>1</Size>
    <Owner>
    <ID>65a011a29cdf8ec533ec3d1ccaae921c</ID>
    <DisplayName>anonymous</DisplayName>
    </Owner>
    <StorageClass>STANDARD</StorageClass>
    </Contents>
    <CommonPrefixes>
    <Prefix>d/</Prefix>
    </CommonPrefixes>
    </ListBucketResult>
    "#);
}

#[tokio::test]
async fn version_2_of_a_listing_goes_on_by_token() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    for key in ["a", "b", "c"] {
        stage.put(&format!("/bucket/{key}"), "x").await;
    }
    let first = stage.get("GET /bucket?list-type=2&max-keys=2").await;
    insta::assert_snapshot!(first.xml(), @r#"
    <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
    <Name>bucket</Name>
    <Prefix/>
    <NextContinuationToken>AWti</NextContinuationToken>
    <KeyCount>2</KeyCount>
    <MaxKeys>2</MaxKeys>
    <IsTruncated>true</IsTruncated>
    <Contents>
    <Key>a</Key>
    <LastModified>2026-11-20T21:20:19.123Z</LastModified>
    <ETag>&quot;9dd4e461268c8034f5c8564e155c67a6&quot;</ETag>
    <ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>
    <ChecksumType>FULL_OBJECT</ChecksumType>
    <Size>1</Size>
    <StorageClass>STANDARD</StorageClass>
    </Contents>
    <Contents>
    <Key>b</Key>
    <LastModified>2026-11-20T21:20:19.123Z</LastModified>
    <ETag>&quot;9dd4e461268c8034f5c8564e155c67a6&quot;</ETag>
    <ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>
    <ChecksumType>FULL_OBJECT</ChecksumType>
    <Size>1</Size>
    <StorageClass>STANDARD</StorageClass>
    </Contents>
    </ListBucketResult>
    "#);
    let text = first.text();
    let (_, rest) = text.split_once("<NextContinuationToken>").expect("a token");
    let (token, _) = rest.split_once('<').expect("its end");
    let second = stage.get(&format!("GET /bucket?list-type=2&continuation-token={token}")).await;
    assert!(second.text().contains("<Key>c</Key>") && second.text().contains("<KeyCount>1</KeyCount>"));
    let refused = stage.send("GET /bucket?list-type=2&continuation-token=forged", &[], "").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_multipart_upload_from_beginning_to_end() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    let created = stage.send("POST /bucket/big?uploads", &[], "").await.text();
    let (_, rest) = created.split_once("<UploadId>").expect("an upload id");
    let (id, _) = rest.split_once('<').expect("its end");
    let part = stage.put(&format!("/bucket/big?partNumber=1&uploadId={id}"), "only part").await;
    let listed = stage.get(&format!("GET /bucket/big?uploadId={id}")).await;
    insta::assert_snapshot!(listed.xml().replace(id, "ID"), @r#"
    <ListPartsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
    <Bucket>bucket</Bucket>
    <Key>big</Key>
    <UploadId>ID</UploadId>
    <Initiator>
    <ID>65a011a29cdf8ec533ec3d1ccaae921c</ID>
    <DisplayName>anonymous</DisplayName>
    </Initiator>
    <Owner>
    <ID>65a011a29cdf8ec533ec3d1ccaae921c</ID>
    <DisplayName>anonymous</DisplayName>
    </Owner>
    <StorageClass>STANDARD</StorageClass>
    <PartNumberMarker>0</PartNumberMarker>
    <NextPartNumberMarker>1</NextPartNumberMarker>
    <MaxParts>1000</MaxParts>
    <IsTruncated>false</IsTruncated>
    <Part>
    <PartNumber>1</PartNumber>
    <LastModified>2026-11-20T21:20:19.123Z</LastModified>
    <ETag>&quot;14230f1d9c64bd06720ad1be4312c350&quot;</ETag>
    <Size>9</Size>
    </Part>
    </ListPartsResult>
    "#);
    let none = stage.get(&format!("GET /bucket/big?uploadId={id}&max-parts=0")).await.text();
    assert!(none.contains("<IsTruncated>false</IsTruncated>"), "{none}");
    let document = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
        part.header("etag").replace('"', "&quot;")
    );
    let done = stage.send(&format!("POST /bucket/big?uploadId={id}"), &[], &document).await;
    insta::assert_snapshot!(done.xml(), @r#"
    <CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
    <Location>http://127.0.0.1:8000/bucket/big</Location>
    <Bucket>bucket</Bucket>
    <Key>big</Key>
    <ETag>&quot;de7dfe70924e91b296afd1f8fadf8458-1&quot;</ETag>
    <ChecksumCRC64NVME>PeRH0QNAoD0=</ChecksumCRC64NVME>
    <ChecksumType>FULL_OBJECT</ChecksumType>
    </CompleteMultipartUploadResult>
    "#);
    let whole = stage.get("GET /bucket/big").await;
    assert_eq!(whole.text(), "only part");
    assert!(whole.header("etag").ends_with("-1\""), "{}", whole.header("etag"));
}

#[tokio::test]
async fn a_completion_must_be_of_the_checksum_that_its_upload_began_with() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    let begin = [("x-amz-checksum-algorithm", "CRC32")];
    let created = stage.send("POST /bucket/key?uploads", &begin, "").await.text();
    let (_, rest) = created.split_once("<UploadId>").expect("an upload id");
    let (id, _) = rest.split_once('<').expect("its end");
    let part = stage.put(&format!("/bucket/key?partNumber=1&uploadId={id}"), "only part").await;
    let (etag, crc32) = (part.header("etag").to_owned(), part.header("x-amz-checksum-crc32").to_owned());
    let complete = async |headers: &[(&str, &str)], checksum: &str| {
        let part = format!("<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag>{checksum}</Part>");
        let document = format!("<CompleteMultipartUpload>{part}</CompleteMultipartUpload>");
        stage.send(&format!("POST /bucket/key?uploadId={id}"), headers, &document).await
    };
    let vouched = format!("<ChecksumCRC32>{crc32}</ChecksumCRC32>");
    let missing = complete(&[], "").await;
    assert!(missing.text().contains("It was missing for part 1"), "{}", missing.text());
    let other = complete(&[("x-amz-checksum-type", "FULL_OBJECT")], &vouched).await;
    assert!(other.text().contains("must use the same checksum mode"), "{}", other.text());
    for answer in [missing, other, stage.send("HEAD /bucket/key", &[], "").await] {
        assert!(answer.status.is_client_error());
    }
    let done = complete(&[("x-amz-checksum-type", "COMPOSITE")], &vouched).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    assert_eq!(complete(&[], &vouched).await.status, StatusCode::OK, "the same again");
}

#[tokio::test]
async fn copies_keep_or_replace_what_their_directives_say() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    let headers = [("content-type", "text/plain"), ("x-amz-meta-a", "1"), ("x-amz-tagging", "t=1")];
    stage.send("PUT /bucket/source", &headers, "hello").await;
    let copied = stage.send("PUT /bucket/kept", &[("x-amz-copy-source", "bucket/source")], "").await;
    insta::assert_snapshot!(copied.xml(), @r#"
    <CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
    <LastModified>2026-11-20T21:20:19.123Z</LastModified>
    <ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag>
    <ChecksumCRC64NVME>M3eFcAZSQlc=</ChecksumCRC64NVME>
    <ChecksumType>FULL_OBJECT</ChecksumType>
    </CopyObjectResult>
    "#);
    let kept = stage.get("GET /bucket/kept").await;
    assert_eq!((kept.header("x-amz-meta-a"), kept.header("x-amz-tagging-count")), ("1", "1"));
    let replace = [
        ("x-amz-copy-source", "bucket/source"),
        ("x-amz-metadata-directive", "REPLACE"),
        ("x-amz-tagging-directive", "REPLACE"),
        ("content-type", "text/html"),
    ];
    stage.send("PUT /bucket/replaced", &replace, "").await;
    let replaced = stage.get("GET /bucket/replaced").await;
    assert_eq!(replaced.header("content-type"), "text/html");
    assert_eq!((replaced.header("x-amz-meta-a"), replaced.header("x-amz-tagging-count")), ("", ""));
    let onto_itself = stage.send("PUT /bucket/source", &[("x-amz-copy-source", "bucket/source")], "").await;
    assert_eq!(onto_itself.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn tags_are_put_shown_and_removed() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    stage.put("/bucket/key", "hello").await;
    let document = "<Tagging><TagSet><Tag><Key>a</Key><Value>1 + 2 = @</Value></Tag></TagSet></Tagging>";
    assert_eq!(stage.put("/bucket/key?tagging", document).await.text(), "");
    assert_eq!(stage.get("HEAD /bucket/key").await.header("x-amz-tagging-count"), "1");
    insta::assert_snapshot!(stage.get("GET /bucket/key?tagging").await.xml(), @r#"
    <Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
    <TagSet>
    <Tag>
    <Key>a</Key>
    <Value>1 + 2 = @</Value>
    </Tag>
    </TagSet>
    </Tagging>
    "#);
    let removed = stage.send("DELETE /bucket/key?tagging", &[], "").await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    assert_eq!(stage.get("HEAD /bucket/key").await.header("x-amz-tagging-count"), "");
    let missing = stage.send("PUT /bucket/none?tagging", &[], document).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_bucket_of_somebody_else_is_refused_to_who_says_so() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    stage.put("/bucket/key", "hello").await;
    let owner = crate::model::Owner::anonymous().id;
    for (expected, status) in [(owner.as_str(), StatusCode::OK), ("123456789012", StatusCode::FORBIDDEN)] {
        let answer = stage.send("GET /bucket/key", &[("x-amz-expected-bucket-owner", expected)], "").await;
        assert_eq!(answer.status, status, "{expected}: {}", answer.text());
        let copy = [("x-amz-copy-source", "bucket/key"), ("x-amz-source-expected-bucket-owner", expected)];
        let answer = stage.send("PUT /bucket/copy", &copy, "").await;
        assert_eq!(answer.status, status, "{expected}: {}", answer.text());
    }
}

#[tokio::test]
async fn the_name_of_the_archive_is_no_bucket() {
    let stage = Stage::new();
    let answer = stage.send("PUT /pub", &[], "").await;
    assert!(answer.text().contains("<Code>InvalidBucketName</Code>"), "{}", answer.text());
}

#[tokio::test]
async fn a_part_copied_whole_has_the_digests_of_its_source() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    let source = stage.put("/bucket/source", "hello").await;
    for (algorithm, range) in [("", ""), ("CRC32", ""), ("", "bytes=0-4"), ("SHA256", "bytes=0-4")] {
        let asked = [("x-amz-checksum-algorithm", algorithm)];
        let asked = if algorithm.is_empty() { &[][..] } else { &asked[..] };
        let created = stage.send("POST /bucket/big?uploads", asked, "").await.text();
        let (_, rest) = created.split_once("<UploadId>").expect("an upload id");
        let (id, _) = rest.split_once('<').expect("its end");
        let mut headers = vec![("x-amz-copy-source", "bucket/source")];
        if !range.is_empty() {
            headers.push(("x-amz-copy-source-range", range));
        }
        let line = format!("PUT /bucket/big?partNumber=1&uploadId={id}");
        let copied = stage.send(&line, &headers, "").await.text();
        let etag = source.header("etag").replace('"', "&quot;");
        assert!(copied.contains(&etag), "{algorithm} {range}: {copied}");
        assert_eq!(copied.contains("<Checksum"), !algorithm.is_empty(), "{algorithm} {range}: {copied}");
    }
}

#[tokio::test]
async fn many_deletes_have_an_outcome_each() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    stage.put("/bucket/a", "x").await;
    let document = "<Delete><Object><Key>a</Key></Object><Object><Key>none</Key></Object>\
                    <Object><Key>b</Key><ETag>\"0\"</ETag></Object></Delete>";
    let unprotected = stage.send("POST /bucket?delete", &[], document).await;
    assert_eq!(unprotected.status, StatusCode::BAD_REQUEST, "{}", unprotected.text());
    let answer = stage.delete_objects(document).await;
    insta::assert_snapshot!(answer.xml(), @r#"
    <DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
    <Deleted>
    <Key>a</Key>
    </Deleted>
    <Deleted>
    <Key>none</Key>
    </Deleted>
    <Error>
    <Key>b</Key>
    <Code>NoSuchKey</Code>
    <Message>The specified key does not exist.</Message>
    </Error>
    </DeleteResult>
    "#);
}

#[tokio::test]
async fn a_condition_of_a_delete_that_cannot_be_read_protects_the_object() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    stage.put("/bucket/a", "x").await;
    for condition in ["<LastModifiedTime>yesterday</LastModifiedTime>", "<Size>many</Size>"] {
        let document = format!("<Delete><Object><Key>a</Key>{condition}</Object></Delete>");
        let answer = stage.delete_objects(&document).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        stage.get("HEAD /bucket/a").await;
    }
}

#[tokio::test]
async fn an_error_document_is_xml_whatever_the_request_held() {
    let stage = Stage::new();
    let answer = stage.send("PUT /bucket", &[], "<a></b\u{1}>").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(!answer.text().contains("&#1;") && !answer.text().contains('\u{1}'), "{}", answer.text());
}

#[tokio::test]
async fn a_body_that_is_not_what_it_claims_changes_nothing() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    for (headers, code) in [
        ([("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], "BadDigest"),
        ([("content-md5", "short")], "InvalidDigest"),
        ([("x-amz-checksum-crc32", "AAAAAA==")], "BadDigest"),
        ([("x-amz-server-side-encryption", "aws:kms")], "NotImplemented"),
        ([("x-amz-acl", "public-read")], "NotImplemented"),
    ] {
        let answer = stage.send("PUT /bucket/key", &headers, "hello").await;
        assert!(answer.text().contains(&format!("<Code>{code}</Code>")), "{headers:?}: {}", answer.text());
        assert_eq!(stage.send("HEAD /bucket/key", &[], "").await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_bucket_is_there_for_whoever_may_list_a_part_of_it() {
    let grant = |text: &str| Grant::parse(text).expect("a grant");
    let stage = Stage::with(vec![grant("admin,write:*"), grant("read,list:bucket/pub/")]);
    stage.put("/bucket", "").await;
    stage.put("/other", "").await;
    for (request, status) in [
        ("HEAD /bucket", StatusCode::OK),
        ("GET /bucket?location", StatusCode::OK),
        ("GET /bucket?list-type=2&prefix=pub/", StatusCode::OK),
        ("GET /bucket?list-type=2", StatusCode::FORBIDDEN),
        ("HEAD /other", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(stage.send(request, &[], "").await.status, status, "{request}");
    }
}
