//! aws-chunked bodies: however the bytes are cut into fragments, they decode to the same thing, and
//! never to more than was announced.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use understudy::sigv4::chunked::{Announced, DecodeError, Decoder};

const LENGTH: u64 = 64;

fn decode<'a>(fragments: impl Iterator<Item = &'a [u8]>) -> Result<Vec<u8>, DecodeError> {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-decoded-content-length", HeaderValue::from(LENGTH));
    headers.insert("x-amz-trailer", HeaderValue::from_static("x-amz-checksum-crc32"));
    let mut decoder = Decoder::unsigned(Announced::read(&headers).expect("both headers are right"));
    let mut content = Vec::new();
    for fragment in fragments {
        let mut fragment = Bytes::copy_from_slice(fragment);
        while let Some(piece) = decoder.decode(&mut fragment)? {
            content.extend_from_slice(&piece);
            assert!(content.len() as u64 <= LENGTH, "more than was announced");
        }
    }
    decoder.finish().map(|_| content)
}

/// The first byte is the length of the fragments.
pub(crate) fn run(data: &[u8]) {
    let Some((cut, body)) = data.split_first() else { return };
    let whole = decode(std::iter::once(body)).ok();
    let pieces = decode(body.chunks(usize::from(*cut).max(1))).ok();
    assert_eq!(whole, pieces);
}
