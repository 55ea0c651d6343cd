//! Forgetting a snapshot.

use rusqlite::Connection;

use super::catalogue::{Kept, remove_file};
use crate::model::SnapshotName;
use crate::store::error::Error;
use crate::store::folder::BlobName;
use crate::store::open::Inner;
use crate::store::statement;

/// Forgets a snapshot. Files go last: a crash before that leaves files that nobody names, which the
/// next start finds.
pub(super) fn delete(inner: &Inner, name: &SnapshotName) -> Result<(), Error> {
    let shared = &inner.shared;
    let mut kept = shared.snapshots.lock()?;
    if !kept.contains(name) {
        return Err(Error::NoSuchSnapshot(name.clone()));
    }
    let alone = match kept.get(name) {
        Ok((_, connection)) => shared.readers.read(|present| only_there(&kept, name, connection, present))?,
        // What it names cannot be known: the next start looks at every file.
        Err(_) => Vec::new(),
    };
    let path = kept.path(name);
    remove_file(&path)
        .and_then(|()| shared.folder.sync_folder(kept.folder()))
        .map_err(|error| shared.folder.explain(&path, error))?;
    kept.forget(name);
    // Nobody names these any more, so nobody ever will. To remove many takes long: the sweep does it.
    for file in alone {
        shared.pins.discard(shared.folder.blob_path(&file));
        shared.damage.clear(file.as_str());
    }
    tracing::info!(snapshot = %name, path = %path.display(), "snapshot deleted");
    Ok(())
}

/// The files that neither the present nor another snapshot names.
fn only_there(
    kept: &Kept,
    name: &SnapshotName,
    snapshot: &Connection,
    present: &Connection,
) -> Result<Vec<BlobName>, Error> {
    let mut names = snapshot.prepare("SELECT name FROM blob WHERE name IS NOT NULL")?;
    let mut here = present.prepare_cached(statement::FIND_BLOB_NAME)?;
    let mut rows = names.query([])?;
    let mut alone = Vec::new();
    while let Some(row) = rows.next()? {
        // A name that is none names no file.
        let Some(blob) = BlobName::parse(row.get_ref(0)?.as_str().map_err(Error::damaged)?) else { continue };
        if !here.exists([blob.as_str()])? && !kept.names(&blob, Some(name))? {
            alone.push(blob);
        }
    }
    Ok(alone)
}
