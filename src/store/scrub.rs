//! Reading every blob again, slowly, while the store serves: what nobody reads may rot unseen.
//!
//! It goes in steps of about a second, each of which says where the next one begins, so that who asks
//! sets the pace, sees how far it is and may stop at any time. The present comes first, then what only
//! snapshots have. Deliberately elsewhere: rows against rows, and repairs (`fsck`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use rustix::fs::Advice;

use super::change::find;
use super::damage::{other_bytes, wrong_size};
use super::error::Error;
use super::folder::BlobName;
use super::opened::{self, OpenFile};
use super::shared::Shared;
use super::{row, statement, verify};
use crate::checksum::Digester;
use crate::model::{BucketName, ObjectKey, SnapshotName};

/// How long a step takes, but for the blob that it ends with.
const STEP: Duration = Duration::from_secs(1);
/// Blobs that are looked up at once.
const ROWS_AT_ONCE: usize = 16;
/// How much is read at once.
const READ_BYTES: usize = 1 << 20;
/// Objects that are named for each finding.
const OBJECTS_MAX: usize = 10;

/// What there is to read. It stands here as it looks at the whole table.
const TOTALS: &str = "SELECT count(*), coalesce(sum(size), 0) FROM blob";

/// Where a scrub goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrubPosition {
    /// In this snapshot; `None` in the present.
    pub snapshot: Option<SnapshotName>,
    /// Behind this blob.
    pub after: i64,
}

/// A step of a scrub.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Blobs that were read.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is broken.
    pub findings: Vec<ScrubFinding>,
    /// Where the next step begins; `None` at the end.
    pub next: Option<ScrubPosition>,
}

/// A blob that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubFinding {
    /// Its file below the data folder, or its row.
    pub blob: String,
    /// What is wrong, in one word.
    pub problem: Problem,
    /// The same for people.
    pub message: String,
    /// The snapshot that names it, where the present does not.
    pub snapshot: Option<SnapshotName>,
    /// Objects of the present that need it, the first ten.
    pub objects: Vec<(BucketName, ObjectKey)>,
}

/// What is wrong with a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// Its file is gone.
    Missing,
    /// It has more or fewer bytes than were written.
    WrongSize,
    /// It has other bytes than were written.
    WrongDigest,
    /// It cannot be read, which says nothing about its bytes.
    Unreadable,
}

impl Problem {
    fn of(error: &io::Error) -> Self {
        let known = [
            (io::ErrorKind::NotFound, Self::Missing),
            (io::ErrorKind::UnexpectedEof, Self::WrongSize),
            (io::ErrorKind::InvalidData, Self::WrongDigest),
        ];
        let found = known.into_iter().find(|(kind, _)| *kind == error.kind());
        found.map_or(Self::Unreadable, |(_, problem)| problem)
    }
}

/// A row of `blob`.
struct Blob {
    id: i64,
    name: Option<BlobName>,
    size_bytes: u64,
    md5: [u8; 16],
    bytes: Option<Vec<u8>>,
}

/// Keeps a step to its rate.
struct Pace {
    begun: Instant,
    rate_bytes: u64,
    bytes: u64,
}

impl Pace {
    /// So many bytes were read: waits until they were allowed to be.
    async fn took(&mut self, bytes: u64) {
        self.bytes += bytes;
        let due_ms = self.bytes.saturating_mul(1000) / self.rate_bytes.max(1);
        let ahead = Duration::from_millis(due_ms).saturating_sub(self.begun.elapsed());
        if !ahead.is_zero() {
            tokio::time::sleep(ahead).await;
        }
    }
}

/// How much there is to read in the present.
pub(super) async fn totals(shared: &Arc<Shared>) -> Result<(u64, u64), Error> {
    blocking(shared, |shared| {
        shared.readers.read(|connection| {
            let found = find(connection, TOTALS, [], |row| Ok((row::number(row, 0)?, row::number(row, 1)?)))?;
            Ok(found.unwrap_or_default())
        })
    })
    .await
}

/// Reads on from a position for about a second, at so many bytes a second.
pub(super) async fn step(
    shared: &Arc<Shared>,
    mut at: ScrubPosition,
    rate_bytes: u64,
) -> Result<Scrubbed, Error> {
    let mut pace = Pace { begun: Instant::now(), rate_bytes, bytes: 0 };
    let mut done = Scrubbed::default();
    loop {
        let from = at.clone();
        let found = blocking(shared, move |shared| page(shared, &from)).await?;
        for blob in found.blobs {
            at.after = blob.id;
            done.blobs += 1;
            done.bytes += blob.size_bytes;
            if let Some(error) = look_at(shared, &blob, &mut pace).await? {
                let snapshot = at.snapshot.clone();
                let told = blocking(shared, move |shared| tell(shared, &blob, &error, snapshot)).await?;
                done.findings.extend(told);
            }
            if pace.begun.elapsed() >= STEP {
                done.next = Some(at);
                return Ok(done);
            }
        }
        match found.next {
            Some(next) => at = next,
            None => return Ok(done),
        }
        // A page may have nothing to read: a snapshot names much that was read with the present.
        if pace.begun.elapsed() >= STEP {
            done.next = Some(at);
            return Ok(done);
        }
    }
}

/// Does what may wait for the disk where that holds up nobody.
async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let shared = Arc::clone(shared);
    // The runtime drops blocking work only while it shuts down.
    tokio::task::spawn_blocking(move || work(&shared)).await.map_err(|_| Error::Closed)?
}

/// Blobs to read, and where the next ones are.
struct Page {
    blobs: Vec<Blob>,
    next: Option<ScrubPosition>,
}

fn page(shared: &Shared, from: &ScrubPosition) -> Result<Page, Error> {
    let Some(snapshot) = &from.snapshot else {
        let blobs = shared.readers.read(|connection| rows(connection, from.after))?;
        return page_of(shared, from, blobs);
    };
    let kept = shared.snapshots.lock()?;
    // It may have been deleted since, or was never readable: the next one then.
    let mut blobs =
        kept.get(snapshot).map_or_else(|_| Ok(Vec::new()), |(_, index)| rows(index, from.after))?;
    let end = blobs.last().map(|blob| blob.id);
    let mut error = None;
    blobs.retain(|blob| match &blob.name {
        None => true,
        Some(name) => !is_named_before(shared, &kept, name, snapshot).unwrap_or_else(|failed| {
            error = Some(failed);
            true
        }),
    });
    drop(kept);
    match (error, end) {
        (Some(failed), _) => Err(failed),
        (None, Some(after)) => {
            let next = ScrubPosition { snapshot: from.snapshot.clone(), after };
            Ok(Page { blobs, next: Some(next) })
        }
        (None, None) => page_of(shared, from, blobs),
    }
}

fn page_of(shared: &Shared, from: &ScrubPosition, blobs: Vec<Blob>) -> Result<Page, Error> {
    let next = match blobs.last() {
        Some(last) => Some(ScrubPosition { after: last.id, ..from.clone() }),
        None => next_snapshot(shared, from.snapshot.as_ref())?,
    };
    Ok(Page { blobs, next })
}

/// The first snapshot behind this one, in the order of their names.
fn next_snapshot(shared: &Shared, snapshot: Option<&SnapshotName>) -> Result<Option<ScrubPosition>, Error> {
    let names = shared.snapshots.lock()?.all().into_iter().map(|(name, _)| name);
    let next = names.filter(|name| snapshot.is_none_or(|snapshot| name > snapshot)).min();
    Ok(next.map(|name| ScrubPosition { snapshot: Some(name), after: 0 }))
}

fn rows(connection: &Connection, after: i64) -> Result<Vec<Blob>, Error> {
    let mut statement = connection.prepare_cached(statement::SCRUB_BLOBS)?;
    let mut rows = statement.query(params![after, i64::try_from(ROWS_AT_ONCE).unwrap_or(i64::MAX)])?;
    let mut blobs = Vec::with_capacity(ROWS_AT_ONCE);
    while let Some(row) = rows.next()? {
        let name: Option<String> = row.get(1)?;
        let parsed = name.as_deref().map(|name| {
            BlobName::parse(name).ok_or_else(|| Error::damaged(format_args!("the blob name {name:?}")))
        });
        blobs.push(Blob {
            id: row.get(0)?,
            name: parsed.transpose()?,
            size_bytes: row::number(row, 2)?,
            md5: row::md5(row, 3)?.ok_or_else(|| Error::damaged("a blob without MD5"))?,
            bytes: row.get(4)?,
        });
    }
    Ok(blobs)
}

/// Whether the file was read with the present or an earlier snapshot.
fn is_named_before(
    shared: &Shared,
    kept: &super::snapshot::Kept,
    name: &BlobName,
    snapshot: &SnapshotName,
) -> Result<bool, Error> {
    let has = |connection: &Connection| {
        Ok(connection.prepare_cached(statement::FIND_BLOB_NAME)?.exists([name.as_str()])?)
    };
    if shared.readers.read(has)? {
        return Ok(true);
    }
    for (earlier, _) in kept.all().iter().filter(|(earlier, _)| earlier < snapshot) {
        if let Ok((_, connection)) = kept.get(earlier)
            && has(connection)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads a blob; gives what is wrong with it.
async fn look_at(shared: &Arc<Shared>, blob: &Blob, pace: &mut Pace) -> Result<Option<io::Error>, Error> {
    let Some(name) = &blob.name else {
        let bytes = blob.bytes.as_deref().unwrap_or_default();
        pace.took(bytes.len() as u64).await;
        return Ok(if bytes.len() as u64 != blob.size_bytes {
            Some(wrong_size(blob.size_bytes, bytes.len() as u64))
        } else if verify::are(bytes, blob.md5) {
            None
        } else {
            Some(other_bytes())
        });
    };
    let (opened, wanted) = (name.clone(), blob.size_bytes);
    let opened = blocking(shared, move |shared| Ok(opened::open_exactly(shared, &opened, wanted)));
    let file = match opened.await? {
        Ok(file) => file,
        Err(error) => return Ok(Some(error)),
    };
    match md5_of(file, blob.size_bytes, pace).await? {
        Ok(md5) if md5 == blob.md5 => {
            shared.damage.clear(name.as_str());
            Ok(None)
        }
        Ok(_) => Ok(Some(other_bytes())),
        Err(error) => Ok(Some(error)),
    }
}

/// What is read of a file, and what it is read with.
struct Reading {
    file: OpenFile,
    digester: Digester,
    buffer: Vec<u8>,
}

async fn md5_of(file: OpenFile, size_bytes: u64, pace: &mut Pace) -> Result<io::Result<[u8; 16]>, Error> {
    let length = usize::try_from(size_bytes).unwrap_or(READ_BYTES).min(READ_BYTES);
    let mut reading = Reading { file, digester: Digester::new(&[]), buffer: vec![0; length] };
    let mut at = 0;
    // What is in memory tells nothing of the disk.
    forget(&reading.file.file);
    while at < size_bytes {
        let count = usize::try_from(size_bytes - at).unwrap_or(READ_BYTES).min(READ_BYTES);
        let work = tokio::task::spawn_blocking(move || {
            let piece = &mut reading.buffer[..count];
            let read = reading.file.file.read_exact_at(piece, at);
            reading.digester.update(piece);
            (reading, read)
        });
        let (back, read) = work.await.map_err(|_| Error::Closed)?;
        reading = back;
        if let Err(error) = read {
            return Ok(Err(error));
        }
        at += count as u64;
        pace.took(count as u64).await;
    }
    // Nor shall what clients read be pushed out of memory by this.
    forget(&reading.file.file);
    Ok(Ok(reading.digester.finish().md5))
}

fn forget(file: &File) {
    // It is only advice.
    rustix::fs::fadvise(file, 0, None, Advice::DontNeed).ok();
}

/// Describes a finding, unless the blob has gone in the meantime, as it may.
fn tell(
    shared: &Shared,
    blob: &Blob,
    error: &io::Error,
    snapshot: Option<SnapshotName>,
) -> Result<Option<ScrubFinding>, Error> {
    let named = match &blob.name {
        Some(name) => {
            let kept = shared.snapshots.lock()?;
            let row = shared.readers.read(|connection| {
                Ok(connection.prepare_cached(statement::FIND_BLOB_NAME)?.exists([name.as_str()])?)
            })?;
            if !row && !kept.names(name, None)? {
                shared.damage.clear(name.as_str());
                return Ok(None);
            }
            shared.damage.note(name.as_str(), &error.to_string());
            format!("blobs/{}/{}", name.shelf(), name.as_str())
        }
        None => format!("blob {} in the index", blob.id),
    };
    tracing::error!(blob = named, %error, "a blob is broken");
    let objects = match snapshot {
        Some(_) => Vec::new(),
        None => shared.readers.read(|connection| objects(connection, blob.id))?,
    };
    let message = format!("{named}: {error}");
    Ok(Some(ScrubFinding { blob: named, problem: Problem::of(error), message, snapshot, objects }))
}

/// Objects that are made of a blob.
fn objects(connection: &Connection, blob_id: i64) -> Result<Vec<(BucketName, ObjectKey)>, Error> {
    let mut statement = connection.prepare_cached(statement::OBJECTS_OF_BLOB)?;
    let mut rows = statement.query([blob_id])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()?
        && found.len() < OBJECTS_MAX
    {
        let object = (row::bucket_name(row, 0)?, row::key(row, 1)?);
        if !found.contains(&object) {
            found.push(object);
        }
    }
    Ok(found)
}
