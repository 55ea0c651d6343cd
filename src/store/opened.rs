//! The file of a blob that is read, opened so that nothing in its place can make the open wait.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags};

use super::damage::wrong_size;
use super::error::Error;
use super::folder::BlobName;
use super::shared::Shared;

/// A blob's file.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) name: BlobName,
    pub(super) file: Arc<File>,
    size_bytes: u64,
}

impl OpenFile {
    /// Opens the file of a blob.
    pub(super) fn open(shared: &Shared, name: &BlobName) -> Result<Self, Error> {
        let path = shared.folder.blob_path(name);
        match open(&path) {
            Ok((file, size_bytes)) => Ok(Self { name: name.clone(), file: Arc::new(file), size_bytes }),
            Err(error) => Err(broken(shared, name, error)),
        }
    }

    /// Refuses a file that has no `needed_bytes`.
    pub(super) fn check(&self, shared: &Shared, needed_bytes: u64) -> Result<(), Error> {
        if self.size_bytes >= needed_bytes {
            return Ok(());
        }
        Err(broken(shared, &self.name, wrong_size(needed_bytes, self.size_bytes)))
    }
}

/// Opens the file of a blob that must have exactly so many bytes, or says what is wrong with it.
pub(super) fn open_exactly(shared: &Shared, name: &BlobName, size_bytes: u64) -> io::Result<OpenFile> {
    let (file, actual_bytes) = open(&shared.folder.blob_path(name))?;
    if actual_bytes != size_bytes {
        return Err(wrong_size(size_bytes, actual_bytes));
    }
    Ok(OpenFile { name: name.clone(), file: Arc::new(file), size_bytes })
}

/// The same check of a file that is not opened yet.
pub(super) fn check(shared: &Shared, name: &BlobName, needed_bytes: u64) -> Result<(), Error> {
    let found = rustix::fs::stat(shared.folder.blob_path(name)).map_err(io::Error::from);
    let checked = found.and_then(|found| {
        is_regular(found.st_mode)?;
        let size_bytes = u64::try_from(found.st_size).unwrap_or(0);
        if size_bytes >= needed_bytes { Ok(()) } else { Err(wrong_size(needed_bytes, size_bytes)) }
    });
    checked.map_err(|error| broken(shared, name, error))
}

/// Notes what is wrong with a blob, and gives the error of its file.
pub(super) fn broken(shared: &Shared, name: &BlobName, error: io::Error) -> Error {
    shared.damage.note_read(name, &error);
    Error::file(&shared.folder.blob_path(name), error)
}

/// Opens a regular file to read it, and says how large it is. A pipe in its place would make a plain
/// open wait for its writer; `O_NONBLOCK` means nothing to a regular file.
fn open(path: &std::path::Path) -> io::Result<(File, u64)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let found = rustix::fs::fstat(&file)?;
    is_regular(found.st_mode)?;
    Ok((file, u64::try_from(found.st_size).unwrap_or(0)))
}

fn is_regular(mode: rustix::fs::RawMode) -> io::Result<()> {
    if FileType::from_raw_mode(mode) == FileType::RegularFile {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "is not a regular file"))
}
