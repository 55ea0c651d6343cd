//! `check` and `fsck`: health of a server and of a folder as exit codes.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::http::{exchange, get};
use super::server::{Server, Setup};
use super::{text, understudy};

#[test]
fn check_tells_a_healthy_server_from_one_that_is_gone() {
    let mut server = Server::start(&Setup::default());
    let url = format!("http://{}", server.address());
    let healthy = understudy(&["check", "--url", &url], &[]);
    assert_eq!(healthy.status.code(), Some(0), "{healthy:?}");
    let nagios = understudy(&["check", "--url", &url, "--nagios"], &[]);
    assert_eq!((nagios.status.code(), text(&nagios).lines().count()), (Some(0), 1), "{nagios:?}");
    server.kill();
    let gone = understudy(&["check", "--url", &url], &[]);
    assert_eq!(gone.status.code(), Some(2), "{gone:?}");
    let nonsense = understudy(&["check", "--url", "nonsense"], &[]);
    assert_eq!(nonsense.status.code(), Some(3), "{nonsense:?}");
}

/// The files below a folder, the largest first.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort_by_key(|path| std::cmp::Reverse(path.metadata().expect("it is there").len()));
    found
}

#[test]
fn fsck_finds_damage_and_repairs_what_can_be() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let start = || {
        let mut setup = Setup::with_buckets(&["stage"]);
        setup.args.extend(["--anonymous".into(), "read-write".into()]);
        setup.data_dir = Some(folder.path().to_path_buf());
        Server::start(&setup)
    };
    let mut server = start();
    for key in ["whole", "cut", "gone"] {
        let line = format!("PUT /stage/{key} HTTP/1.1\r\n");
        let answer = exchange(server.address(), &line, &key.repeat(300_000).into_bytes()).expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let fsck = |arguments: &[&str]| understudy(arguments, &[("UNDERSTUDY_DATA_DIR", folder.path())]);
    let busy = fsck(&["fsck"]);
    assert!(!busy.status.success(), "a folder in use was checked: {busy:?}");
    server.signal(Signal::TERM);
    server.wait();
    let clean = fsck(&["fsck"]);
    assert_eq!(clean.status.code(), Some(0), "{clean:?}");

    // By their size: "whole" first, "gone" a byte a copy longer than "cut".
    let blobs = files(&folder.path().join("blobs"));
    let [_whole, gone, cut] = &blobs[..] else { panic!("a file for each object: {blobs:?}") };
    fs::remove_file(gone).expect("it can be removed");
    let cut = fs::File::options().write(true).open(cut).expect("it can be opened");
    cut.set_len(1000).expect("it can be cut");
    let damaged = fsck(&["fsck"]);
    assert!(!damaged.status.success(), "{damaged:?}");
    for key in ["cut", "gone"] {
        assert!(text(&damaged).contains(key), "{key} in {damaged:?}");
    }
    fsck(&["fsck", "--repair"]);
    let clean = fsck(&["fsck"]);
    assert_eq!(clean.status.code(), Some(0), "after a repair: {clean:?}");
    let server = start();
    let whole = get(server.address(), "/stage/whole");
    assert!(whole.status == 200 && whole.body == "whole".repeat(300_000).into_bytes(), "{}", whole.status);
    for key in ["cut", "gone"] {
        assert_eq!(get(server.address(), &format!("/stage/{key}")).status, 404, "{key}");
    }
}
