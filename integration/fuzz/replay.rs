//! What is fuzzed, on its seeds: each as it is, cut off at every place, and damaged byte by byte. It
//! finds little that is new, and keeps the cases true to the code.

mod cases;

use std::fs;
use std::path::Path;

/// Bytes that parsers trip over.
const ODD: [u8; 5] = [b'%', b'\n', 0x00, 0xff, b'9'];

/// Runs a case on its seeds; of every `step` places one is cut off and damaged.
fn replay(name: &str, step: usize, case: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/fuzz/seeds").join(name);
    let mut seeds = 0;
    for entry in fs::read_dir(&folder).expect("a folder of seeds") {
        let seed = fs::read(entry.expect("a readable entry").path()).expect("a readable seed");
        seeds += 1;
        case(&seed);
        for (round, place) in (0..seed.len()).step_by(step).enumerate() {
            case(&seed[..place]);
            let mut damaged = seed.clone();
            damaged[place] = ODD[round % ODD.len()];
            case(&damaged);
        }
    }
    assert!(seeds > 0, "no seeds in {}", folder.display());
}

#[test]
fn chunked_bodies() {
    replay("chunked", 1, cases::chunked::run);
}

#[test]
fn multipart_bodies_of_gcs() {
    replay("gcs_multipart", 2, cases::gcs_multipart::run);
}

#[test]
fn releases() {
    replay("release", 1, cases::release::run);
}

#[test]
fn requests() {
    replay("request", 3, cases::request::run);
}

#[test]
fn signatures() {
    replay("signature", 1, cases::signature::run);
}

#[test]
fn documents() {
    replay("xml", 1, cases::xml::run);
}

/// Otherwise the signed requests would only show that refusals do no harm.
#[test]
fn the_stage_takes_a_credential_of_each_kind() {
    use cases::sign::{Kind, signed};
    use cases::stage::{Door, exchange, status};

    let (s3, gcs, admin) = (
        "PUT /stage/signed?x-id=PutObject",
        "GET /storage/v1/b/stage/o?prefix=a%2Fb",
        "GET /-/api/v1/receipt",
    );
    for (kind, line) in [
        (Kind::V4Header, s3),
        (Kind::V4Header, "GET /stage?list-type=2&prefix=a%2F%C3%A9&delimiter=%2F"),
        (Kind::V4Header, admin),
        (Kind::V4Query, s3),
        (Kind::V2Header, s3),
        (Kind::V2Query, s3),
        (Kind::Bearer, gcs),
        (Kind::Basic, admin),
    ] {
        let head = "Host: localhost:8000\r\nx-amz-meta-a:  b  c\r\nContent-Length: 0\r\n\r\n";
        let request = format!("{line} HTTP/1.1\r\n{head}").into_bytes();
        let answer = exchange(Door::Closed, &signed(kind, &request).expect("it can be signed"));
        assert_eq!(status(&answer), b"200", "{kind:?} {line}: {}", String::from_utf8_lossy(&answer));
        let refused = exchange(Door::Closed, &request);
        assert!(matches!(status(&refused), b"401" | b"403"), "{line}: {}", String::from_utf8_lossy(&refused));
    }
}
