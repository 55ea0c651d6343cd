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
