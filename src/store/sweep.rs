//! Removes what nothing refers to: contents that were given up, files that were not wanted, and what
//! an earlier process left behind. Imported indexes that were dropped go with them.
//!
//! Content goes in two steps: its rows in one of the writer's transactions, then its files. A crash
//! between the two leaves files without rows, which the next start finds in the background. Of those it
//! removes what the index can have known; anything else is moved to `quarantine/` and never removed.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::change::{Change, execute, find, i64_of};
use super::error::Error;
use super::folder::BlobName;
use super::job::Job;
use super::shared::Shared;
use super::upload::UploadRef;
use super::writer::Writer;
use super::{inventory, object, quarantine, row, statement};
use crate::model::UploadId;

/// Waits so long for more before it begins, to sweep in few transactions.
const LINGER: Duration = Duration::from_millis(50);

/// How many segments, parts or objects one transaction removes, so that writes behind it do not wait long.
const AT_ONCE: usize = 512;

/// How many contents one step looks at: those that somebody holds are passed over, and there may be many.
const LOOKED_AT: usize = AT_ONCE * 4;

/// Contents that may be removed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    /// They became garbage at this sequence number or earlier.
    pub(super) up_to: u64,
    /// They come behind this one, by when they became garbage and by their number.
    pub(super) after: (u64, i64),
}

impl Due {
    /// All that became garbage at this sequence number or earlier.
    pub(super) fn all(up_to: u64) -> Self {
        Self { up_to, after: (0, 0) }
    }
}

/// How many rows one step changes at most: a segment has a blob, and a content its mark. One is noted for a
/// restore under way when it is changed.
pub(super) const STEP_ROWS: usize = AT_ONCE * 3 + 8;

/// What one step of the sweep came to.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// Files whose rows are gone.
    pub(super) files: Vec<BlobName>,
    /// Whether there is more to be done at once.
    pub(super) more: bool,
    /// Behind which content that is.
    pub(super) after: (u64, i64),
    /// When the first content behind those of this step became garbage.
    pub(super) waiting: Option<u64>,
    /// Contents that a reader holds.
    pub(super) held: Vec<i64>,
}

/// Starts the thread. What has a number of the sequence up to `earlier` is of earlier processes.
pub(super) fn start(shared: Arc<Shared>, writer: Arc<Writer>, earlier: u64) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("store-sweep".to_owned()).spawn(move || serve(&shared, &writer, earlier))
}

fn serve(shared: &Shared, writer: &Writer, earlier: u64) {
    if let Err(error) = abort_leftovers(shared, writer, earlier) {
        tracing::warn!(%error, "uploads that an earlier process left behind could not be aborted");
    }
    match remove_leftovers(shared) {
        Ok(0) => {}
        Ok(moved) => tracing::warn!(
            moved,
            "files that the index cannot have known were moved to quarantine/; `understudy fsck` lists them"
        ),
        Err(error) => {
            tracing::warn!(%error, "files that an earlier process left behind could not be removed");
        }
    }
    loop {
        let work = shared.pins.next(LINGER);
        for file in &work.discarded {
            remove(file);
        }
        if work.last {
            return;
        }
        if let Some(up_to) = work.garbage_up_to
            && let Err(error) = sweep(shared, writer, up_to)
        {
            tracing::warn!(%error, "the sweep failed and will try again");
            shared.pins.failed();
        }
    }
}

fn sweep(shared: &Shared, writer: &Writer, up_to: u64) -> Result<(), Error> {
    let mut due = Due::all(up_to);
    loop {
        // Held from when their rows go until the files do: no snapshot comes or goes in between.
        let snapshots = shared.snapshots.lock()?;
        let swept = writer.ask_blocking(|reply| Job::Sweep(due, reply))?;
        due.after = swept.after;
        for name in &swept.files {
            if !snapshots.names(name, None)? {
                remove(&shared.folder.blob_path(name));
                shared.damage.clear(name.as_str());
            }
        }
        drop(snapshots);
        shared.pins.blocked(&swept.held);
        if let Some(sequence) = swept.waiting {
            shared.pins.still_waiting(sequence);
        }
        if !swept.more || shared.pins.stopping() {
            return Ok(());
        }
    }
}

/// A file that cannot be removed now is found again at the next start.
fn remove(file: &Path) {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(file = %file.display(), %error, "a file that nothing refers to could not be removed");
        }
        _ => {}
    }
}

/// Removes the rows of contents that became garbage at `up_to` or earlier and that nobody holds, and
/// once there are none, those of imported indexes that were dropped.
pub(super) fn collect(
    connection: &Connection,
    due: Due,
    is_held: impl Fn(i64) -> bool,
) -> Result<Swept, Error> {
    let mut swept = Swept { after: due.after, ..Swept::default() };
    let (mut budget, mut looked_at, mut last) = (AT_ONCE, 0, due.after);
    while let Some((sequence, content_id)) = next(connection, last)? {
        if sequence > due.up_to {
            swept.waiting = Some(sequence);
            break;
        }
        if budget == 0 || looked_at == LOOKED_AT {
            swept.more = true;
            break;
        }
        last = (sequence, content_id);
        looked_at += 1;
        if is_held(content_id) {
            swept.held.push(content_id);
            swept.after = last;
            continue;
        }
        let removed = remove_rows(connection, content_id, budget, &mut swept.files)?;
        if removed < budget {
            execute(connection, statement::DELETE_GARBAGE, params![i64_of(sequence), content_id])?;
            swept.after = last;
        } else {
            // It may have more of them, also where nothing follows it.
            swept.more = true;
        }
        budget = budget.saturating_sub(removed.max(1));
    }
    if budget == AT_ONCE && !swept.more {
        swept.more = inventory::sweep(connection)?;
    }
    Ok(swept)
}

/// Removes rows of a content, at most `limit`, and says how many. Adds the files that nothing names now.
fn remove_rows(
    connection: &Connection,
    content_id: i64,
    limit: usize,
    files: &mut Vec<BlobName>,
) -> Result<usize, Error> {
    let segments = segments(connection, content_id, limit)?;
    for (start, blob_id) in &segments {
        execute(connection, statement::DELETE_SEGMENT, params![content_id, start])?;
        files.extend(remove_blob(connection, *blob_id)?);
    }
    let left = i64_of((limit - segments.len()) as u64);
    let parts = execute(connection, statement::DELETE_OBJECT_PARTS, params![content_id, left])?;
    Ok(segments.len() + parts)
}

/// The same for all of them at once, where nobody waits: in snapshots, and in `fsck`.
pub(super) const GIVE_UP_ALL_GONE: &str = "
    INSERT INTO garbage
    SELECT (SELECT value FROM counter WHERE name = 'sequence'), p.content_id
    FROM gone_upload g CROSS JOIN part p ON p.upload = g.upload WHERE true ON CONFLICT DO NOTHING;
    DELETE FROM part WHERE upload IN (SELECT upload FROM gone_upload);
    DELETE FROM gone_upload;
    INSERT INTO garbage
    SELECT DISTINCT (SELECT value FROM counter WHERE name = 'sequence'), o.content_id
    FROM gone_bucket g CROSS JOIN object o ON o.bucket_id = g.bucket_id
    WHERE o.content_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM object x
        WHERE x.content_id = o.content_id AND x.bucket_id NOT IN (SELECT bucket_id FROM gone_bucket))
    ON CONFLICT DO NOTHING;
    DELETE FROM object WHERE bucket_id IN (SELECT bucket_id FROM gone_bucket);
    DELETE FROM gone_bucket;";

/// Removes some of the rows that uploads and buckets left behind that are gone. What they held is garbage
/// from now on: others may have shared it until a moment ago. Says whether there were any.
pub(super) fn give_up_gone(change: &mut Change) -> Result<bool, Error> {
    let first = |sql| change.find(sql, [], |row| Ok(row.get::<_, Option<i64>>(0)?));
    let (upload, bucket_id) = (first(statement::NEXT_GONE_UPLOAD)?, first(statement::NEXT_GONE_BUCKET)?);
    let (upload, bucket_id) = (upload.flatten(), bucket_id.flatten());
    if upload.is_none() && bucket_id.is_none() {
        return Ok(false);
    }
    let sequence = change.next_sequence();
    match (upload, bucket_id) {
        (Some(upload), _) => give_up_parts(change, upload, sequence)?,
        (None, Some(bucket_id)) => give_up_objects(change, bucket_id, sequence)?,
        (None, None) => {}
    }
    change.note_garbage(sequence);
    Ok(true)
}

/// Gives up some of the parts of an upload that is gone.
fn give_up_parts(change: &mut Change, upload: i64, sequence: u64) -> Result<(), Error> {
    let limit = i64_of(AT_ONCE as u64);
    change.execute(statement::GARBAGE_SOME_PARTS, params![upload, i64_of(sequence), limit])?;
    if change.execute(statement::DELETE_SOME_PARTS, params![upload, limit])? < AT_ONCE {
        change.execute(statement::DELETE_GONE_UPLOAD, [upload])?;
    }
    Ok(())
}

/// Removes some of the rows of a bucket that is gone.
fn give_up_objects(change: &mut Change, bucket_id: i64, sequence: u64) -> Result<(), Error> {
    let mut rows: Vec<(Vec<u8>, i64, Option<i64>)> = Vec::new();
    {
        let mut statement = change.connection().prepare_cached(statement::SOME_OF_GONE_BUCKET)?;
        let mut found = statement.query(params![bucket_id, i64_of(AT_ONCE as u64)])?;
        while let Some(row) = found.next()? {
            rows.push((row.get(0)?, row.get(1)?, row.get(2)?));
        }
    }
    for (key, version, content_id) in &rows {
        change.execute(statement::DELETE_OBJECT, params![bucket_id, key, version])?;
        if let Some(content_id) = content_id {
            object::give_up_content(change, *content_id, sequence)?;
        }
    }
    if rows.len() < AT_ONCE {
        change.execute(statement::DELETE_GONE_BUCKET, [bucket_id])?;
    }
    Ok(())
}

/// The content that became garbage first behind `last`, and when.
fn next(connection: &Connection, last: (u64, i64)) -> Result<Option<(u64, i64)>, Error> {
    let behind = params![i64_of(last.0), last.1];
    find(connection, statement::NEXT_GARBAGE, behind, |row| Ok((row::number(row, 0)?, row.get(1)?)))
}

fn segments(connection: &Connection, content_id: i64, limit: usize) -> Result<Vec<(i64, i64)>, Error> {
    let mut statement = connection.prepare_cached(statement::SEGMENTS_OF_GARBAGE)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map([content_id, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes the row of a blob that no segment refers to; gives the name of its file if it has one.
fn remove_blob(connection: &Connection, blob_id: i64) -> Result<Option<BlobName>, Error> {
    let name = find(connection, statement::DELETE_BLOB_IF_UNREFERENCED, [blob_id], |row| {
        Ok(row.get::<_, Option<String>>(0)?)
    })?;
    let Some(Some(name)) = name else { return Ok(None) };
    let parsed = BlobName::parse(&name);
    if parsed.is_none() {
        // The store never wrote it, so it has no file. Kept, it would end every sweep from here on.
        tracing::warn!(blob = blob_id, name, "a blob that was swept had a name that is none");
    }
    Ok(parsed)
}

/// It stands here and not with the statements of every day, as it looks at all uploads.
const OWNERLESS: &str = "
    SELECT b.name, u.key, u.id FROM upload u JOIN bucket b ON b.id = u.bucket_id
    WHERE u.session = '' AND u.sequence <= ?1";

/// Aborts uploads that no client knows of and that an earlier process did not come to complete.
fn abort_leftovers(shared: &Shared, writer: &Writer, earlier: u64) -> Result<(), Error> {
    let found: Vec<_> = shared.readers.read(|connection| {
        let mut statement = connection.prepare(OWNERLESS)?;
        let mut rows = statement.query([i64_of(earlier)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let id = UploadId::parse(&row.get::<_, String>(2)?).map_err(Error::damaged)?;
            found.push(UploadRef { bucket: row::bucket_name(row, 0)?, key: row::key(row, 1)?, id });
        }
        Ok(found)
    })?;
    for upload in found {
        match writer.ask_blocking(|reply| Job::AbortUpload(upload, reply)) {
            Ok(()) | Err(Error::NoSuchUpload(_) | Error::NoSuchBucket(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes files that earlier processes staged or whose rows they did not commit. Says how many were moved
/// aside instead.
fn remove_leftovers(shared: &Shared) -> Result<usize, Error> {
    let folder = &shared.folder;
    for file in files_of_others(shared, &folder.staging())? {
        remove(&folder.staging().join(file));
    }
    let shelves = fs::read_dir(folder.blobs()).map_err(|error| Error::file(&folder.blobs(), error))?;
    let mut moved = 0;
    // What is no folder is none of ours.
    for shelf in shelves.filter_map(Result::ok).map(|shelf| shelf.path()).filter(|path| path.is_dir()) {
        if shared.pins.stopping() {
            break;
        }
        if let Err(error) = remove_leftovers_of(shared, &shelf, &mut moved) {
            let shelf = shelf.display();
            tracing::warn!(%shelf, %error, "files that an earlier process left behind could not be removed");
        }
    }
    Ok(moved)
}

fn remove_leftovers_of(shared: &Shared, shelf: &Path, moved: &mut usize) -> Result<(), Error> {
    for file in files_of_others(shared, shelf)? {
        // Held while one file is looked at: going back to a snapshot names files again.
        let snapshots = shared.snapshots.lock()?;
        let name = BlobName::parse(&file);
        if let Some(name) = &name
            && (has_row(shared, name)? || snapshots.names(name, None)?)
        {
            continue;
        }
        let path = shelf.join(file);
        match name {
            Some(name) if shared.readers.read(|index| quarantine::can_be_known(index, &name))? => {
                remove(&path);
            }
            _ => {
                quarantine::move_aside(&shared.folder, &path)?;
                *moved += 1;
            }
        }
    }
    Ok(())
}

fn has_row(shared: &Shared, name: &BlobName) -> Result<bool, Error> {
    shared.readers.read(|connection| {
        let mut statement = connection.prepare_cached(statement::FIND_BLOB_NAME)?;
        Ok(statement.exists([name.as_str()])?)
    })
}

/// The names of files in a folder that this process did not make.
fn files_of_others(shared: &Shared, folder: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(folder).map_err(|error| Error::file(folder, error))?;
    let names = entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| !shared.folder.is_ours(name)).collect())
}
