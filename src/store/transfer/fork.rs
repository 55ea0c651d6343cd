//! A stage beside another one, of the same blobs.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::target::{Target, write_file};
use super::{Blob, Error, Moved, Progress, each_blob, snapshot_file, totals};
use crate::model::SnapshotName;
use crate::store::folder::Folder;
use crate::store::private;

/// Makes a data folder of a snapshot of another one: a copy of its index, and hard links to its blobs, or
/// copies where the system does not allow links. Blobs are never changed, so the two are independent.
pub fn fork(
    from: &Path,
    name: &SnapshotName,
    to: &Path,
    mut progress: impl FnMut(Progress),
) -> Result<Moved, Error> {
    let snapshot = snapshot_file(from, name)?;
    let mut target = Target::begin(to)?;
    let index = target.folder().index();
    target.folder().check_room(fs::metadata(&snapshot).map_or(0, |metadata| metadata.len()))?;
    fs::copy(&snapshot, &index)
        .and_then(|_| private::close_to_others(&index))
        .map_err(|source| Error::file(&index, source))?;
    let connection = target.adopt()?;
    let mut moved = totals(&connection)?;
    each_blob(&connection, &mut progress, |blob| {
        let source = from.join(blob.path());
        let is_there = fs::metadata(&source).map_err(|error| Error::file(&source, error))?;
        if is_there.len() != blob.size_bytes {
            return Err(Error::BadBlob { file: source, problem: "has another size than its row says" });
        }
        let path = target.blob_path(blob)?;
        if place(target.folder(), blob, &source, &path)? {
            moved.shared += 1;
        }
        Ok(())
    })?;
    connection.close().map_err(|(_, error)| error)?;
    // Deleted meanwhile, it would have kept the blobs no longer.
    snapshot_file(from, name)?;
    target.finish()?;
    Ok(moved)
}

/// Links a blob or else copies it; says whether it is a link.
fn place(folder: &Folder, blob: &Blob, source: &Path, path: &Path) -> Result<bool, Error> {
    if fs::hard_link(source, path).is_ok() {
        return Ok(true);
    }
    // Another file system, one without links, too many of them, or not our file: a copy does as well,
    // and if there is another reason, it says so.
    folder.check_room(blob.size_bytes)?;
    write_file(path, |file| {
        let mut bytes = File::open(source).map_err(|error| Error::file(source, error))?;
        let copied = io::copy(&mut bytes, file).map_err(|error| folder.explain(path, error))?;
        if copied == blob.size_bytes {
            Ok(())
        } else {
            Err(Error::BadBlob { file: source.to_owned(), problem: "changed while it was copied" })
        }
    })?;
    Ok(false)
}
