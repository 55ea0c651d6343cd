//! A stage out of one file. Nothing that the file says is believed before it was compared.

use std::io::{self, Read};
use std::path::Path;

use md5::{Digest as _, Md5};
use rusqlite::{Connection, OpenFlags};
use tar::{Entry, EntryType};

use super::export::{Digesting, FORMAT, INDEX, MANIFEST, Manifest, sha256_of};
use super::target::{Target, write_file};
use super::{Blob, Error, Moved, Progress, totals};
use crate::store::change::find;
use crate::store::folder::BlobName;
use crate::store::migrate;

/// A manifest is some lines.
const MANIFEST_BYTES_MAX: u64 = 64 << 10;

fn bad(reason: impl std::fmt::Display) -> Error {
    Error::BadFile(reason.to_string())
}

/// Makes a data folder of what [`export`](super::export) has written, in a folder that is empty or new.
///
/// Every length and every digest is compared. The folder is a stage when all of it is, and not before.
pub fn import(input: impl Read, to: &Path, mut progress: impl FnMut(Progress)) -> Result<Moved, Error> {
    let decoder = zstd::Decoder::new(input).map_err(bad)?;
    let mut archive = tar::Archive::new(decoder);
    let mut entries = archive.entries().map_err(bad)?;
    let mut next = || entries.next().transpose().map_err(bad);
    let manifest = next()?.ok_or_else(|| bad("it is empty")).and_then(read_manifest)?;
    let mut target = Target::begin(to)?;
    let index = next()?.ok_or_else(|| bad("it ends before the index"))?;
    let connection = place_index(&target, index, &manifest)?;
    let moved = totals(&connection)?;
    if (moved.blobs, moved.blob_bytes) != (manifest.blobs, manifest.blob_bytes) {
        return Err(bad("its index has other blobs than it says"));
    }
    let mut done =
        Progress { blobs_total: moved.blobs, bytes_total: moved.blob_bytes, ..Progress::default() };
    progress(done);
    while let Some(entry) = next()? {
        done.bytes += place_blob(&mut target, &connection, entry)?;
        done.blobs += 1;
        progress(done);
    }
    // No name comes twice: a file that is there is not written again.
    if done.blobs != moved.blobs {
        return Err(bad(format_args!("it has {} of {} blobs", done.blobs, moved.blobs)));
    }
    // The end of what was compressed has a checksum of its own.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(bad)?;
    connection.close().map_err(|(_, error)| error)?;
    target.finish()?;
    Ok(moved)
}

fn is_named<R: Read>(entry: &Entry<'_, R>, name: &str) -> bool {
    entry.header().entry_type() == EntryType::Regular && *entry.path_bytes() == *name.as_bytes()
}

fn read_manifest<R: Read>(entry: Entry<'_, R>) -> Result<Manifest, Error> {
    if !is_named(&entry, MANIFEST) {
        return Err(bad(format_args!("it does not begin with {MANIFEST}")));
    }
    let mut text = String::new();
    entry.take(MANIFEST_BYTES_MAX).read_to_string(&mut text).map_err(bad)?;
    // First the format alone: another one may say other things.
    let document: serde_json::Value = serde_json::from_str(&text).map_err(bad)?;
    match document.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format == u64::from(FORMAT) => serde_json::from_value(document).map_err(bad),
        Some(format) => Err(bad(format_args!("it has format {format}, this understudy reads {FORMAT}"))),
        None => Err(bad("it has no format")),
    }
}

fn place_index<R: Read>(
    target: &Target,
    mut entry: Entry<'_, R>,
    manifest: &Manifest,
) -> Result<Connection, Error> {
    if !is_named(&entry, INDEX) {
        return Err(bad(format_args!("{INDEX} does not come second")));
    }
    let path = target.folder().index();
    target.folder().check_room(manifest.index_bytes.saturating_add(manifest.blob_bytes))?;
    if entry.size() != manifest.index_bytes {
        return Err(bad("its index has another size than it says"));
    }
    write_file(&path, |file| {
        io::copy(&mut entry, file).map(drop).map_err(|error| cut_or_full(target, &path, error))
    })?;
    if sha256_of(&path)? != manifest.index_sha256 {
        return Err(bad("its index has other bytes than it says"));
    }
    check_index(&path)?;
    target.adopt()
}

/// What cannot be copied was either cut off there or has no room here.
fn cut_or_full(target: &Target, path: &Path, error: io::Error) -> Error {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        target.folder().explain(path, error).into()
    } else {
        bad(error)
    }
}

/// Checks that a file is an index as this program would have made it: no table, index, trigger or view
/// is another one.
fn check_index(path: &Path) -> Result<(), Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY")?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let steps = usize::try_from(version).ok().and_then(|version| migrate::STEPS.get(..version));
    let steps = steps
        .ok_or_else(|| bad(format_args!("its index has schema {version}: a newer understudy made it")))?;
    let expected = Connection::open_in_memory()?;
    for step in steps {
        expected.execute_batch(step)?;
    }
    if schema(&connection)? != schema(&expected)? {
        return Err(bad("its index has other tables than an understudy's"));
    }
    let sound: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if sound == "ok" { Ok(()) } else { Err(bad(sound)) }
}

fn schema(connection: &Connection) -> Result<Vec<(String, String, Option<String>)>, Error> {
    let mut statement =
        connection.prepare("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes a blob that the index knows, and compares it. Gives its size.
fn place_blob<R: Read>(
    target: &mut Target,
    connection: &Connection,
    entry: Entry<'_, R>,
) -> Result<u64, Error> {
    let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let name = path.rsplit('/').next().and_then(BlobName::parse);
    let unknown = || bad(format_args!("the entry {path:?} is no blob of its index"));
    let name = name.ok_or_else(unknown)?;
    let sql = "SELECT name, size, md5 FROM blob WHERE name = ?1";
    let blob = find(connection, sql, [name.as_str()], Blob::read)?.ok_or_else(unknown)?;
    if !is_named(&entry, &blob.path()) || entry.size() != blob.size_bytes {
        return Err(unknown());
    }
    let to = target.blob_path(&blob)?;
    if to.exists() {
        return Err(bad(format_args!("the entry {path:?} comes twice")));
    }
    let mut bytes = Digesting { inner: entry, md5: Md5::new(), count: 0 };
    write_file(&to, |file| {
        io::copy(&mut bytes, file).map(drop).map_err(|error| cut_or_full(target, &to, error))
    })?;
    if bytes.count != blob.size_bytes || bytes.md5.finalize()[..] != blob.md5 {
        return Err(bad(format_args!("the entry {path:?} has other bytes than were written")));
    }
    Ok(blob.size_bytes)
}
