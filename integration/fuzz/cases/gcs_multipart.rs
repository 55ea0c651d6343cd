//! Uploads and batches of several parts: however the bytes are cut into fragments, the answer is the
//! same, and an upload that is taken has the bytes that a naive reader finds in it.

use std::fmt::Write as _;

use super::stage::{Door, assert_no_fault, exchange, status};

/// The first line is the `Content-Type` behind `multipart/`, the next byte the length of the
/// fragments, and the rest the body. `related` is an upload, anything else a batch.
pub(crate) fn run(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let Ok(kind) = str::from_utf8(&data[..end]) else { return };
    let Some((cut, body)) = data[end + 1..].split_first() else { return };
    let kind = kind.trim();
    if kind.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return;
    }
    let target = if kind.starts_with("related") {
        "/upload/storage/v1/b/stage/o?uploadType=multipart&fields=size,md5Hash,name"
    } else {
        "/batch/storage/v1"
    };
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: localhost:8000\r\nContent-Type: multipart/{kind}\r\n");
    let whole = send(&head, std::iter::once(body), Some(body.len()));
    let pieces = send(&head, body.chunks(usize::from(*cut).max(1)), None);
    assert_eq!(status(&whole), status(&pieces), "{}", data.escape_ascii());
    if status(&whole) != b"200" || !kind.starts_with("related") {
        return;
    }
    assert_eq!(document(&whole), document(&pieces), "{}", data.escape_ascii());
    if let Some(content) = naive(kind, body) {
        let size = format!("\"size\": \"{}\"", content.len());
        let text = String::from_utf8_lossy(document(&whole)).replace("\":\"", "\": \"");
        assert!(text.contains(&size), "{text} instead of {size}: {}", data.escape_ascii());
    }
}

fn send<'a>(head: &str, pieces: impl Iterator<Item = &'a [u8]>, length: Option<usize>) -> Vec<u8> {
    let mut request = head.to_owned();
    match length {
        Some(length) => write!(request, "Content-Length: {length}\r\n\r\n"),
        None => write!(request, "Transfer-Encoding: chunked\r\n\r\n"),
    }
    .expect("a String takes everything");
    let mut request = request.into_bytes();
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        match length {
            Some(_) => request.extend_from_slice(piece),
            None => request.extend([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()),
        }
    }
    if length.is_none() {
        request.extend_from_slice(b"0\r\n\r\n");
    }
    let answer = exchange(Door::Open, &request);
    assert_no_fault(&request, &answer);
    answer
}

fn document(answer: &[u8]) -> &[u8] {
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n");
    at.map_or(&[], |at| &answer[at + 4..])
}

/// The bytes of the second part of a body as tidy clients write it: CR LF everywhere, a plain
/// boundary, and no other line that begins like one.
fn naive<'a>(kind: &str, body: &'a [u8]) -> Option<&'a [u8]> {
    let boundary = kind.strip_prefix("related; boundary=")?;
    if boundary.is_empty() || !boundary.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let delimiter = format!("\r\n--{boundary}");
    let found = |text: &[u8]| text.windows(delimiter.len()).position(|window| window == delimiter.as_bytes());
    let rest = body.strip_prefix(format!("--{boundary}\r\n").as_bytes())?;
    let rest = &rest[found(rest)? + delimiter.len()..];
    let rest = rest.strip_prefix(b"\r\n")?;
    let head = rest.windows(4).position(|window| window == b"\r\n\r\n")?;
    // A head without an end of its own is read differently, and so are bare line feeds.
    if rest.starts_with(b"\r\n") || rest[..head].windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r') {
        return None;
    }
    let content = &rest[head + 4..];
    // A delimiter within the head ends nothing: it is no header.
    let end = found(content)?;
    content[end + delimiter.len()..].starts_with(b"--").then(|| &content[..end])
}
