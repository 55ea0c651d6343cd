//! Taking a snapshot: a copy of the index as of one moment, while writes go on.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::{Connection, OpenFlags};

use super::Snapshot;
use super::catalogue::open_reading;
use crate::model::{SnapshotName, Timestamp};
use crate::store::Durability;
use crate::store::error::Error;
use crate::store::folder::Folder;
use crate::store::open::Inner;
use crate::store::private;
use crate::store::sweep::GIVE_UP_ALL_GONE;
use crate::store::transfer::is_passing;

/// Has a snapshot say again how many objects it has.
pub(in crate::store) const COUNT_AGAIN: &str = "
    UPDATE snapshot SET (objects, bytes) =
        (SELECT count(*), coalesce(sum(size), 0) FROM object WHERE kind = 0)";

/// Has a snapshot name the files that it needs and no others. Nobody reads it yet, so that all goes at once.
const WITHOUT_GARBAGE: &str = "
    CREATE TEMP TABLE given_up (blob_id INTEGER PRIMARY KEY);
    INSERT INTO given_up SELECT s.blob_id FROM garbage g CROSS JOIN segment s ON s.content_id = g.content_id
    WHERE true ON CONFLICT DO NOTHING;
    DELETE FROM segment WHERE content_id IN (SELECT content_id FROM garbage);
    DELETE FROM object_part WHERE content_id IN (SELECT content_id FROM garbage);
    DELETE FROM blob WHERE id IN (SELECT blob_id FROM given_up)
    AND NOT EXISTS (SELECT 1 FROM segment WHERE blob_id = blob.id);
    DELETE FROM garbage";

/// How many read the whole index. While one does, the log cannot be emptied, and the writer must not
/// wait for it.
#[derive(Debug, Default)]
pub(in crate::store) struct Copies(AtomicUsize);

/// Reads the whole index for as long as it lives.
pub(super) struct Copying<'a>(&'a Copies);

impl Copies {
    /// Whether somebody does.
    pub(in crate::store) fn any(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }

    pub(super) fn begin(&self) -> Copying<'_> {
        self.0.fetch_add(1, Ordering::AcqRel);
        Copying(self)
    }
}

impl Drop for Copying<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Takes a snapshot.
pub(super) fn create(inner: &Inner, name: SnapshotName) -> Result<Snapshot, Error> {
    let (shared, folder) = (&inner.shared, &inner.shared.folder);
    // Held to the end: what the copy names is not removed before the copy is known to name it.
    let mut kept = shared.snapshots.lock()?;
    if shared.pins.stopping() {
        return Err(Error::Closed);
    }
    if kept.contains(&name) {
        return Err(Error::SnapshotExists(name));
    }
    let (partial, whole) = (kept.partial_path(&name), kept.path(&name));
    let index_bytes = fs::metadata(folder.index()).map_or(0, |metadata| metadata.len());
    if is_passing(&name) {
        // It goes at once, and an export to another disk is how somebody makes room on this one.
        folder.make_way(index_bytes);
        folder.check_bare_room(index_bytes)?;
    } else {
        folder.check_room(index_bytes)?;
    }
    let made = make_folder(folder, kept.folder()).and_then(|()| {
        let copying = shared.copies.begin();
        copy(&folder.index(), &partial)?;
        drop(copying);
        finish(&partial, inner.clock.now())?;
        place(folder, &partial, &whole)
    });
    if let Err(error) = made {
        // It may not have come so far; what remains is removed at the next start.
        drop(fs::remove_file(&partial));
        return Err(folder.explain_index(error));
    }
    kept.add(&name)
}

fn make_folder(folder: &Folder, snapshots: &Path) -> Result<(), Error> {
    match private::make_folder(snapshots) {
        Ok(()) => folder.sync_folder(folder.root()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|error| folder.explain(snapshots, error))
}

/// Copies an index as of now. Reading does not hold up who writes.
fn copy(index: &Path, to: &Path) -> Result<(), Error> {
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::file(to, error)),
        _ => {}
    }
    // SQLite takes an empty file, too, and leaves it its mode.
    private::create_if_missing(to).map_err(|error| Error::file(to, error))?;
    let connection = open_reading(index)?;
    connection.execute_batch("PRAGMA synchronous = OFF")?;
    // Unlike a copy of pages it leaves out what deletions have freed, and it is no log's index.
    connection.execute("VACUUM INTO ?1", [path_text(to)?])?;
    Ok(())
}

fn path_text(path: &Path) -> Result<&str, Error> {
    path.to_str().ok_or_else(|| Error::file(path, io::Error::other("a path that is not UTF-8")))
}

/// Removes from a copy what only the present needs, and has it say what it is.
fn finish(path: &Path, now: Timestamp) -> Result<(), Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // If this ends half-way, the file is of no use in any case.
    connection.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; BEGIN",
    )?;
    connection.execute_batch(GIVE_UP_ALL_GONE)?;
    connection.execute_batch(WITHOUT_GARBAGE)?;
    connection.execute("DELETE FROM snapshot", [])?;
    let born = "INSERT INTO snapshot (created_ms, objects, bytes) VALUES (?1, 0, 0)";
    connection.execute(born, [now.as_ms()])?;
    connection.execute(COUNT_AGAIN, [])?;
    connection.execute_batch("COMMIT")?;
    connection.close().map_err(|(_, error)| error.into())
}

/// Gives a finished copy its name; on return it survives power loss.
fn place(folder: &Folder, partial: &Path, whole: &Path) -> Result<(), Error> {
    let synced = match folder.durability() {
        Durability::Synced => File::open(partial).and_then(|file| file.sync_all()),
        Durability::Ephemeral => Ok(()),
    };
    synced
        .and_then(|()| fs::rename(partial, whole))
        .and_then(|()| folder.sync_folder(&folder.snapshots()))
        .map_err(|error| folder.explain(whole, error))
}
