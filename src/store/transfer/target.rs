//! A data folder in the making: it is nobody's stage before it is whole.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{Blob, Error};
use crate::store::error::OpenError;
use crate::store::folder::Folder;
use crate::store::{Options, migrate};

/// Lies in a data folder for as long as it is not whole.
pub(in crate::store) const UNFINISHED: &str = "unfinished";
/// What a file system has in its own root, as of a volume.
const LOST_AND_FOUND: &str = "lost+found";

/// A data folder in the making. Dropped before it is finished, all that was made goes.
pub(super) struct Target {
    folder: Folder,
    /// Whether the folder itself was made.
    is_new: bool,
    shelves: BTreeSet<PathBuf>,
    finished: bool,
}

impl Target {
    /// Takes a folder that is empty, not there, or what a kill has left of an earlier attempt.
    pub(super) fn begin(root: &Path) -> Result<Self, Error> {
        let failed = |source| Error::file(root, source);
        let entries = match fs::read_dir(root) {
            Ok(entries) => Some(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let is_new = entries.is_none();
        let mut names = BTreeSet::new();
        for entry in entries.into_iter().flatten() {
            names.insert(entry.map_err(failed)?.file_name());
        }
        let is_ours = names.iter().any(|name| name == UNFINISHED);
        if !is_ours && names.iter().any(|name| name != LOST_AND_FOUND) {
            return Err(Error::NotEmpty(root.to_owned()));
        }
        fs::create_dir_all(root).map_err(failed)?;
        // Before anything else, so that nobody takes it for a stage; and after that the lock.
        fs::write(root.join(UNFINISHED), "an understudy fork or import is making this folder\n")
            .map_err(failed)?;
        let folder = Folder::open(&Options::new(root))?;
        let target = Self { folder, is_new, shelves: BTreeSet::new(), finished: false };
        if is_ours {
            target.clear(&["lock", UNFINISHED]).map_err(failed)?;
            for below in [target.folder.staging(), target.folder.blobs()] {
                fs::create_dir(&below).map_err(|error| Error::file(&below, error))?;
            }
        }
        Ok(target)
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Where a blob goes. Its folder is there.
    pub(super) fn blob_path(&mut self, blob: &Blob) -> Result<PathBuf, Error> {
        let folder = self.folder.shelf_path(&blob.name);
        if !self.shelves.contains(&folder) {
            fs::create_dir_all(&folder).map_err(|error| Error::file(&folder, error))?;
            self.shelves.insert(folder);
        }
        Ok(self.folder.blob_path(&blob.name))
    }

    /// Makes the snapshot that was put at the index's place an index: this understudy's, and of a stage.
    pub(super) fn adopt(&self) -> Result<Connection, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(self.folder.index(), flags)?;
        connection.execute_batch("PRAGMA temp_store = MEMORY")?;
        migrate::migrate(&mut connection, self.folder.root())?;
        // It has no snapshots, and what it tells of itself begins with its first start.
        connection.execute_batch("DELETE FROM snapshot; DELETE FROM tally; DELETE FROM tally_begin")?;
        Ok(connection)
    }

    /// Ends it: on return the folder is a stage that survives power loss.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        let root = self.folder.root().to_owned();
        let synced = self
            .shelves
            .iter()
            .chain([&self.folder.blobs()])
            .try_for_each(|folder| self.folder.sync_folder(folder));
        synced
            .and_then(|()| File::open(self.folder.index())?.sync_all())
            .and_then(|()| self.folder.sync_folder(&root))
            .and_then(|()| fs::remove_file(root.join(UNFINISHED)))
            .and_then(|()| self.folder.sync_folder(&root))
            .map_err(|source| Error::file(&root, source))?;
        self.finished = true;
        Ok(())
    }

    /// Removes all that is in the folder but these.
    fn clear(&self, but: &[&str]) -> io::Result<()> {
        for entry in fs::read_dir(self.folder.root())? {
            let entry = entry?;
            let name = entry.file_name();
            if name == LOST_AND_FOUND || but.iter().any(|kept| name == *kept) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // What cannot be removed is marked as unfinished, and the next attempt clears it away.
        let cleared = self.clear(&[UNFINISHED]).and_then(|()| {
            fs::remove_file(self.folder.root().join(UNFINISHED))?;
            if self.is_new { fs::remove_dir(self.folder.root()) } else { Ok(()) }
        });
        if let Err(error) = cleared {
            tracing::warn!(folder = %self.folder.root().display(), %error, "what was made could not all be removed");
        }
    }
}

/// Refuses a folder that is in the making.
pub(in crate::store) fn check_finished(root: &Path) -> Result<(), OpenError> {
    if root.join(UNFINISHED).exists() {
        return Err(OpenError::Unfinished(root.to_owned()));
    }
    Ok(())
}

/// Writes a file of its own that survives power loss, by way of `copy`.
pub(super) fn write_file(
    path: &Path,
    copy: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    let failed = |source| Error::file(path, source);
    let mut file = File::create_new(path).map_err(failed)?;
    copy(&mut file)?;
    file.sync_data().map_err(failed)
}
