//! A field of small objects that are all there or all gone: what a restore brings back at once.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};

use super::aimed::BUCKET;
use super::content::Content;
use super::http::Connection;
use super::writer::ask;

/// As many as one request can delete.
const OBJECTS: u64 = 1_000;

fn content(number: u64) -> Content {
    Content { seed: 9_000 + number, size: 200, in_parts: false }
}

/// Puts all of it.
pub(crate) fn sow(address: SocketAddr) {
    std::thread::scope(|scope| {
        for first in 0..8 {
            scope.spawn(move || {
                let mut connection = Connection::open(address);
                for number in (first..OBJECTS).step_by(8) {
                    let line = format!("PUT /{BUCKET}/field/{number}");
                    ask(&mut connection, &line, "", &content(number).bytes()).expect("the server lives");
                }
            });
        }
    });
}

/// Deletes all of it in one request.
pub(crate) fn clear(address: SocketAddr) {
    let objects: String = (0..OBJECTS)
        .map(|number| format!("<Object><Key>field/{number}</Key></Object>"))
        .collect::<Vec<_>>()
        .concat();
    let body = format!("<Delete><Quiet>true</Quiet>{objects}</Delete>");
    let digest = format!("Content-MD5: {}\r\n", BASE64_STANDARD.encode(Md5::digest(&body)));
    let mut connection = Connection::open(address);
    let answer = ask(&mut connection, &format!("POST /{BUCKET}?delete"), &digest, body.as_bytes());
    let text = answer.expect("the server lives").text();
    assert!(!text.contains("<Error>"), "{text}");
}

/// Reads every object, or a few of them, and compares its bytes. Says whether they are there: either all are
/// or none is.
pub(crate) fn is_there(address: SocketAddr, reads_all: bool, when: &str) -> bool {
    let mut connection = Connection::open(address);
    let (mut present, step) = (0, if reads_all { 1 } else { 50 });
    for number in (0..OBJECTS).step_by(step) {
        let request = format!("GET /{BUCKET}/field/{number} HTTP/1.1\r\nHost: stage\r\n\r\n");
        connection.send(request.as_bytes()).expect("the server reads");
        let answer = connection.answer(true).expect("an answer");
        match answer.status {
            200 => assert!(answer.body == content(number).bytes(), "{when}: field/{number} has other bytes"),
            status => assert_eq!(status, 404, "{when}: field/{number}"),
        }
        present += u64::from(answer.status == 200);
    }
    let looked_at = OBJECTS / step as u64;
    assert!(
        present == 0 || present == looked_at,
        "{when}: {present} of {looked_at} objects of the field are there"
    );
    present > 0
}
