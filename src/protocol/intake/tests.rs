//! Bodies in pieces against what their headers declare.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame};
use proptest::prelude::*;

use super::{ChecksumsOf, Intake, IntakeError, Received, checksum_header};
use crate::checksum::{Digester, Digests};
use crate::model::{Checksum, ChecksumAlgorithm, SecretKey, Timestamp};
use crate::presented::Presented;
use crate::protocol::Config;
use crate::protocol::body::{BodyError, ByteCount, RequestBody, receive};
use crate::signature::SignedRequest;
use crate::sigv4::Payload;
use crate::store::{Durability, Options, Store};

const HELLO: &[u8] = b"hello world";

/// A body in pieces; an error may stand at its end.
struct Pieces(VecDeque<Result<Bytes, BodyError>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(self.0.pop_front().map(|piece| piece.map(Frame::data)))
    }
}

/// A body that must not be looked at.
struct Untouched;

impl Body for Untouched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        panic!("the client was told to go on, though its headers were enough to refuse it");
    }
}

fn body(bytes: &[u8]) -> RequestBody {
    in_pieces(bytes, bytes.len().max(1))
}

fn in_pieces(bytes: &[u8], length: usize) -> RequestBody {
    let pieces = bytes.chunks(length).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    receive(Pieces(pieces), ByteCount::default())
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| -> (HeaderName, HeaderValue) {
        (name.parse().expect("a header name"), value.parse().expect("a header value"))
    };
    pairs.iter().map(pair).collect()
}

fn digests(bytes: &[u8]) -> Digests {
    let mut digester = Digester::new(&ChecksumAlgorithm::ALL);
    digester.update(bytes);
    digester.finish()
}

fn checksum(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Checksum {
    digests(bytes).checksum(algorithm).expect("all were asked for").clone()
}

fn md5(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(digests(bytes).md5)
}

/// Chunks of `size` bytes, without signatures, and these trailer lines.
fn chunked(bytes: &[u8], size: usize, trailers: &[(&str, &str)]) -> Vec<u8> {
    let mut framed = Vec::new();
    for chunk in bytes.chunks(size) {
        framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        framed.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
    }
    framed.extend_from_slice(b"\r\n");
    framed
}

/// Reads HELLO as a document of unknown length, with these headers besides.
async fn document(pairs: &[(&str, &str)], payload: Payload) -> Result<Bytes, IntakeError> {
    let mut headers = headers(pairs);
    headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
    let intake = Intake::read(&headers, payload, ChecksumsOf::Body)?;
    intake.document(body(HELLO), &Config::for_tests()).await
}

/// A store in a folder that goes with it.
struct Fixture {
    store: Store,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = Options { durability: Durability::Ephemeral, ..Options::new(folder.path()) };
        let store = Store::open(options).expect("a new store opens");
        Self { store, _folder: folder }
    }

    async fn stage(
        &self,
        pairs: &[(&str, &str)],
        payload: Payload,
        body: RequestBody,
    ) -> Result<Received, IntakeError> {
        let intake = Intake::read(&headers(pairs), payload, ChecksumsOf::Body)?;
        intake.stage(body, &self.store, &[], &Config::for_tests()).await
    }
}

#[tokio::test]
async fn digests_that_the_headers_declare_are_compared() {
    let (right, wrong) = (md5(HELLO), md5(b"other"));
    for (pairs, expected) in [
        (vec![], Ok(())),
        (vec![("content-md5", right.as_str())], Ok(())),
        (
            vec![("content-md5", wrong.as_str())],
            Err("The Content-MD5 you specified did not match what we received."),
        ),
        (vec![("content-md5", "not base64")], Err("The Content-MD5 you specified was invalid.")),
        (vec![("content-md5", "aGVsbG8=")], Err("The Content-MD5 you specified was invalid.")),
        (vec![("content-md5", "")], Err("The Content-MD5 you specified was invalid.")),
    ] {
        let result = document(&pairs, Payload::Unsigned).await.map(drop).map_err(|error| error.to_string());
        assert_eq!(result, expected.map_err(str::to_owned), "{pairs:?}");
    }
}

#[tokio::test]
async fn every_additional_checksum_is_compared() {
    for algorithm in ChecksumAlgorithm::ALL {
        let right = checksum(algorithm, HELLO).to_string();
        assert!(document(&[(algorithm.header(), &right)], Payload::Unsigned).await.is_ok(), "{algorithm:?}");
        let wrong = checksum(algorithm, b"other").to_string();
        let error =
            document(&[(algorithm.header(), &wrong)], Payload::Unsigned).await.expect_err("other bytes");
        assert_eq!(
            error.to_string(),
            format!("The {} you specified did not match the calculated checksum.", algorithm.name())
        );
    }
}

#[tokio::test]
async fn a_signed_body_must_have_its_hash() {
    let sha256 = |bytes| checksum(ChecksumAlgorithm::Sha256, bytes).value().try_into().expect("32 bytes");
    assert!(document(&[], Payload::Sha256(sha256(HELLO))).await.is_ok());
    let error = document(&[], Payload::Sha256(sha256(b"other"))).await.expect_err("other bytes");
    let IntakeError::XAmzContentSHA256Mismatch { client, computed } = error else { panic!("{error:?}") };
    assert_eq!(client, hex::encode::<[u8; 32]>(sha256(b"other")));
    assert_eq!(computed, hex::encode::<[u8; 32]>(sha256(HELLO)));
}

#[test]
fn checksum_headers_that_contradict_each_other_are_refused() {
    let several = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
    let alone = "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.";
    let crc32 = ("x-amz-checksum-crc32", "DUoRhQ==");
    for (pairs, expected) in [
        (&[crc32][..], Ok(Some(ChecksumAlgorithm::Crc32))),
        (&[crc32, ("x-amz-sdk-checksum-algorithm", "CRC32")], Ok(Some(ChecksumAlgorithm::Crc32))),
        (&[crc32, ("x-amz-checksum-type", "FULL_OBJECT")], Ok(Some(ChecksumAlgorithm::Crc32))),
        (&[("x-amz-checksum-mode", "ENABLED"), ("x-amz-checksum-algorithm", "SHA1")], Ok(None)),
        (&[crc32, ("x-amz-checksum-crc32c", "DUoRhQ==")], Err(several)),
        (&[("x-amz-checksum-crc32", "DUoRhQ")], Err("Value for x-amz-checksum-crc32 header is invalid.")),
        (&[("x-amz-checksum-crc32", "DUoRhQ==-2")], Err("Value for x-amz-checksum-crc32 header is invalid.")),
        (&[("x-amz-checksum-sha1", "DUoRhQ==")], Err("Value for x-amz-checksum-sha1 header is invalid.")),
        (
            &[("x-amz-checksum-md4", "DUoRhQ==")],
            Err("The algorithm type you specified in x-amz-checksum- header is invalid."),
        ),
        (&[("x-amz-sdk-checksum-algorithm", "CRC32")], Err(alone)),
        (
            &[crc32, ("x-amz-sdk-checksum-algorithm", "SHA1")],
            Err("Value for x-amz-sdk-checksum-algorithm header is invalid."),
        ),
        (
            &[crc32, ("x-amz-sdk-checksum-algorithm", "MD4")],
            Err(
                "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
            ),
        ),
    ] {
        let result = Intake::read(&headers(pairs), Payload::Unsigned, ChecksumsOf::Body)
            .map(|intake| intake.checksum_algorithm())
            .map_err(|error| error.to_string());
        assert_eq!(result, expected.map_err(str::to_owned), "{pairs:?}");
    }
}

#[test]
fn announced_trailers_are_checked_before_the_body_comes() {
    let length = ("x-amz-decoded-content-length", "11");
    let trailer = ("x-amz-trailer", "x-amz-checksum-crc32");
    for (pairs, expected) in [
        (&[length, trailer][..], Ok(Some(ChecksumAlgorithm::Crc32))),
        (&[length], Ok(None)),
        (&[length, ("x-amz-checksum-crc32", "DUoRhQ==")], Ok(Some(ChecksumAlgorithm::Crc32))),
        (&[trailer], Err("You must provide the Content-Length HTTP header.")),
        (
            &[trailer, ("x-amz-decoded-content-length", "12x")],
            Err("You must provide the Content-Length HTTP header."),
        ),
        (
            &[length, ("x-amz-trailer", "x-amz-meta-a")],
            Err("The value specified in the x-amz-trailer header is not supported"),
        ),
        (
            &[length, trailer, ("x-amz-checksum-crc32", "DUoRhQ==")],
            Err("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."),
        ),
        (
            &[length, ("x-amz-trailer", "x-amz-checksum-crc32,x-amz-checksum-sha1")],
            Err("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."),
        ),
        (
            &[length, trailer, ("x-amz-sdk-checksum-algorithm", "SHA1")],
            Err("Value for x-amz-sdk-checksum-algorithm header is invalid."),
        ),
    ] {
        let result = Intake::read(&headers(pairs), Payload::StreamingUnsignedTrailer, ChecksumsOf::Body)
            .map(|intake| intake.checksum_algorithm())
            .map_err(|error| error.to_string());
        assert_eq!(result, expected.map_err(str::to_owned), "{pairs:?}");
    }
}

#[tokio::test]
async fn checksums_of_an_object_are_not_those_of_the_document_about_it() {
    let of_object = checksum(ChecksumAlgorithm::Crc32, b"the object").to_string();
    let composite = format!("{of_object}-3");
    let headers = headers(&[("content-length", "11"), ("x-amz-checksum-crc32", &composite)]);
    let intake =
        Intake::read(&headers, Payload::Unsigned, ChecksumsOf::Object).expect("no checksum of the body");
    assert!(!intake.is_protected());
    assert_eq!(intake.document(body(HELLO), &Config::for_tests()).await.expect("a document"), HELLO);
    let read = checksum_header(&headers).expect("a checksum").expect("one");
    assert_eq!(read.to_string(), composite);
}

#[tokio::test]
async fn documents_are_limited_whether_or_not_they_say_their_length() {
    let limits = Config { document_bytes_max: 10, ..Config::for_tests() };
    for (pairs, body) in [
        (vec![("content-length", "11")], receive(Untouched, ByteCount::default())),
        (vec![("transfer-encoding", "chunked")], in_pieces(HELLO, 3)),
    ] {
        let intake = Intake::read(&headers(&pairs), Payload::Unsigned, ChecksumsOf::Body).expect("no claims");
        let error = intake.document(body, &limits).await.expect_err("11 bytes are more than 10");
        assert!(matches!(error, IntakeError::DocumentTooLarge { max_bytes: 10 }), "{error:?}");
    }
}

#[tokio::test]
async fn a_request_without_a_body_has_an_empty_document() {
    let intake = Intake::read(&HeaderMap::new(), Payload::Unsigned, ChecksumsOf::Body).expect("no claims");
    assert_eq!(intake.size_bytes(), Some(0));
    assert_eq!(intake.document(body(b""), &Config::for_tests()).await.expect("nothing"), Bytes::new());
}

#[tokio::test]
async fn a_body_must_have_the_length_it_declares() {
    for declared in ["10", "12"] {
        let error =
            document(&[("content-length", declared)], Payload::Unsigned).await.expect_err("11 bytes come");
        assert!(matches!(error, IntakeError::IncompleteBody), "{declared}: {error:?}");
    }
    assert!(document(&[("content-length", "11")], Payload::Unsigned).await.is_ok());
}

#[tokio::test]
async fn a_connection_that_breaks_is_not_the_end_of_the_body() {
    let broken = || BodyError::Interrupted(Box::new(io::Error::from(io::ErrorKind::UnexpectedEof)));
    let pieces = [Ok(Bytes::from_static(HELLO)), Err(broken())];
    let body = receive(Pieces(VecDeque::from(pieces)), ByteCount::default());
    let headers = headers(&[("transfer-encoding", "chunked")]);
    let intake = Intake::read(&headers, Payload::Unsigned, ChecksumsOf::Body).expect("no claims");
    let error = intake.document(body, &Config::for_tests()).await.expect_err("the connection broke");
    assert!(matches!(error, IntakeError::Body(BodyError::Interrupted(_))), "{error:?}");
}

#[tokio::test]
async fn received_bytes_are_counted_with_their_framing() {
    let framed = chunked(HELLO, 4, &[]);
    let count = ByteCount::default();
    let pieces = framed.chunks(5).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let body = receive(Pieces(pieces), count.clone());
    let headers = headers(&[("x-amz-decoded-content-length", "11")]);
    let intake =
        Intake::read(&headers, Payload::StreamingUnsignedTrailer, ChecksumsOf::Body).expect("a length");
    // Only the last chunk may be small, so the body is refused; what came of it was received.
    assert!(matches!(intake.document(body, &Config::for_tests()).await, Err(IntakeError::Chunked(_))));
    assert!(count.get() > 0 && count.get() <= framed.len() as u64);
}

#[tokio::test]
async fn objects_must_say_their_length_before_they_come() {
    let fixture = Fixture::new();
    let missing = "You must provide the Content-Length HTTP header.";
    let too_large = "Your proposed upload exceeds the maximum allowed object size.";
    let not_implemented = "A header you provided implies functionality that is not implemented";
    let chunked = || Payload::StreamingUnsignedTrailer;
    for (pairs, payload, expected) in [
        (&[][..], Payload::Unsigned, missing),
        // S3: Transfer-Encoding alone does not do, and is refused by its name.
        (&[("transfer-encoding", "chunked")], Payload::Unsigned, not_implemented),
        (&[("x-amz-decoded-content-length", "11")], chunked(), missing),
        (&[("content-length", "67108865")], Payload::Unsigned, too_large),
        (&[("content-length", "99"), ("x-amz-decoded-content-length", "67108865")], chunked(), too_large),
    ] {
        let body = receive(Untouched, ByteCount::default());
        let error = fixture.stage(pairs, payload, body).await.expect_err("refused");
        assert_eq!(error.to_string(), expected, "{pairs:?}");
    }
}

#[tokio::test]
async fn a_trailer_that_is_not_the_announced_one_is_refused() {
    let right = checksum(ChecksumAlgorithm::Crc32, HELLO).to_string();
    let wrong = checksum(ChecksumAlgorithm::Crc32, b"other").to_string();
    let malformed = "The request contained trailing data that was not well-formed or did not conform to our published schema.";
    for (trailers, expected) in [
        (vec![("x-amz-checksum-crc32", right.as_str())], Ok(())),
        (
            vec![("x-amz-checksum-crc32", wrong.as_str())],
            Err("The CRC32 you specified did not match the calculated checksum."),
        ),
        (
            vec![("x-amz-checksum-crc32", "DUoRhQ==-1")],
            Err("Value for x-amz-checksum-crc32 trailing header is invalid."),
        ),
        (
            vec![("x-amz-checksum-crc32", "")],
            Err("Value for x-amz-checksum-crc32 trailing header is invalid."),
        ),
        (vec![], Err(malformed)),
        (vec![("x-amz-checksum-crc32c", right.as_str())], Err(malformed)),
    ] {
        let headers = headers(&[
            ("transfer-encoding", "chunked"),
            ("x-amz-decoded-content-length", "11"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ]);
        let intake =
            Intake::read(&headers, Payload::StreamingUnsignedTrailer, ChecksumsOf::Body).expect("announced");
        let body = in_pieces(&chunked(HELLO, 100, &trailers), 7);
        let result = intake.document(body, &Config::for_tests()).await;
        let result = result.map(drop).map_err(|error| error.to_string());
        assert_eq!(result, expected.map_err(str::to_owned), "{trailers:?}");
    }
}

/// AWS: "Transferring Payload in Multiple Chunks", "Example: PUT Object".
fn published_example() -> (HeaderMap, Payload) {
    let headers = headers(&[
        ("host", "s3.amazonaws.com"),
        ("content-encoding", "aws-chunked"),
        ("content-length", "66824"),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-decoded-content-length", "66560"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        ),
    ]);
    let request = SignedRequest {
        method: &http::Method::PUT,
        path: "/examplebucket/chunkObject.txt",
        query: "",
        headers: &headers,
        virtual_host_bucket: None,
    };
    let presented = Presented::read(&request).expect("AWS's own header");
    let secret = SecretKey::parse("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").expect("AWS's own secret");
    let now = Timestamp::parse_iso("2013-05-24T00:00:00Z").expect("a time");
    let payload = presented.verify(&request, &secret, now).expect("AWS's own signature").payload;
    (headers, payload)
}

#[tokio::test]
async fn signed_chunks_are_taken_and_no_other_ones() {
    let data = vec![b'a'; 66560];
    let framed = |last: &[u8]| {
        let mut framed = Vec::new();
        let first =
            "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n";
        let second =
            "400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n";
        let end =
            "0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n";
        for piece in
            [first.as_bytes(), &data[..65536], b"\r\n", second.as_bytes(), last, b"\r\n", end.as_bytes()]
        {
            framed.extend_from_slice(piece);
        }
        assert_eq!(framed.len(), 66824);
        framed
    };
    let limits = Config { document_bytes_max: 100_000, ..Config::for_tests() };
    for (last, expected) in [
        (vec![b'a'; 1024], Ok(data.clone())),
        (
            vec![b'b'; 1024],
            Err(
                "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
            ),
        ),
    ] {
        let (headers, payload) = published_example();
        let intake = Intake::read(&headers, payload, ChecksumsOf::Body).expect("AWS's own headers");
        let result = intake.document(in_pieces(&framed(&last), 1000), &limits).await;
        let result = result.map(Vec::from).map_err(|error| error.to_string());
        assert!(result == expected.map_err(str::to_owned), "the last chunk begins with {}", last[0]);
    }
}

/// Splits bytes at these places, taken modulo the length.
fn split(bytes: &[u8], cuts: &[usize]) -> RequestBody {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let pieces = cuts.windows(2).map(|pair| Ok(Bytes::copy_from_slice(&bytes[pair[0]..pair[1]]))).collect();
    receive(Pieces(pieces), ByteCount::default())
}

/// A body of any kind, as its headers, what its signature says, and its bytes on the wire.
fn sent(
    bytes: &[u8],
    algorithm: ChecksumAlgorithm,
    chunk_size: Option<usize>,
) -> (HeaderMap, Payload, Vec<u8>) {
    let length = bytes.len().to_string();
    let value = checksum(algorithm, bytes).to_string();
    let Some(size) = chunk_size else {
        let headers = headers(&[("content-length", &length), (algorithm.header(), &value)]);
        return (headers, Payload::Unsigned, bytes.to_vec());
    };
    let headers = headers(&[
        ("transfer-encoding", "chunked"),
        ("x-amz-decoded-content-length", &length),
        ("x-amz-trailer", algorithm.header()),
    ]);
    (headers, Payload::StreamingUnsignedTrailer, chunked(bytes, size, &[(algorithm.header(), &value)]))
}

#[test]
fn bytes_are_the_same_however_they_come() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let fixture = Fixture::new();
    proptest!(ProptestConfig::with_cases(64), |(
        bytes in proptest::collection::vec(any::<u8>(), 0..50_000),
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
        algorithm in proptest::sample::select(ChecksumAlgorithm::ALL.to_vec()),
        chunk_size in proptest::option::of(8192_usize..20_000),
    )| {
        let (headers, payload, wire) = sent(&bytes, algorithm, chunk_size);
        let intake = Intake::read(&headers, payload, ChecksumsOf::Body).expect("its headers agree");
        let body = split(&wire, &cuts);
        let received = runtime.block_on(intake.stage(body, &fixture.store, &[], &Config::for_tests()));
        let received = received.expect("what was declared came");
        let expected = digests(&bytes);
        prop_assert_eq!(received.staged.size_bytes(), bytes.len() as u64);
        prop_assert_eq!(received.staged.digests().md5, expected.md5);
        prop_assert_eq!(received.staged.digests().crc32c(), expected.crc32c());
        prop_assert_eq!(received.checksum.as_ref(), expected.checksum(algorithm));
    });
}

#[tokio::test]
async fn checksums_that_only_the_caller_wants_are_computed_too() {
    let fixture = Fixture::new();
    let headers = headers(&[("content-length", "11")]);
    let intake = Intake::read(&headers, Payload::Unsigned, ChecksumsOf::Body).expect("a length");
    let received =
        intake.stage(body(HELLO), &fixture.store, &[ChecksumAlgorithm::Sha1], &Config::for_tests()).await;
    let received = received.expect("nothing was declared");
    let sha1 = checksum(ChecksumAlgorithm::Sha1, HELLO);
    assert_eq!(received.staged.digests().checksum(ChecksumAlgorithm::Sha1), Some(&sha1));
    assert_eq!(received.checksum, None, "the client did not give it");
}
