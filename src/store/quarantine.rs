//! `quarantine/`: files that were found among the blobs and that the index cannot have known. They may be
//! all that is left of what another index names, so they are moved aside and only a person removes them.

use std::fs;
use std::io;
use std::path::Path;

use rusqlite::Connection;

use super::error::Error;
use super::folder::{BlobName, Folder};
use super::{private, statement};

/// A file that was moved aside.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Quarantined {
    /// Its path below the data folder.
    pub file: String,
    /// Its size.
    pub bytes: u64,
}

/// Whether an index can have made the file of this name: a run that it knows may have given it out.
///
/// Of such a file without a row it is certain that it was never acknowledged, or was deleted, as long as
/// the index is the newest there was: that is checked when it is opened.
pub(super) fn can_be_known(connection: &Connection, name: &BlobName) -> Result<bool, Error> {
    Ok(connection.prepare_cached(statement::KNOWS_NAME)?.exists([name.as_str()])?)
}

/// Moves a file aside.
pub(super) fn move_aside(folder: &Folder, file: &Path) -> Result<(), Error> {
    let to = folder.quarantine();
    match private::make_folder(&to) {
        Ok(()) => folder.sync_folder(folder.root()).map_err(|error| Error::file(&to, error))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(folder.explain(&to, error)),
    }
    let name = file.file_name().unwrap_or_default();
    // Another one of that name stays, too.
    let mut paths = (0_u32..).map(|number| match number {
        0 => to.join(name),
        _ => to.join(format!("{}.{number}", name.to_string_lossy())),
    });
    let free = paths.find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_else(|| to.join(name));
    fs::rename(file, &free).and_then(|()| folder.sync_folder(&to)).map_err(|error| Error::file(file, error))
}

/// What is there, by name.
pub(super) fn list(folder: &Folder) -> Result<Vec<Quarantined>, Error> {
    let path = folder.quarantine();
    let failed = |error| Error::file(&path, error);
    let entries = match fs::read_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let bytes = entry.metadata().map_err(failed)?.len();
        found
            .push(Quarantined { file: format!("quarantine/{}", entry.file_name().to_string_lossy()), bytes });
    }
    found.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(found)
}

/// Removes all that is there.
pub(super) fn empty(folder: &Folder) -> Result<Vec<Quarantined>, Error> {
    let found = list(folder)?;
    let path = folder.quarantine();
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file(&path, error)),
        _ => Ok(found),
    }
}
