//! aws-chunked bodies: signed, signed with a trailer, and unsigned with a trailer.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use super::http::{Answer, Connection};
use super::sigv4::{EMPTY_SHA256, Signed};
use super::{BUCKET, closed_stage, http, serves_on, stored};

/// One of the three forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Signed,
    SignedTrailer,
    UnsignedTrailer,
}

impl Form {
    const ALL: [Self; 3] = [Self::Signed, Self::SignedTrailer, Self::UnsignedTrailer];

    /// The value of x-amz-content-sha256.
    fn payload(self) -> &'static str {
        match self {
            Self::Signed => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Self::SignedTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Self::UnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }
}

/// A PUT in one of the forms, taken apart so that a test can spoil any piece.
struct Upload {
    form: Form,
    signed: Signed,
    /// `SIZE[;chunk-signature=…]`, data and what ends it, for each chunk; the last has no data.
    chunks: Vec<(String, Vec<u8>, String)>,
    /// Lines `name:value`.
    trailers: Vec<String>,
}

impl Upload {
    /// A good upload of these chunks.
    fn new(address: SocketAddr, form: Form, key: &str, pieces: &[&[u8]]) -> Self {
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        Self::announcing(address, form, key, pieces, length)
    }

    /// An upload that announces another length than it has, correctly signed.
    fn announcing(address: SocketAddr, form: Form, key: &str, pieces: &[&[u8]], length: usize) -> Self {
        let length = length.to_string();
        let mut headers =
            vec![("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", &length)];
        if form != Form::Signed {
            headers.push(("x-amz-trailer", "x-amz-checksum-sha256"));
        }
        let signed = Signed::new(address, "PUT", &format!("/{BUCKET}/{key}"), &headers, form.payload());
        let mut before = signed.signature.clone();
        let mut chunks = Vec::new();
        for piece in pieces.iter().copied().chain([&b""[..]]) {
            let mut line = format!("{:x}", piece.len());
            if form != Form::UnsignedTrailer {
                before = signed.chunk(&before, piece);
                line = format!("{line};chunk-signature={before}");
            }
            chunks.push((line, piece.to_vec(), "\r\n".to_owned()));
        }
        let mut trailers = Vec::new();
        if form != Form::Signed {
            let value = BASE64_STANDARD.encode(Sha256::digest(pieces.concat()));
            trailers.push(format!("x-amz-checksum-sha256:{value}"));
        }
        if form == Form::SignedTrailer {
            let signature = signed.trailer(&before, &format!("{}\n", trailers[0]));
            trailers.push(format!("x-amz-trailer-signature:{signature}"));
        }
        Self { form, signed, chunks, trailers }
    }

    /// The body on the wire.
    fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (line, data, end) in &self.chunks {
            body.extend_from_slice(line.as_bytes());
            body.extend_from_slice(b"\r\n");
            body.extend_from_slice(data);
            if !data.is_empty() || self.form == Form::Signed {
                body.extend_from_slice(end.as_bytes());
            }
        }
        for trailer in &self.trailers {
            body.extend_from_slice(trailer.as_bytes());
            body.extend_from_slice(b"\r\n");
        }
        if self.form != Form::Signed {
            body.extend_from_slice(b"\r\n");
        }
        body
    }

    /// Sends it whole.
    fn send(&self, address: SocketAddr) -> Answer {
        self.send_body(address, &self.body())
    }

    /// Sends another body with its head.
    fn send_body(&self, address: SocketAddr, body: &[u8]) -> Answer {
        http::exchange(address, &self.signed.head, body).expect("an answer to a PUT")
    }
}

/// Bytes that do not repeat soon.
fn content(size: usize) -> Vec<u8> {
    (0_u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).take(size).collect()
}

#[test]
fn chunks_of_any_size_are_put_together() {
    let server = closed_stage();
    let data = content(300_000);
    let pieces: [&[&[u8]]; 5] = [
        &[],
        &[b"x"],
        &[&data],
        &[&data[..65_536], &data[65_536..131_072], &data[131_072..]],
        &[&data[..8_192], &data[8_192..200_000], &data[200_000..299_999], &data[299_999..]],
    ];
    for form in Form::ALL {
        for pieces in pieces {
            let answer = Upload::new(server.address(), form, "key", pieces).send(server.address());
            assert_eq!(answer.status, 200, "{form:?}: {answer:?}");
            let stored = stored(server.address(), "key");
            assert!(stored.body == pieces.concat(), "{form:?}: {} bytes came back", stored.body.len());
            assert_eq!(stored.header("content-encoding"), None, "{form:?}");
        }
    }
}

#[test]
fn framing_may_arrive_in_pieces() {
    let server = closed_stage();
    let data = content(20_000);
    for form in Form::ALL {
        let upload = Upload::new(server.address(), form, "key", &[&data[..10_000], &data[10_000..]]);
        let body = upload.body();
        let mut connection = Connection::open(server.address());
        let head = format!("{}Content-Length: {}\r\n\r\n", upload.signed.head, body.len());
        connection.send(head.as_bytes()).expect("the server reads");
        for piece in body.chunks(7) {
            connection.send(piece).expect("the server reads");
        }
        let answer = connection.answer(true).expect("an answer");
        assert_eq!(answer.status, 200, "{form:?}: {answer:?}");
        assert!(stored(server.address(), "key").body == data, "{form:?}");
    }
}

/// The code that a spoilt upload must get; an empty one stands for any code of S3's.
type Spoilt = (&'static str, u16, &'static str, fn(&mut Upload));

/// Ways to spoil an upload of two chunks, in the forms whose chunks are signed.
const SPOILT_SIGNED: [Spoilt; 6] = [
    ("a byte of the data", 403, "SignatureDoesNotMatch", |upload| upload.chunks[0].1[17] ^= 1),
    ("a byte of the last chunk", 403, "SignatureDoesNotMatch", |upload| upload.chunks[1].1[0] ^= 1),
    ("chunks in another order", 403, "SignatureDoesNotMatch", |upload| upload.chunks.swap(0, 1)),
    ("the signature of the first chunk", 403, "SignatureDoesNotMatch", |upload| {
        let line = upload.chunks[0].0.split_once('=').map(|(start, _)| start.to_owned());
        upload.chunks[0].0 = format!("{}={EMPTY_SHA256}", line.unwrap_or_default());
    }),
    ("the signature of the empty chunk", 403, "SignatureDoesNotMatch", |upload| {
        upload.chunks[2].0 = format!("0;chunk-signature={EMPTY_SHA256}");
    }),
    ("no signature at all", 0, "", |upload| {
        upload.chunks[0].0 = upload.chunks[0].0.split(';').next().unwrap_or_default().to_owned();
    }),
];

/// Ways to spoil any form.
const SPOILT: [Spoilt; 9] = [
    ("a size that is no number", 400, "", |upload| upload.chunks[0].0.replace_range(0..1, "x")),
    ("a size beyond counting", 400, "", |upload| upload.chunks[0].0.insert_str(0, "ffffffffffffffff")),
    ("a negative size", 400, "", |upload| upload.chunks[0].0.insert(0, '-')),
    ("no size", 400, "", |upload| upload.chunks[0].0.replace_range(0..4, "")),
    ("an endless size line", 400, "", |upload| upload.chunks[0].0.push_str(&";x".repeat(100_000))),
    ("no line end after the data", 400, "", |upload| upload.chunks[0].2 = String::from("XX")),
    ("a bare line feed after the data", 400, "", |upload| upload.chunks[0].2 = String::from("\n")),
    ("a size smaller than the data", 0, "", |upload| upload.chunks[0].1.push(b'x')),
    ("a size larger than the data", 0, "", |upload| upload.chunks[0].1.truncate(9_999)),
];

/// Ways to spoil trailers.
const SPOILT_TRAILERS: [Spoilt; 5] = [
    ("another checksum", 0, "", |upload| {
        upload.trailers[0] = format!("x-amz-checksum-sha256:{}", BASE64_STANDARD.encode([0; 32]));
    }),
    ("a checksum that is none", 0, "", |upload| {
        upload.trailers[0] = String::from("x-amz-checksum-sha256:none");
    }),
    ("no trailer", 0, "", |upload| upload.trailers.clear()),
    ("a trailer that was not announced", 0, "", |upload| {
        upload.trailers[0] = upload.trailers[0].replace("sha256", "sha1");
    }),
    ("an endless trailer", 0, "", |upload| {
        upload.trailers.insert(1, format!("x-amz-more:{}", "x".repeat(200_000)));
    }),
];

#[test]
fn spoilt_framing_is_refused_and_changes_nothing() {
    let server = closed_stage();
    let address = server.address();
    let data = content(20_000);
    let before = Upload::new(address, Form::Signed, "key", &[b"before"]).send(address);
    assert_eq!(before.status, 200, "{before:?}");
    for form in Form::ALL {
        let mut ways = SPOILT.to_vec();
        if form != Form::UnsignedTrailer {
            ways.extend(SPOILT_SIGNED);
        }
        if form != Form::Signed {
            ways.extend(SPOILT_TRAILERS);
        }
        for (name, status, code, spoil) in ways {
            let mut upload = Upload::new(address, form, "key", &[&data[..10_000], &data[10_000..]]);
            spoil(&mut upload);
            let answer = upload.send(address);
            let expected = if status == 0 { answer.status } else { status };
            assert_eq!(answer.status, expected, "{form:?} with {name}: {answer:?}");
            assert!((400..500).contains(&answer.status), "{form:?} with {name}: {answer:?}");
            let got = answer.code();
            assert!(!got.is_empty() && (code.is_empty() || got == code), "{form:?} with {name}: {answer:?}");
            assert_eq!(stored(address, "key").text(), "before", "{form:?} with {name}");
            serves_on(&server, name);
        }
    }
}

#[test]
fn a_wrong_trailing_checksum_is_a_bad_digest_and_a_wrong_trailer_signature_is_none() {
    let server = closed_stage();
    let address = server.address();
    let mut unsigned = Upload::new(address, Form::UnsignedTrailer, "key", &[b"data"]);
    unsigned.trailers[0] = format!("x-amz-checksum-sha256:{}", BASE64_STANDARD.encode([0; 32]));
    let answer = unsigned.send(address);
    assert_eq!((answer.status, answer.code().as_str()), (400, "BadDigest"), "{answer:?}");
    let mut signed = Upload::new(address, Form::SignedTrailer, "key", &[b"data"]);
    signed.trailers[1] = format!("x-amz-trailer-signature:{EMPTY_SHA256}");
    let answer = signed.send(address);
    assert_eq!((answer.status, answer.code().as_str()), (403, "SignatureDoesNotMatch"), "{answer:?}");
    assert_eq!(stored(address, "key").status, 404);
}

#[test]
fn a_body_that_ends_early_late_or_at_another_length_changes_nothing() {
    let server = closed_stage();
    let address = server.address();
    let data = content(9_000);
    for form in Form::ALL {
        for length in [0, 8_999, 9_001, 1_000_000] {
            let answer = Upload::announcing(address, form, "key", &[&data], length).send(address);
            assert_eq!(answer.status, 400, "{form:?} announcing {length}: {answer:?}");
            let wanted = if length > 9_000 { "IncompleteBody" } else { "" };
            assert!(wanted.is_empty() || answer.code() == wanted, "{form:?} announcing {length}: {answer:?}");
        }
        let upload = Upload::new(address, form, "key", &[&data]);
        let body = upload.body();
        for end in [0, 1, 50, 5_000, 9_000, body.len() - 100, body.len() - 3] {
            let answer = upload.send_body(address, &body[..end]);
            assert_eq!(answer.status, 400, "{form:?} cut at {end}: {answer:?}");
        }
        let answer = upload.send_body(address, &[&body[..], b"more"].concat());
        assert_eq!(answer.status, 400, "{form:?} with more: {answer:?}");
        assert_eq!(stored(address, "key").status, 404, "{form:?}");
    }
    serves_on(&server, "bodies of another length");
}

#[test]
fn a_decoded_length_must_be_announced() {
    let server = closed_stage();
    let address = server.address();
    for (headers, status) in [
        (vec![("content-encoding", "aws-chunked")], 411),
        (vec![("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", "ten")], 411),
        (vec![("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", "-1")], 411),
    ] {
        let signed = Signed::new(address, "PUT", &format!("/{BUCKET}/key"), &headers, Form::Signed.payload());
        let chunk = format!("0;chunk-signature={}\r\n\r\n", signed.chunk(&signed.signature, b""));
        let answer = http::exchange(address, &signed.head, chunk.as_bytes()).expect("an answer");
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }
    assert_eq!(stored(address, "key").status, 404);
}
