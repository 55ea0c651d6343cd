//! `fsck --scrub`: flipped bits are found while the stage serves, and on a folder that nobody serves.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use super::http::{exchange, get};
use super::server::{PATIENCE, Server, Setup};
use super::{text, understudy};

fn scrub(folder: &std::path::Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let arguments: Vec<&str> = ["fsck", "--scrub", "--json"].iter().chain(arguments).copied().collect();
    let output = understudy(&arguments, &[("UNDERSTUDY_DATA_DIR", folder)]);
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or_else(|error| panic!("{error}: {output:?}")))
}

/// The largest blob.
fn largest(folder: &std::path::Path) -> PathBuf {
    let below = |folder: PathBuf| -> Vec<PathBuf> {
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    };
    let files = below(folder.join("blobs")).into_iter().flat_map(below);
    files.max_by_key(|path| path.metadata().expect("it is there").len()).expect("a blob")
}

#[test]
fn a_scrub_finds_flipped_bits_while_the_stage_serves_and_when_it_does_not() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut setup = Setup::with_buckets(&["stage"]);
    setup.args.extend(["--anonymous".into(), "read-write".into()]);
    setup.data_dir = Some(folder.path().to_path_buf());
    setup.environment.push(("UNDERSTUDY_VERIFY_READS", "off".into()));
    let mut server = Server::start(&setup);
    for (key, size) in [("small", 10), ("large", 300_000), ("largest", 3_000_000)] {
        let line = format!("PUT /stage/{key} HTTP/1.1\r\n");
        let answer = exchange(server.address(), &line, &vec![b'x'; size]).expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let (code, clean) = scrub(folder.path(), &[]);
    assert_eq!((code, &clean["blobs"], &clean["bytes"]), (Some(0), &3.into(), &3_300_010.into()), "{clean}");
    assert_eq!(clean["findings"], serde_json::json!([]));

    let blob = largest(folder.path());
    let snapshot = understudy(&["snapshot", "create", "before"], &[("UNDERSTUDY_DATA_DIR", folder.path())]);
    assert!(snapshot.status.success(), "{snapshot:?}");
    let file = File::options().write(true).open(&blob).expect("our own");
    file.write_all_at(b"y", 2_500_000).expect("flipped");
    assert_eq!(get(server.address(), "/stage/largest").status, 200, "nobody looks");
    let expected = |found: &Value| {
        let [finding] = found["findings"].as_array().expect("a list").as_slice() else { panic!("{found}") };
        assert_eq!(finding["finding"], "wrong-digest", "{found}");
        let name = blob.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(finding["blob"].as_str().expect("text").ends_with(name), "{found}");
    };
    let (code, found) = scrub(folder.path(), &["--rate", "100MiB/s"]);
    assert_eq!(code, Some(1), "{found}");
    expected(&found);
    assert_eq!(found["findings"][0]["objects"][0]["key"], "largest", "{found}");
    assert!(get(server.address(), "/__heartbeat__").text().contains("\"blobs\":\"warning\""));

    // What only a snapshot has is read too, and only once.
    let gone = exchange(server.address(), "DELETE /stage/largest HTTP/1.1\r\n", b"").expect("an answer");
    assert_eq!(gone.status, 204, "{gone:?}");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, found) = scrub(folder.path(), &[]);
        expected(&found);
        // The sweep comes a moment after the deletion.
        if found["findings"][0]["snapshot"] == "before" {
            break;
        }
        assert!(Instant::now() < deadline, "{found}");
    }
    server.signal(Signal::TERM);
    server.wait();
    let (code, found) = scrub(folder.path(), &[]);
    assert_eq!(code, Some(1), "{found}");
    expected(&found);

    file.write_all_at(b"x", 2_500_000).expect("mended");
    assert_eq!(scrub(folder.path(), &[]).0, Some(0));
    for arguments in [&["fsck", "--scrub", "--repair"][..], &["fsck", "--rate", "1MiB/s"]] {
        let refused = understudy(arguments, &[("UNDERSTUDY_DATA_DIR", folder.path())]);
        assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    }
}
