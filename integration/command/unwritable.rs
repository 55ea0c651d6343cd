//! A data folder that the user cannot write, out of a container; `integration/container` has the rest.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::server::forget_environment;
use super::text;

/// Somebody who owns nothing.
const STRANGER: u32 = 12345;

/// Starts as a user who may not write everywhere, as root may.
fn start(program: &Path, folder: &Path, uid: u32) -> Output {
    let mut command = Command::new(program);
    forget_environment(&mut command);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder);
    if rustix::process::geteuid().is_root() {
        command.uid(uid).gid(uid);
    }
    command.output().expect("the understudy binary was built for this test")
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own");
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named_with_the_command_that_mends_it() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    set_mode(folder.path(), 0o755);
    let own = rustix::process::geteuid();
    let uid = if own.is_root() { STRANGER } else { own.as_raw() };
    let mut program = Path::new(env!("CARGO_BIN_EXE_understudy")).to_path_buf();
    if own.is_root() {
        // The stranger may not look into where it was built.
        let copy = folder.path().join("understudy");
        fs::copy(&program, &copy).expect("a copy");
        program = copy;
    }
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder");
    set_mode(&data, 0o555);
    let missing = data.join("below");
    for (given, refused, mends) in [
        (&data, data.join("lock"), format!("sudo chown -R {uid} {}", data.display())),
        (&missing, missing.clone(), format!("sudo install -d -o {uid} {}", missing.display())),
    ] {
        let output = start(&program, given, uid);
        let told = text(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let head = format!(
            "understudy: the data folder {} cannot be written by uid {uid} ({}: Permission denied (os error 13)); ",
            given.display(),
            refused.display()
        );
        assert!(told.starts_with(&head), "{told}");
        // Where the tests run in a container themselves, its host has other words for the folder.
        if !["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists()) {
            assert_eq!(told.trim_end(), format!("{head}to mend it: {mends}"));
        }
    }
}
