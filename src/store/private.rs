//! Who may read a data folder: its owner alone, whatever the umask. Folders are made with 0700 and files
//! with 0600; SQLite gives its logs the mode of their database.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// The mode of a file.
pub(super) const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// What is in a data folder and holds what its clients have written.
const CONTENTS: [&str; 6] =
    ["index.sqlite", "index.sqlite-wal", "blobs", "staging", "snapshots", "quarantine"];

/// Makes a folder.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(FOLDER_MODE).create(path)
}

/// Makes a folder and those that it is in, as far as they are not there.
pub(super) fn make_folders(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
}

/// Makes a file that must not be there yet.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)
}

/// Makes an empty file for SQLite to fill; one that is there stays as it is.
pub(super) fn create_if_missing(path: &Path) -> io::Result<()> {
    // One that is there is not even opened: closing it would end the locks of its connections.
    match create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Takes the rights of others on a file of ours away.
pub(super) fn close_to_others(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(FILE_MODE))
}

/// Whether somebody else on this machine can read, list or change what a data folder holds.
pub(super) fn is_open_to_others(root: &Path) -> bool {
    let rights = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.mode() & 0o077);
    // Who cannot pass through the folder reaches nothing in it.
    let lets_through = rights(root) & 0o011 != 0;
    lets_through && CONTENTS.iter().any(|name| rights(&root.join(name)) != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_is_open_where_others_can_pass_and_read_something() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("our own");
        };
        make_folder(&root.join("blobs")).expect("writable");
        create_if_missing(&root.join("index.sqlite")).expect("writable");
        for (root_mode, blobs, index, is_open) in [
            (0o755, 0o700, 0o600, false),
            (0o777, 0o700, 0o600, false),
            (0o755, 0o755, 0o600, true),
            (0o750, 0o700, 0o640, true),
            (0o755, 0o700, 0o644, true),
            (0o700, 0o755, 0o644, false),
        ] {
            set(root, root_mode);
            set(&root.join("blobs"), blobs);
            set(&root.join("index.sqlite"), index);
            assert_eq!(is_open_to_others(root), is_open, "{root_mode:o} {blobs:o} {index:o}");
        }
    }
}
