//! The lock of a data folder.
//!
//! It is on the folder itself, which nobody can remove while it is in use: a file in it could be deleted
//! and made anew, and then two processes would each have a lock of their own. The file `lock` says who
//! holds it, and is locked too: for earlier versions, and where a file system cannot lock folders.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::error::OpenError;
use super::private::FILE_MODE;

/// Held for as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _folder: File,
    _file: File,
}

impl Lock {
    /// Takes the lock of a folder and writes down who holds it.
    pub(super) fn take(root: &Path) -> Result<Self, OpenError> {
        let path = root.join("lock");
        let refused = |path: &Path, source| OpenError::not_writable(root, path, source);
        let folder = File::open(root).map_err(|error| refused(root, error))?;
        match try_lock(&folder) {
            Ok(true) => {}
            Ok(false) => return Err(locked(root, File::open(&path).ok())),
            // NFS locks no folders.
            Err(error) => {
                tracing::debug!(folder = %root.display(), %error, "the folder itself cannot be locked");
            }
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(|error| refused(&path, error))?;
        if !try_lock(&file).map_err(|error| refused(&path, error))? {
            return Err(locked(root, Some(file)));
        }
        let named = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        named.map_err(|error| refused(&path, error))?;
        Ok(Self { _folder: folder, _file: file })
    }
}

fn try_lock(file: &File) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The folder is in use. A lock file that does not say by whom is no reason to say something else.
fn locked(root: &Path, file: Option<File>) -> OpenError {
    let mut holder = String::new();
    let read = file.map(|mut file| file.read_to_string(&mut holder));
    let pid = read.and_then(|_| holder.trim().parse().ok());
    OpenError::Locked { folder: root.to_owned(), pid }
}
