//! A data folder that others of this machine can read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::process::Signal;

use super::server::{Server, Setup};

/// What the log says of the mode of a data folder, once it is served.
fn told(data_dir: &Path) -> String {
    let mut server = Server::start(&Setup { data_dir: Some(data_dir.to_owned()), ..Setup::default() });
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    server.journal().wait_for(|_, ended| ended.then_some(()));
    let text = server.journal().text();
    text.lines().filter(|line| line.contains("other users")).collect()
}

#[test]
fn a_folder_that_is_open_to_others_is_told_with_the_command_that_mends_it() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("our own");
    let data = folder.path().join("data");
    assert_eq!(told(&data), "", "what is made is not open");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("index.sqlite"))), (0o700, 0o600));

    for (path, mode) in [(&data, 0o755), (&data.join("index.sqlite"), 0o644)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own");
    }
    let text = told(&data);
    assert!(text.contains(&format!("chmod -R go-rwx {}", data.display())), "{text}");
    assert_eq!(mode(&data.join("index.sqlite")), 0o644, "whoever opened it may have meant to");
}
