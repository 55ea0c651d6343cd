//! Stages that are rewound, forked, and returned with a receipt and an export.

use serde_json::Value;

use super::engine::{docker, engine_answers, run};
use super::http;
use super::shelf::{CATALOGUE, Name, checked_out, done};

/// Whether the image has snapshots; one that was named by hand may be older.
#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
fn has_snapshots(name: &Name) -> bool {
    let asked = run(&["exec", &name.thing(), "/app/understudy", "snapshot", "list"]);
    let named = std::env::var_os("UNDERSTUDY_TEST_IMAGE").is_some();
    assert!(asked.status.success() || named, "{}", String::from_utf8_lossy(&asked.stderr));
    if !asked.status.success() {
        eprintln!("not run: the image of UNDERSTUDY_TEST_IMAGE has no snapshots");
    }
    asked.status.success()
}

fn put(name: &Name, key: &str, content: &str) {
    let line = format!("PUT /one/{key} HTTP/1.1\r\n");
    let answer = http::exchange(name.address(), &line, content.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn read(name: &Name, key: &str) -> (u16, String) {
    let answer = http::get(name.address(), &format!("/one/{key}"));
    (answer.status, if answer.status == 200 { answer.text() } else { String::new() })
}

#[test]
fn a_stage_is_rewound_forked_and_returned() {
    if !engine_answers() {
        return;
    }
    let (name, fork) = (Name::new("first"), Name::new("fork"));
    checked_out(&name, CATALOGUE, &[]);
    if !has_snapshots(&name) {
        return;
    }
    // Large enough to be a file of its own.
    let large = "x".repeat(200_000);
    put(&name, "large", &large);
    put(&name, "small", "one");
    docker(&["exec", &name.thing(), "/app/understudy", "snapshot", "create", "after-one"]);
    put(&name, "small", "two");

    checked_out(&fork, CATALOGUE, &["--from", &format!("{}@after-one", name.as_str())]);
    assert_eq!(read(&fork, "large"), (200, large.clone()));
    assert_eq!(read(&fork, "small"), (200, "one".to_owned()));
    let keys = |name: &Name| -> Value {
        serde_json::from_str(&done(&["env", name.as_str(), "--json"])).expect("JSON")
    };
    assert_ne!(keys(&name)["AWS_SECRET_ACCESS_KEY"], keys(&fork)["AWS_SECRET_ACCESS_KEY"]);
    assert!(keys(&fork)["GCS_DEP_CREDS"].is_string());
    assert_ne!(keys(&name)["GCS_DEP_CREDS"], keys(&fork)["GCS_DEP_CREDS"]);
    put(&fork, "small", "of the fork");
    assert_eq!(read(&name, "small"), (200, "two".to_owned()));

    done(&["reset", name.as_str(), "--to", "after-one"]);
    assert_eq!(read(&name, "small"), (200, "one".to_owned()));
    done(&["reset", name.as_str()]);
    assert_eq!((read(&name, "small").0, read(&name, "large").0), (404, 404));
    // The first stage goes, and the fork still has what they shared.
    let receipt: Value =
        serde_json::from_str(&done(&["return", name.as_str(), "--json"])).expect("a JSON object");
    assert!(receipt["receipt"].is_object(), "{receipt}");
    assert_eq!(read(&fork, "large"), (200, large));

    let folder = tempfile::tempdir().expect("a temporary folder");
    let export = folder.path().join("export.tar.zst");
    let file = export.to_str().expect("UTF-8").to_owned();
    let returned: Value =
        serde_json::from_str(&done(&["return", fork.as_str(), "--json", "--keep-export", &file]))
            .expect("a JSON object");
    let length = std::fs::metadata(&export).expect("the export").len();
    assert_eq!(returned["export_bytes"], length, "{returned}");
    // Zstandard: the magic number of a frame.
    assert!(std::fs::read(&export).expect("the export").starts_with(&[0x28, 0xb5, 0x2f, 0xfd]));
    assert!(name.things().is_empty() && fork.things().is_empty());
}
