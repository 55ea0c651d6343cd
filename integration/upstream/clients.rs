//! boto3, aws-cli, google-cloud-storage and curl under `auto`.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};

use super::headers::assert_clean;
use super::hostile::{File, Hostile};
use super::python;
use super::stage::{BUCKET, PRODUCTION, content, s3, stage};

const LARGE: &str = "pub/large.mar";
const SINGLE: [&str; 2] = ["pub/Firefox Setup 82.0 +%.exe", "pub/firefox/releases/82.0/SHA512SUMS"];
const TREE: &str = "pub/tree/";

#[test]
fn real_clients_read_and_sync_what_only_production_has() {
    let upstream = Hostile::start();
    let mut digests = BTreeMap::new();
    let mut add = |key: &str, bytes: Vec<u8>| {
        digests.insert(key.to_owned(), hex::encode(Md5::digest(&bytes)));
        upstream.put(format!("{PRODUCTION}/{key}"), File::new(bytes));
    };
    add(LARGE, content(1, 5_000_001));
    for (seed, key) in (2..).zip(SINGLE) {
        add(key, content(seed, 100_000));
    }
    for number in 0..12 {
        add(&format!("{TREE}{}/file {number} é+.txt", number % 3), content(number, 30_000));
    }
    // What is written here goes over one of production's.
    let mut local: Vec<_> = (0..12).map(|number| format!("{TREE}{}/local {number}", number % 4)).collect();
    local.push(format!("{TREE}0/file 0 é+.txt"));

    let server = stage(&s3(&upstream, "auto"));
    let facts = serde_json::json!({
        "bucket": BUCKET, "large": LARGE, "single": SINGLE, "tree": TREE, "local": local, "md5": digests,
    });
    let path = server.scratch().join("facts.json");
    std::fs::write(&path, facts.to_string()).expect("the scratch folder is writable");
    let path = path.to_str().expect("temporary folders have names of plain text");
    let report = python::run(&server, "upstream_clients.py", &[path]);
    assert_eq!(report["redirects"], 4, "curl follows, the others need not: {report}");
    assert_eq!(report["synced"], 24, "{report}");
    let seen = upstream.take_seen();
    assert!(
        seen.iter()
            .any(|seen| seen.path() == format!("{PRODUCTION}/{LARGE}") && seen.header("range").is_some())
    );
    // curl came by itself, and says so.
    let ours =
        seen.iter().filter(|seen| !seen.header("user-agent").is_some_and(|agent| agent.starts_with("curl/")));
    ours.for_each(|seen| assert_clean(seen, false));
}
