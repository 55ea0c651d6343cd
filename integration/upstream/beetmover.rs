//! push-to-releases where the candidates exist only upstream, and where upstream has the very release
//! that is rehearsed here.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};
use serde_json::Value;

use super::headers::assert_clean;
use super::hostile::{File, Hostile};
use super::python;
use super::server::{Server, Setup};
use super::stage::{PRODUCTION, content};

const VERSION: &str = "141.0";
const CANDIDATES: &str = "pub/firefox/candidates/141.0-candidates/build1/";
const RELEASES: &str = "pub/firefox/releases/141.0/";
/// What is pushed.
const PUSHED: [&str; 6] = [
    "SHA512SUMS",
    "linux-x86_64/en-US/firefox-141.0.tar.xz",
    "mac/de/Firefox 141.0.dmg",
    "update/win64/de/firefox-141.0.complete.mar",
    "win64/de/Firefox Setup 141.0.exe",
    "win64/de/Firefox Setup 141.0.exe.asc",
];
/// What beetmover by S3 leaves in the candidates.
const LEFT: [&str; 3] = [
    "win64/de/firefox-141.0.zip",
    "win64/de/firefox-141.0.checksums",
    "linux-x86_64/en-US/firefox-141.0.txt",
];

/// Production has build1 of the version, a newer build, and a release of the version with other bytes.
fn production() -> (Hostile, BTreeMap<String, String>) {
    let upstream = Hostile::start();
    let mut digests = BTreeMap::new();
    for (seed, name) in (0..).zip(PUSHED.iter().chain(&LEFT)) {
        let bytes = content(seed, 100_000);
        digests.insert(format!("{CANDIDATES}{name}"), hex::encode(Md5::digest(&bytes)));
        let file = File::new(bytes).header("Cache-Control", "public, max-age=14400");
        upstream.put(format!("{PRODUCTION}/{CANDIDATES}{name}"), file);
        upstream.put(format!("{PRODUCTION}/{RELEASES}{name}"), File::new(*b"production's own"));
        let newer = CANDIDATES.replace("build1", "build2");
        upstream.put(format!("{PRODUCTION}/{newer}{name}"), File::new(*b"a newer build"));
    }
    upstream.put(format!("{PRODUCTION}/{RELEASES}only/in/production"), File::new(*b"production's own"));
    (upstream, digests)
}

fn server(upstream: &Hostile, bucket: &str, mode: &str) -> Server {
    let config = format!(
        "[[bucket]]\nname = \"{bucket}\"\n[[bucket.fallback]]\nmatch = \"pub/**\"\nmode = \"{mode}\"\n{}\n\
         [release]\nunder_test = [\"firefox-{VERSION}-build2\"]\n",
        super::stage::s3_place(upstream, "")
    );
    let args = vec!["--anonymous".into(), "read-write".into()];
    Server::start(&Setup { config: Some(config), args, ..Setup::default() })
}

/// Pushes by a program, then looks at what production was asked.
fn push(program: &str, bucket: &str, mode: &str, left: &[&str]) -> Value {
    let (upstream, mut digests) = production();
    if left.is_empty() {
        // Today's beetmover is given what it pushes; the list of what it leaves is not its own.
        for name in LEFT {
            digests.remove(&format!("{CANDIDATES}{name}"));
            upstream.remove(&format!("{PRODUCTION}/{CANDIDATES}{name}"));
        }
    }
    let left: Vec<_> = left.iter().map(|name| format!("{CANDIDATES}{name}")).collect();
    let server = server(&upstream, bucket, mode);
    let facts = serde_json::json!({
        "candidates": CANDIDATES, "releases": RELEASES, "version": VERSION, "build": 1,
        "md5": digests, "left": left,
    });
    let path = server.scratch().join("facts.json");
    std::fs::write(&path, facts.to_string()).expect("the scratch folder is writable");
    let path = path.to_str().expect("temporary folders have names of plain text");
    let report = python::run(&server, program, &[path]);

    let seen = upstream.take_seen();
    for seen in &seen {
        assert_clean(seen, false);
    }
    for seen in &seen {
        let path = seen.path();
        assert!(
            !path.contains(RELEASES) && !path.contains("build2"),
            "the release under test was asked for: {seen:?}"
        );
    }
    for name in PUSHED {
        let path = format!("{PRODUCTION}/{CANDIDATES}{name}");
        let fetches = seen.iter().filter(|seen| seen.method == "GET" && seen.path() == path).count();
        assert_eq!(fetches, 1, "{mode}: fetches of {name}");
    }
    report
}

#[test]
fn unmodified_beetmover_pushes_candidates_that_only_production_has() {
    for mode in ["redirect", "cache"] {
        let report = push("upstream_beetmover.py", "stage-firefox", mode, &LEFT);
        assert_eq!(
            (&report["version"], &report["copied"]),
            (&"8.5.6".into(), &PUSHED.len().into()),
            "{mode}"
        );
    }
}

#[test]
fn todays_calls_of_beetmover_push_candidates_that_only_production_has() {
    for mode in ["redirect", "cache"] {
        let report = push("upstream_gcs_beetmover.py", "stage-product", mode, &[]);
        assert_eq!(report["copied"], PUSHED.len(), "{mode}");
    }
}
