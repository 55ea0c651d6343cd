//! The JSON dialect of GCS through google-cloud-storage: beetmover's calls, the surface, and one
//! object through every face.
//!
//! The Python programs are in `integration/python`, as `gcs_*.py`; each prints one JSON object for
//! the test here.

#[expect(dead_code, reason = "no client here is a program of its own")]
#[path = "../harness/python.rs"]
mod python;
#[path = "../harness/request_log.rs"]
mod request_log;
#[expect(dead_code, reason = "only some tests stop their server or read what it printed")]
#[path = "../harness/server.rs"]
mod server;

use std::path::{Path, PathBuf};
use std::process::Command;

use self::server::{Server, Setup};

/// The bucket that the programs use.
const BUCKET: &str = "stage-product";

/// A server that everybody may read and write, as STORAGE_EMULATOR_HOST needs it.
fn open_server() -> Server {
    let mut setup = Setup::with_buckets(&[BUCKET]);
    setup.args.extend(["--anonymous".into(), "read-write".into()]);
    Server::start(&setup)
}

/// A server that everybody may read; writing takes a key.
fn closed_server(data_dir: Option<&Path>) -> Server {
    let mut setup = Setup::with_buckets(&[BUCKET]);
    setup.args.extend(["--anonymous".into(), "read".into()]);
    setup.data_dir = data_dir.map(Path::to_path_buf);
    Server::start(&setup)
}

/// Mints a service account's key for a running server, as a person would.
fn minted_key(server: &Server, grants: &[&str]) -> PathBuf {
    let path = server.scratch().join(format!("key-{}.json", grants.len()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
    server::forget_environment(&mut command);
    command.args(["credential", "gcs", "--name", "beetmover", "--out"]).arg(&path);
    command.arg("--data-dir").arg(server.data_dir());
    command.arg("--endpoint").arg(format!("http://{}", server.address()));
    command.args(grants.iter().flat_map(|grant| ["--grant", grant]));
    let output = command.output().expect("the understudy binary was built for this test");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", output.status);
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have names of plain text")
}

/// Runs the flows and compares the number of writes with what the log says.
fn publish(server: &Server, access: &str) {
    let report = python::run(server, "gcs_beetmover.py", &[access]);
    let copied = report["copied"].as_u64().and_then(|count| usize::try_from(count).ok());
    let copied = copied.filter(|count| *count > 0).unwrap_or_else(|| panic!("{report}"));
    let in_log = request_log::successes(server, "storage.objects.rewrite", copied);
    assert_eq!(in_log, copied, "rewrites in the log");
}

#[test]
fn beetmovers_calls_publish_a_release_through_the_emulator_variable() {
    publish(&open_server(), "anonymous");
}

#[test]
fn beetmovers_calls_publish_a_release_with_a_minted_key() {
    let server = closed_server(None);
    let key = minted_key(&server, &["read,write,list:stage-product/pub/"]);
    publish(&server, text(&key));
    let tokens = request_log::successes(&server, "token", 1);
    assert!(tokens >= 1, "the key was exchanged for a token");
}

#[test]
fn the_surface_holds_through_google_cloud_storage() {
    let server = open_server();
    let key = minted_key(&server, &[]);
    let report = python::run(&server, "gcs_surface.py", &[text(&key)]);
    assert!(report["passed"].as_u64() > Some(0), "{report}");
}

#[test]
fn one_object_is_the_same_through_s3_gcs_and_archive() {
    let report = python::run(&open_server(), "gcs_faces.py", &[]);
    assert!(report["objects"].as_u64() > Some(0), "{report}");
}

#[test]
fn who_may_not_is_refused_and_tokens_end_with_their_account() {
    let server = closed_server(None);
    let key = minted_key(&server, &["read,list:stage-product"]);
    let report = python::run(&server, "gcs_access.py", &[text(&key), text(server.data_dir())]);
    assert!(report["checked"].as_u64() > Some(0), "{report}");
}

#[test]
fn a_resumable_upload_of_a_gib_survives_kill_9() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("upload");
    let data = folder.path().join("data");
    let mut server = closed_server(Some(&data));
    let key = minted_key(&server, &[]);
    let begun = python::run(&server, "gcs_resume.py", &["begin", text(&key), text(&file)]);
    let session = begun["session"].as_str().expect("a session").to_owned();
    server.kill();

    let server = closed_server(Some(&data));
    // The key file names the first server's token endpoint.
    let key = minted_key(&server, &[]);
    let ended = python::run(&server, "gcs_resume.py", &["end", text(&key), text(&file), &session]);
    assert!(ended["kept"].as_u64() >= Some(6 << 26), "{ended}");
}
