//! A data folder in the making: it is nobody's stage before it is whole.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{Blob, Error};
use crate::store::error::OpenError;
use crate::store::folder::Folder;
use crate::store::{Options, migrate, private};

/// Lies in a data folder for as long as it is not whole.
pub(in crate::store) const UNFINISHED: &str = "unfinished";
/// What a file system has in its own root, as of a volume.
const LOST_AND_FOUND: &str = "lost+found";
/// The lock of a folder.
const LOCK: &str = "lock";

/// A data folder in the making. Dropped before it is finished, all that was made goes.
pub(super) struct Target {
    folder: Folder,
    /// The folders that were made for it, itself first, then what it is in.
    made: Vec<PathBuf>,
    shelves: BTreeSet<PathBuf>,
    finished: bool,
}

impl Target {
    /// Takes a folder that is empty, not there, or what a kill has left of an earlier attempt.
    pub(super) fn begin(root: &Path) -> Result<Self, Error> {
        let failed = |source| Error::file(root, source);
        // Before anything is made, so that nothing is ever made in a folder of somebody's.
        let made = match fs::symlink_metadata(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_folders(root).map_err(failed)?,
            _ => check_free(root).map(|()| Vec::new())?,
        };
        let folder = Folder::open(&Options::new(root))?;
        let target = Self { folder, made, shelves: BTreeSet::new(), finished: false };
        // Now that the lock is held: another attempt may have come to its end in between.
        if let Err(error) = check_free(root) {
            target.leave();
            return Err(error);
        }
        // Nobody takes it for a stage from here on.
        drop(fs::remove_file(root.join(UNFINISHED)));
        private::create_new(&root.join(UNFINISHED))
            .and_then(|mut file| file.write_all(b"an understudy fork or import is making this folder\n"))
            .and_then(|()| target.folder.sync_folder(root))
            .and_then(|()| target.clear(&[LOCK, UNFINISHED]))
            .map_err(failed)?;
        for below in [target.folder.staging(), target.folder.blobs()] {
            private::make_folder(&below).map_err(|error| Error::file(&below, error))?;
        }
        Ok(target)
    }

    /// Leaves all as it is.
    fn leave(mut self) {
        self.finished = true;
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Where a blob goes. Its folder is there.
    pub(super) fn blob_path(&mut self, blob: &Blob) -> Result<PathBuf, Error> {
        let folder = self.folder.shelf_path(&blob.name);
        if !self.shelves.contains(&folder) {
            private::make_folders(&folder).map_err(|error| Error::file(&folder, error))?;
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
        // The index of one stage is never taken for the other's.
        connection.execute("UPDATE identity SET value = lower(hex(randomblob(16)))", [])?;
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
            .and_then(|()| self.made.iter().try_for_each(|made| self.folder.sync_folder(parent(made))))
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
            let Some((folder, above)) = self.made.split_first() else { return Ok(()) };
            fs::remove_dir(folder)?;
            // Somebody may use them by now.
            for above in above {
                drop(fs::remove_dir(above));
            }
            Ok(())
        });
        if let Err(error) = cleared {
            tracing::warn!(folder = %self.folder.root().display(), %error, "what was made could not all be removed");
        }
    }
}

/// Refuses a folder that has anything in it but what is nobody's: an attempt that was not finished, or
/// what is made along with a lock.
fn check_free(root: &Path) -> Result<(), Error> {
    let failed = |source| Error::file(root, source);
    let names = fs::read_dir(root).map_err(failed)?.map(|entry| entry.map(|entry| entry.file_name()));
    let names = names.collect::<io::Result<BTreeSet<_>>>().map_err(failed)?;
    if names.contains(OsStr::new(UNFINISHED)) {
        return Ok(());
    }
    for name in &names {
        let is_empty = || fs::read_dir(root.join(name)).is_ok_and(|mut entries| entries.next().is_none());
        let is_nothing = match name.to_str() {
            Some(LOST_AND_FOUND | LOCK) => true,
            Some("staging" | "blobs") => is_empty(),
            _ => false,
        };
        if !is_nothing {
            return Err(Error::NotEmpty(root.to_owned()));
        }
    }
    Ok(())
}

/// Makes a folder and those that it is in, as far as they are not there. Gives those that were made, the
/// innermost first.
fn make_folders(root: &Path) -> io::Result<Vec<PathBuf>> {
    match private::make_folder(root) {
        Ok(()) => Ok(vec![root.to_owned()]),
        Err(error) if error.kind() == io::ErrorKind::NotFound && parent(root) != root => {
            let above = make_folders(parent(root))?;
            private::make_folder(root)?;
            Ok(std::iter::once(root.to_owned()).chain(above).collect())
        }
        Err(error) => Err(error),
    }
}

/// The folder that a folder is in.
fn parent(folder: &Path) -> &Path {
    match folder.parent() {
        None => folder,
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
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
    let mut file = private::create_new(path).map_err(failed)?;
    copy(&mut file)?;
    file.sync_data().map_err(failed)
}
