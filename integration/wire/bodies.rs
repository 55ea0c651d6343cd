//! Bodies as such: announced, awaited, cut off, of another digest than they say.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::http::{Connection, exchange, get};
use super::sigv4::{EMPTY_SHA256, Signed, sha256};
use super::{BUCKET, Server, closed_stage, open_stage, serves_on, stored};

/// The MD5 of nothing, as Content-MD5 has it.
const EMPTY_MD5: &str = "1B2M2Y8AsgTpgAmY7PhCfg==";

/// Sends a head with `Expect: 100-continue` and gives back the connection.
fn expecting(server: &Server, head: &str, length: u64) -> Connection {
    let mut connection = Connection::open(server.address());
    let head = format!("{head}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n");
    connection.send(head.as_bytes()).expect("the server reads");
    connection
}

#[test]
fn a_body_is_asked_for_when_it_is_wanted() {
    let server = closed_stage();
    let signed = Signed::new(server.address(), "PUT", &format!("/{BUCKET}/key"), &[], &sha256(b"body"));
    let mut connection = expecting(&server, &signed.head, 4);
    let interim = connection.head().expect("an interim answer");
    assert_eq!(interim.status, 100, "{interim:?}");
    connection.send(b"body").expect("the server reads");
    let answer = connection.answer(true).expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(stored(server.address(), "key").text(), "body");
}

#[test]
fn a_body_that_will_be_refused_is_not_asked_for() {
    let server = closed_stage();
    let address = server.address();
    let host = format!("Host: {address}\r\n");
    let path = format!("/{BUCKET}/key");
    let sign = |path: &str, headers: &[(&str, &str)]| {
        Signed::new(address, "PUT", path, headers, "UNSIGNED-PAYLOAD").head
    };
    for (name, head, length, status, code) in [
        ("no signature", format!("PUT {path} HTTP/1.1\r\n{host}"), 1000, 403, "AccessDenied"),
        ("an unknown bucket", sign("/no-such-bucket/key", &[]), 1000, 404, "NoSuchBucket"),
        ("no digest", sign(&path, &[("content-md5", "nonsense")]), 1000, 400, "InvalidDigest"),
        ("a body beyond S3's limit", sign(&path, &[]), 6 << 30, 400, "EntityTooLarge"),
        (
            "an unknown upload",
            sign(&format!("{path}?partNumber=1&uploadId=none"), &[]),
            1000,
            404,
            "NoSuchUpload",
        ),
    ] {
        let mut connection = expecting(&server, &head, length);
        let answer = connection.answer(true).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{name}: {answer:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{name}: {answer:?}");
    }
    let mut connection = Connection::open(address);
    let head = sign(&path, &[]);
    connection
        .send(format!("{head}Expect: miracles\r\nContent-Length: 4\r\n\r\nbody").as_bytes())
        .expect("sent");
    let answer = connection.answer(true).expect("an answer");
    assert!([200, 417].contains(&answer.status), "{answer:?}");
    serves_on(&server, "refused expectations");
}

/// botocore before 1.44 and every aws-cli of its time: a final answer where 100 was expected makes
/// them misread the next answer on the same connection, so there must be none.
#[test]
fn an_expectation_without_a_body_is_met_or_the_connection_ends() {
    let server = closed_stage();
    let signed = Signed::new(server.address(), "PUT", &format!("/{BUCKET}/empty"), &[], EMPTY_SHA256);
    let mut connection = expecting(&server, &signed.head, 0);
    let mut answer = connection.answer(true).expect("an answer");
    let was_met = answer.status == 100;
    if was_met {
        answer = connection.answer(true).expect("a final answer");
    }
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(was_met || answer.header("connection") == Some("close"), "{answer:?}");
}

#[test]
fn a_body_that_is_cut_off_changes_nothing() {
    let server = open_stage();
    let address = server.address();
    let put = exchange(address, &format!("PUT /{BUCKET}/key HTTP/1.1\r\n"), b"before").expect("an answer");
    assert_eq!(put.status, 200, "{put:?}");
    for (announced, sent) in [(1, 0), (1000, 500), (100_000, 99_999), (10_000_000, 5_000_000)] {
        let head =
            format!("PUT /{BUCKET}/key HTTP/1.1\r\nHost: {address}\r\nContent-Length: {announced}\r\n\r\n");
        let mut connection = Connection::open(address);
        connection.send(head.as_bytes()).expect("the server reads");
        connection.send(&vec![b'x'; sent]).expect("the server reads");
        connection.finish_sending().expect("the connection is open");
        // It may say so, or hang up as the client did.
        if let Ok(answer) = connection.answer(true) {
            assert_eq!(answer.status, 400, "{sent} of {announced}: {answer:?}");
        }
        assert_eq!(get(address, &format!("/{BUCKET}/key")).text(), "before", "{sent} of {announced}");
    }
    // Gone without a word: the log says when the server has noticed.
    let head =
        format!("PUT /{BUCKET}/abandoned HTTP/1.1\r\nHost: {address}\r\nContent-Length: 200000\r\n\r\n");
    let mut connection = Connection::open(address);
    connection.send(head.as_bytes()).expect("the server reads");
    connection.send(&vec![b'x'; 100_000]).expect("the server reads");
    drop(connection);
    let noticed = server
        .journal()
        .wait_for(|lines, _| lines.iter().any(|line| line.contains("\"abandoned\"")).then_some(()));
    assert!(noticed.is_some(), "the request that was abandoned is logged");
    assert_eq!(get(address, &format!("/{BUCKET}/abandoned")).status, 404);
    serves_on(&server, "bodies cut off");
}

#[test]
fn another_digest_than_was_announced_is_refused() {
    let server = closed_stage();
    let address = server.address();
    let path = format!("/{BUCKET}/key");
    let crc32 = BASE64_STANDARD.encode(0_u32.to_be_bytes());
    for (name, headers, payload, code) in [
        ("Content-MD5", vec![("content-md5", EMPTY_MD5)], sha256(b"body"), "BadDigest"),
        ("x-amz-content-sha256", vec![], EMPTY_SHA256.to_owned(), "XAmzContentSHA256Mismatch"),
        ("x-amz-checksum-crc32", vec![("x-amz-checksum-crc32", &crc32[..])], sha256(b"body"), "BadDigest"),
    ] {
        let signed = Signed::new(address, "PUT", &path, &headers, &payload);
        let answer = exchange(address, &signed.head, b"body").expect("an answer");
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{name}: {answer:?}");
        assert_eq!(stored(address, "key").status, 404, "{name}");
    }
}

#[test]
fn a_put_without_a_length_needs_one() {
    let server = open_stage();
    let address = server.address();
    let host = format!("Host: {address}\r\n");
    let upload = begun_upload(address);
    for target in [format!("/{BUCKET}/key"), format!("/{BUCKET}/key?partNumber=1&uploadId={upload}")] {
        // S3: the encoding is refused by its name (aws-sdk-go issue 4944 for PutObject, awssum issue 30
        // for UploadPart, irods_resource_plugin_s3 issue 2301 in July 2026).
        for (framing, status, code) in [
            ("\r\n", 411, "MissingContentLength"),
            ("Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", 501, "NotImplemented"),
        ] {
            let mut connection = Connection::open(address);
            let request = format!("PUT {target} HTTP/1.1\r\n{host}{framing}");
            connection.send(request.as_bytes()).expect("the server reads");
            let answer = connection.answer(true).expect("an answer");
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{request:?}: {answer:?}");
            let names_it = answer.text().contains("<Header>Transfer-Encoding</Header>");
            assert_eq!(names_it, status == 501, "{request:?}: {answer:?}");
        }
    }
    assert_eq!(stored(address, "key").status, 404, "nothing was kept");
}

/// Begins an upload of `key`, and gives its id.
fn begun_upload(address: SocketAddr) -> String {
    let head = format!("POST /{BUCKET}/key?uploads HTTP/1.1\r\nHost: {address}\r\n");
    let answer = exchange(address, &head, b"").expect("an answer").text();
    let id = answer.split_once("<UploadId>").and_then(|(_, rest)| rest.split_once('<'));
    id.expect("an id").0.to_owned()
}

#[test]
fn a_refused_body_is_not_taken_for_the_next_request() {
    let server = closed_stage();
    let address = server.address();
    let smuggled = format!("GET /__version__ HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut connection = Connection::open(address);
    let head = format!(
        "PUT /{BUCKET}/key HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n",
        smuggled.len()
    );
    connection.send(format!("{head}{smuggled}").as_bytes()).expect("the server reads");
    let answer = connection.answer(true).expect("an answer");
    assert_eq!((answer.status, answer.code().as_str()), (403, "AccessDenied"), "{answer:?}");
    // A second request is answered as itself, or the connection is over: nothing else may come.
    let second = format!("GET /{BUCKET}/second HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    if connection.send(second.as_bytes()).is_ok()
        && let Ok(answer) = connection.answer(true)
    {
        assert_eq!((answer.status, answer.code().as_str()), (403, "AccessDenied"), "{answer:?}");
        assert!(answer.text().contains("second"), "{answer:?}");
    }
}

#[test]
fn requests_in_one_packet_are_answered_in_order() {
    let server = open_stage();
    let address = server.address();
    exchange(address, &format!("PUT /{BUCKET}/key HTTP/1.1\r\n"), b"body").expect("an answer");
    let ask = |method: &str, more: &str| {
        format!("{method} /{BUCKET}/key HTTP/1.1\r\nHost: {address}\r\n{more}\r\n")
    };
    let mut connection = Connection::open(address);
    let all = [
        ask("HEAD", ""),
        ask("GET", "If-None-Match: *\r\n"),
        ask("GET", "Range: bytes=1-2\r\n"),
        ask("GET", ""),
    ];
    connection.send(all.concat().as_bytes()).expect("the server reads");
    for (has_body, status, body) in
        [(false, 200, ""), (true, 304, ""), (true, 206, "od"), (true, 200, "body")]
    {
        let answer = connection.answer(has_body).expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{answer:?}");
    }
}

/// Release scripts grep for `Location` and `Content-Range`; boto3 takes the names of user metadata as
/// they are spelled on the wire, and S3 spells them in lower case.
#[test]
fn header_names_go_out_in_title_case_but_for_user_metadata() {
    let server = open_stage();
    let address = server.address();
    let head =
        format!("PUT /{BUCKET}/key HTTP/1.1\r\nCache-Control: no-store\r\nX-Amz-Meta-Some-Name: 1\r\n");
    exchange(address, &head, b"body").expect("an answer");
    for target in [format!("/{BUCKET}/key"), format!("/{BUCKET}/none"), format!("/{BUCKET}")] {
        let answer =
            exchange(address, &format!("GET {target} HTTP/1.1\r\nRange: bytes=0-1\r\n"), b"").expect("sent");
        let (amazon, standard): (Vec<_>, Vec<_>) = answer
            .headers
            .iter()
            .map(|(name, _)| &name[..])
            .partition(|name| name.to_lowercase().starts_with("x-"));
        for name in standard {
            let titled =
                name.split('-').all(|word| word.starts_with(|first: char| first.is_ascii_uppercase()));
            assert!(titled, "{name} of {target}");
        }
        let is_metadata = |name: &&str| name.to_lowercase().starts_with("x-amz-meta-");
        let metadata: Vec<_> = amazon.into_iter().filter(is_metadata).collect();
        let wanted: &[&str] = if target.ends_with("/key") { &["x-amz-meta-some-name"] } else { &[] };
        assert_eq!(metadata, wanted, "{target}");
    }
}
