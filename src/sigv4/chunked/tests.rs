//! AWS's examples, bodies signed by the `aws-sigv4` crate, and broken ones.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::{Announced, DecodeError, Decoder, InvalidAnnouncement, Signing};
use crate::signature::testing::{ID, Received, SECRET, example_time, secret};
use crate::sigv4::{HeaderAuth, Payload};

const CRC32C: HeaderName = HeaderName::from_static("x-amz-checksum-crc32c");

/// The documented request whose body comes in signed chunks, with its signature.
fn documented_request(trailer: bool) -> Received {
    let (kind, headers, seed) = if trailer {
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
            "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        )
    } else {
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
            "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        )
    };
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={ID}/20130524/us-east-1/s3/aws4_request,SignedHeaders={headers},Signature={seed}"
    );
    let received = Received::new(
        "PUT /examplebucket/chunkObject.txt",
        &[
            ("host", "s3.amazonaws.com"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", kind),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("content-length", "66824"),
            ("authorization", &authorization),
        ],
    );
    if trailer { received.with("x-amz-trailer", Some("x-amz-checksum-crc32c")) } else { received }
}

/// What verifying the documented request gives for its chunks.
fn signing(trailer: bool) -> Signing {
    let received = documented_request(trailer);
    let authorization = received.headers["authorization"].to_str().expect("ASCII");
    let auth = HeaderAuth::read(&received.as_signed(), authorization).expect("well-formed");
    match auth.verify(&received.as_signed(), &secret(), example_time()) {
        Ok(Payload::Streaming(signing)) => signing,
        other => panic!("{other:?}"),
    }
}

fn announced(decoded_length: usize, trailers: &[HeaderName]) -> Announced {
    Announced { decoded_length: decoded_length as u64, trailers: trailers.to_vec() }
}

/// Decodes a body that comes in the given fragments.
fn decode_fragments(
    mut decoder: Decoder,
    fragments: impl IntoIterator<Item = Bytes>,
) -> Result<(Vec<u8>, HeaderMap), DecodeError> {
    let mut payload = Vec::new();
    for mut fragment in fragments {
        while let Some(piece) = decoder.decode(&mut fragment)? {
            assert!(!piece.is_empty());
            payload.extend_from_slice(&piece);
        }
        assert!(fragment.is_empty());
    }
    Ok((payload, decoder.finish()?))
}

fn decode(decoder: Decoder, body: &[u8]) -> Result<(Vec<u8>, HeaderMap), DecodeError> {
    decode_fragments(decoder, [Bytes::copy_from_slice(body)])
}

/// The bytes cut at the given places.
fn cut(body: &[u8], mut places: Vec<usize>) -> Vec<Bytes> {
    for place in &mut places {
        *place %= body.len() + 1;
    }
    places.extend([0, body.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| Bytes::copy_from_slice(&body[pair[0]..pair[1]])).collect()
}

fn chunk(data: &[u8], signature: &str) -> Vec<u8> {
    let mut chunk = format!("{:x};chunk-signature={signature}\r\n", data.len()).into_bytes();
    chunk.extend_from_slice(data);
    if !data.is_empty() {
        chunk.extend_from_slice(b"\r\n");
    }
    chunk
}

/// A body signed by the `aws-sigv4` crate, from the seed of the documented request on.
fn signed_by_aws(chunks: &[&[u8]], trailers: &[(&'static str, &'static str)]) -> Vec<u8> {
    let identity = Credentials::new(ID, SECRET, None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(UNIX_EPOCH + Duration::from_secs(example_time().as_seconds().unsigned_abs()))
        .settings(())
        .build()
        .expect("complete");
    let mut running = signing(!trailers.is_empty()).previous;
    let mut body = Vec::new();
    for data in chunks.iter().copied().chain([&b""[..]]) {
        let output = v4::sign_chunk(&Bytes::copy_from_slice(data), &running, &params).expect("signed");
        running = output.signature().to_owned();
        body.extend(chunk(data, &running));
    }
    if !trailers.is_empty() {
        // The type of the headers has no shorter name among our dependencies.
        let mut carrier = aws_sdk_s3::config::http::HttpRequest::empty();
        for (name, value) in trailers {
            carrier.headers_mut().append(*name, *value);
            body.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
        }
        let output = v4::sign_trailer(carrier.headers(), &running, &params).expect("signed");
        body.extend_from_slice(format!("x-amz-trailer-signature:{}\r\n", output.signature()).as_bytes());
    }
    body.extend_from_slice(b"\r\n");
    body
}

/// AWS's example body: 65,536 and 1,024 times the letter a.
fn documented_body(trailer: bool) -> Vec<u8> {
    let signatures = if trailer {
        [
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        ]
    } else {
        [
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ]
    };
    let mut body = [
        chunk(&vec![b'a'; 65_536], signatures[0]),
        chunk(&[b'a'; 1024], signatures[1]),
        chunk(b"", signatures[2]),
    ]
    .concat();
    if trailer {
        body.extend_from_slice(b"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n");
    }
    body.extend_from_slice(b"\r\n");
    body
}

fn documented_decoder(trailer: bool) -> Decoder {
    let announced = Announced::read(&documented_request(trailer).headers).expect("well-formed");
    Decoder::signed(signing(trailer), announced)
}

#[test]
fn the_documented_bodies_decode() {
    for (trailer, length) in [(false, 66_824), (true, 66_946)] {
        let body = documented_body(trailer);
        assert_eq!(body.len(), length);
        let (decoded, trailers) = decode(documented_decoder(trailer), &body).expect("decodes");
        assert!(decoded == vec![b'a'; 66_560]);
        let crc32c = trailers.get(CRC32C).map(|value| value.to_str().expect("ASCII"));
        assert_eq!((crc32c, trailers.len()), if trailer { (Some("sOO8/Q=="), 1) } else { (None, 0) });
    }
}

#[test]
fn payload_is_handed_on_without_a_copy() {
    let body = Bytes::from(documented_body(false));
    let mut fragment = body.clone();
    let first = documented_decoder(false).decode(&mut fragment).expect("decodes").expect("payload");
    assert_eq!(first.len(), 65_536);
    assert!(body.as_ptr_range().contains(&first.as_ptr()));
}

#[test]
fn every_change_to_a_signed_body_is_found() {
    for trailer in [false, true] {
        let body = documented_body(trailer);
        let framing = (0..100).chain(65_500..65_720).chain(66_600..body.len());
        for place in framing {
            for flip in [0x01, 0x20] {
                let mut changed = body.clone();
                changed[place] ^= flip;
                // Names of trailers are read in any case, so `X` may stand for `x`; nothing else is.
                let result = decode(documented_decoder(trailer), &changed);
                if let Ok((decoded, trailers)) = result {
                    let name = changed[place].eq_ignore_ascii_case(&body[place]);
                    assert!(trailer && name && flip == 0x20, "a change at {place} was not found");
                    assert!(decoded == vec![b'a'; 66_560] && trailers[CRC32C] == "sOO8/Q==");
                }
            }
        }
    }
}

#[test]
fn a_mismatch_shows_the_string_to_sign_of_its_chunk() {
    let body = String::from_utf8(documented_body(false)).expect("ASCII").replacen("aa\r\n", "ab\r\n", 1);
    let Err(DecodeError::SignatureDoesNotMatch(mismatch)) =
        decode(documented_decoder(false), body.as_bytes())
    else {
        panic!("a changed chunk was accepted");
    };
    assert_eq!(mismatch.access_key_id.as_str(), ID);
    assert!(mismatch.string_to_sign.starts_with(
        "AWS4-HMAC-SHA256-PAYLOAD\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9\ne3b0c442"
    ));
    assert!(mismatch.signature_provided.starts_with("ad80c730"));
}

#[test]
fn a_body_that_ends_early_is_truncated_wherever_it_ends() {
    for trailer in [false, true] {
        let body = documented_body(trailer);
        for end in (0..100).chain(65_500..65_720).chain(66_600..body.len()) {
            let result = decode(documented_decoder(trailer), &body[..end]);
            assert_eq!(result.expect_err("cut"), DecodeError::Truncated, "cut at {end}");
        }
    }
}

/// Decodes an unsigned body that announces a length and, if `trailer`, a CRC32C.
fn unsigned(body: &str, decoded_length: usize, trailer: bool) -> Result<(Vec<u8>, HeaderMap), DecodeError> {
    let trailers = if trailer { &[CRC32C][..] } else { &[] };
    decode(Decoder::unsigned(announced(decoded_length, trailers)), body.as_bytes())
}

#[test]
fn unsigned_bodies_decode_with_and_without_trailers() {
    for (body, decoded, trailer) in [
        ("0\r\n\r\n", "", false),
        ("5\r\nhello\r\n0\r\n\r\n", "hello", false),
        ("5;extension=1\r\nhello\r\n000\r\n\r\n", "hello", false),
        ("A\r\n0123456789\r\n0\r\nx-amz-checksum-crc32c:4waSgw==\r\n\r\n", "0123456789", true),
        ("a \r\n0123456789\r\n0\r\nX-Amz-Checksum-Crc32c: 4waSgw== \r\n\r\n", "0123456789", true),
    ] {
        let (found, trailers) = unsigned(body, decoded.len(), trailer).expect(body);
        assert_eq!(found, decoded.as_bytes());
        assert_eq!(trailers.get(CRC32C), trailer.then_some(&HeaderValue::from_static("4waSgw==")));
    }
}

#[test]
fn broken_framing_is_refused() {
    let long_size = format!("{};x={}\r\n", 1, "y".repeat(1024));
    let endless_size = "0".repeat(2000);
    for (body, reason) in [
        ("\r\n", "a chunk size is not a hexadecimal number"),
        ("hello\r\n", "a chunk size is not a hexadecimal number"),
        ("-1\r\n", "a chunk size is not a hexadecimal number"),
        ("+1\r\nx\r\n", "a chunk size is not a hexadecimal number"),
        ("0x5\r\nhello\r\n", "a chunk size is not a hexadecimal number"),
        ("é\r\n", "a chunk size is not a hexadecimal number"),
        ("fffffffffffffffff\r\n", "a chunk size is too large"),
        ("5\nhello\r\n", "a line does not end with CRLF"),
        ("5\r\nhelloo\r\n", "the bytes of a chunk do not end with CRLF"),
        ("5\r\nhello!\n", "the bytes of a chunk do not end with CRLF"),
        ("5\r\nhello\n\n", "the bytes of a chunk do not end with CRLF"),
        ("5\r\nhello\r\n0\r\n\r\n0\r\n\r\n", "there are bytes after its end"),
        ("5\r\nhello\r\n0\r\n\r\n\r\n", "there are bytes after its end"),
        (&long_size, "a line is too long"),
        (&endless_size, "a line is too long"),
    ] {
        let error = unsigned(body, 5, false).expect_err(body);
        assert_eq!(error, DecodeError::Malformed(reason), "{body:?}");
    }
}

#[test]
fn a_signed_chunk_needs_a_signature() {
    let decoder = Decoder::signed(signing(false), announced(5, &[]));
    let error = decode(decoder, b"5\r\nhello\r\n0\r\n\r\n").expect_err("unsigned");
    assert_eq!(error, DecodeError::Malformed("a chunk has no signature"));
}

#[test]
fn the_chunks_hold_exactly_the_announced_number_of_bytes() {
    for (body, announced, found) in [
        ("5\r\nhello\r\n0\r\n\r\n", 6, 5),
        ("5\r\nhello\r\n0\r\n\r\n", 4, 5),
        ("0\r\n\r\n", 1, 0),
        ("ffffffffffffffff\r\n", 5, u64::MAX),
    ] {
        let error = unsigned(body, announced, false).expect_err(body);
        assert_eq!(error, DecodeError::LengthMismatch { announced: announced as u64, found });
    }
    // Said before any of the surplus is handed on.
    let mut decoder = Decoder::unsigned(announced(4, &[]));
    assert!(decoder.decode(&mut Bytes::from_static(b"5\r\nh")).is_err());
}

#[test]
fn only_the_last_chunk_may_be_small() {
    let large = "x".repeat(8192);
    let small = "x".repeat(8191);
    for (chunks, expected) in [
        (vec![&large, &small], Ok(())),
        (vec![&small], Ok(())),
        (vec![&large, &small, &large], Err(DecodeError::InvalidChunkSize { chunk: 2, size: 8191 })),
        (vec![&small, &small], Err(DecodeError::InvalidChunkSize { chunk: 1, size: 8191 })),
    ] {
        let length = chunks.iter().map(|chunk| chunk.len()).sum();
        let framed: Vec<_> = chunks.iter().map(|data| format!("{:x}\r\n{data}\r\n", data.len())).collect();
        let body = framed.concat() + "0\r\n\r\n";
        assert_eq!(unsigned(&body, length, false).map(|_| ()), expected);
    }
}

#[test]
fn trailers_are_exactly_those_announced() {
    let long = format!("x-amz-checksum-crc32c:{}\r\n\r\n", "A".repeat(5000));
    for trailers in [
        "\r\n",
        "x-amz-checksum-crc32:4waSgw==\r\n\r\n",
        "x-amz-checksum-crc32c:4waSgw==\r\nx-amz-meta-a:b\r\n\r\n",
        "x-amz-checksum-crc32c:4waSgw==\r\nx-amz-checksum-crc32c:4waSgw==\r\n\r\n",
        "x-amz-checksum-crc32c:4waSgw==\r\nx-amz-trailer-signature:00\r\n\r\n",
        "x-amz-checksum-crc32c\r\n\r\n",
        "x amz:4waSgw==\r\n\r\n",
        ":4waSgw==\r\n\r\n",
        "x-amz-checksum-crc32c:\u{1}\r\n\r\n",
        "x-amz-checksum-crc32c:4waSgw==\n\n",
        &long,
    ] {
        let error = unsigned(&format!("0\r\n{trailers}"), 0, true).expect_err(trailers);
        assert_eq!(error, DecodeError::MalformedTrailer, "{trailers:?}");
    }
    let unannounced = unsigned("0\r\nx-amz-checksum-crc32c:4waSgw==\r\n\r\n", 0, false);
    assert_eq!(unannounced.expect_err("not announced"), DecodeError::MalformedTrailer);
}

#[test]
fn signed_trailers_need_their_signature_behind_them() {
    let body = String::from_utf8(documented_body(true)).expect("ASCII");
    let at = body.find("x-amz-checksum").expect("a trailer");
    let (chunks, trailers) = body.split_at(at);
    let (checksum, signature) = trailers.trim_end().split_once("\r\n").expect("two lines");
    for wrong in [
        format!("{chunks}{checksum}\r\n\r\n"),
        format!("{chunks}{signature}\r\n{checksum}\r\n\r\n"),
        format!("{chunks}{checksum}\r\n{signature}\r\n{signature}\r\n\r\n"),
        format!("{chunks}{signature}\r\n\r\n"),
    ] {
        let error = decode(documented_decoder(true), wrong.as_bytes()).expect_err("wrong trailers");
        let refused = matches!(error, DecodeError::MalformedTrailer | DecodeError::SignatureDoesNotMatch(_));
        assert!(refused, "{error:?}");
    }
    // Chunks whose trailers are not signed have none, whatever is announced.
    let decoder = Decoder::signed(signing(false), announced(66_560, &[CRC32C]));
    let body = documented_body(false);
    let body = [&body[..body.len() - 2], b"x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n"].concat();
    assert_eq!(decode(decoder, &body).expect_err("a trailer"), DecodeError::MalformedTrailer);
}

#[test]
fn after_an_error_nothing_is_decoded() {
    let mut decoder = Decoder::unsigned(announced(5, &[]));
    assert!(decoder.decode(&mut Bytes::from_static(b"x\r\n")).is_err());
    assert!(decoder.decode(&mut Bytes::from_static(b"5\r\nhello\r\n0\r\n\r\n")).is_err());
    assert_eq!(decoder.finish(), Err(DecodeError::Truncated));
}

#[test]
fn announcements_are_read_from_the_headers() {
    let checksum = InvalidAnnouncement::Trailer("x-amz-meta-a".to_owned());
    for (length, trailer, expected) in [
        (Some("5"), None, Ok(announced(5, &[]))),
        (Some("0"), Some("x-amz-checksum-crc32c"), Ok(announced(0, &[CRC32C]))),
        (Some("5"), Some(" X-Amz-Checksum-CRC32C , "), Ok(announced(5, &[CRC32C]))),
        (Some("5"), Some("x-amz-meta-a"), Err(checksum)),
        (None, None, Err(InvalidAnnouncement::DecodedLength)),
        (Some(""), None, Err(InvalidAnnouncement::DecodedLength)),
        (Some("+5"), None, Err(InvalidAnnouncement::DecodedLength)),
        (Some("-5"), None, Err(InvalidAnnouncement::DecodedLength)),
        (Some("99999999999999999999"), None, Err(InvalidAnnouncement::DecodedLength)),
    ] {
        let received = Received::new("PUT /b/k", &[])
            .with("x-amz-decoded-content-length", length)
            .with("x-amz-trailer", trailer);
        assert_eq!(Announced::read(&received.headers), expected, "{length:?} {trailer:?}");
    }
}

#[test]
fn keys_are_not_shown() {
    let shown = format!("{:?}", documented_decoder(true));
    assert!(shown.contains("SigningKey(***)"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bodies_signed_by_aws_decode_however_they_are_cut(
        large in 0..3_usize,
        last in 0..300_usize,
        places in prop::collection::vec(any::<usize>(), 0..12),
        trailer in any::<bool>(),
    ) {
        let data: Vec<u8> = (0..8192 * large + last).map(|index| u8::try_from(index % 251).unwrap_or(0)).collect();
        let (full, rest) = data.split_at(8192 * large);
        let chunks: Vec<&[u8]> = full.chunks(8192).chain((last > 0).then_some(rest)).collect();
        let trailers = if trailer { &[("x-amz-checksum-crc32c", "4waSgw==")][..] } else { &[] };
        let body = signed_by_aws(&chunks, trailers);
        let names = if trailer { &[CRC32C][..] } else { &[] };
        let decoder = Decoder::signed(signing(trailer), announced(data.len(), names));
        let (decoded, found) = decode_fragments(decoder, cut(&body, places)).expect("decodes");
        prop_assert!(decoded == data);
        prop_assert_eq!(found.len(), trailers.len());
    }

    #[test]
    fn the_outcome_does_not_depend_on_the_cuts(
        body in "[0-3]?(\r\n|[a-c]{0,3}\r\n|;chunk-signature=0\r\n|\n)([a-c0]|\r\n|:){0,12}",
        places in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let decoder = || Decoder::unsigned(announced(2, &[]));
        let whole = decode(decoder(), body.as_bytes());
        let in_pieces = decode_fragments(decoder(), cut(body.as_bytes(), places));
        prop_assert_eq!(whole, in_pieces);
    }

    #[test]
    fn any_bytes_are_an_answer_or_an_error(body in any::<Vec<u8>>()) {
        for decoder in [Decoder::unsigned(announced(5, &[])), documented_decoder(true)] {
            // Neither panics nor loops; random bytes are no body.
            prop_assert!(decode(decoder, &body).is_err());
        }
    }
}
