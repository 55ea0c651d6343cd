//! Every blob: is it there, is it as large as its row says, are its bytes those that were written?

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row};

use super::rows::damage;
use super::{Error, Finding, Progress, Run};
use crate::checksum::Digester;
use crate::store::error::Error as StoreError;
use crate::store::folder::BlobName;
use crate::store::snapshot::Kept;
use crate::store::{quarantine, row};

/// How much is read at once.
const READ_BYTES: usize = 1 << 20;

/// Blobs that cannot be used, and why.
pub(super) type BadBlobs = HashMap<i64, String>;

/// A row of `blob`.
struct Blob {
    id: i64,
    name: Option<String>,
    size_bytes: u64,
    md5: [u8; 16],
    bytes: Option<Vec<u8>>,
}

impl Blob {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            size_bytes: row::number(row, 2)?,
            md5: row::md5(row, 3)?.ok_or_else(|| StoreError::damaged("a blob without MD5"))?,
            bytes: row.get(4)?,
        })
    }
}

/// Checks every blob. Objects that need a bad one are found later, by their rows.
pub(super) fn check_blobs(run: &mut Run<'_>, progress: &mut impl FnMut(Progress)) -> Result<BadBlobs, Error> {
    let mut bad = BadBlobs::new();
    let connection = run.connection;
    let mut statement = connection.prepare("SELECT id, name, size, md5, bytes FROM blob ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let blob = match Blob::read(row) {
            Ok(blob) => blob,
            Err(error) => {
                let finding = Finding::StrayRow { table: "blob", reason: damage(error)? };
                bad.insert(id, finding.to_string());
                run.noted(finding, true);
                continue;
            }
        };
        let (finding, is_new) = look_at(run, &blob);
        match finding {
            // The disk or the permissions may be to blame: its bytes may be as good as ever.
            Some(finding @ Finding::Unreadable { .. }) => run.noted(finding, false),
            Some(finding) => {
                bad.insert(blob.id, finding.to_string());
                // The objects that need it are taken out of service, and its row goes with them.
                run.noted(finding, true);
            }
            None => {}
        }
        if is_new {
            run.report.blobs += 1;
            run.report.bytes += blob.size_bytes;
            progress(Progress { blobs: run.report.blobs, bytes: run.report.bytes });
        }
    }
    Ok(bad)
}

/// What is wrong with a blob, and whether it was looked at for the first time.
fn look_at(run: &mut Run<'_>, blob: &Blob) -> (Option<Finding>, bool) {
    // A copy of what is in the index is checked like it, but it is no further blob.
    let Some(name) = &blob.name else { return (check_inline(run, blob), run.snapshot.is_none()) };
    if let Some(finding) = run.seen.get(name) {
        return (finding.clone(), false);
    }
    let finding = check_file(run, blob, name);
    run.seen.insert(name.clone(), finding.clone());
    (finding, true)
}

fn check_file(run: &Run<'_>, blob: &Blob, name: &str) -> Option<Finding> {
    let Some(name) = BlobName::parse(name) else {
        return Some(Finding::StrayRow { table: "blob", reason: format!("the name {name:?}") });
    };
    let path = run.folder.blob_path(&name);
    let file = below(run.folder.root(), &path);
    let actual_bytes = match fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Finding::MissingFile { file }),
        Err(error) => return Some(Finding::Unreadable { file, message: error.to_string() }),
    };
    if actual_bytes != blob.size_bytes {
        return Some(Finding::WrongSize { blob: file, expected_bytes: blob.size_bytes, actual_bytes });
    }
    if !run.check.verify_digests {
        return None;
    }
    match md5_of(&path) {
        Ok(md5) if md5 == blob.md5 => None,
        Ok(_) => Some(Finding::WrongDigest { blob: file }),
        Err(error) => Some(Finding::Unreadable { file, message: error.to_string() }),
    }
}

fn check_inline(run: &Run<'_>, blob: &Blob) -> Option<Finding> {
    let bytes = blob.bytes.as_deref().unwrap_or_default();
    let name = format!("blob {} in the index", blob.id);
    let actual_bytes = bytes.len() as u64;
    if actual_bytes != blob.size_bytes {
        return Some(Finding::WrongSize { blob: name, expected_bytes: blob.size_bytes, actual_bytes });
    }
    let mut digester = Digester::new(&[]);
    digester.update(bytes);
    let wrong = run.check.verify_digests && digester.finish().md5 != blob.md5;
    wrong.then_some(Finding::WrongDigest { blob: name })
}

fn md5_of(path: &Path) -> io::Result<[u8; 16]> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; READ_BYTES];
    let mut digester = Digester::new(&[]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digester.finish().md5),
            count => digester.update(&buffer[..count]),
        }
    }
}

/// Finds files that no row of any index names. Adds to the files to remove, and gives those that are only to
/// be moved aside.
pub(super) fn find_orphaned_files(
    run: &mut Run<'_>,
    snapshots: &Kept,
    remove: &mut BTreeSet<PathBuf>,
) -> Result<Vec<PathBuf>, Error> {
    let mut aside = Vec::new();
    let root = run.folder.root().to_owned();
    let shelves = entries(&run.folder.blobs())?.into_iter().filter(|path| path.is_dir());
    for folder in shelves.chain([run.folder.staging()]) {
        let staging = folder == run.folder.staging();
        for file in entries(&folder)? {
            // Those whose rows were just removed are in the list already.
            let orphaned = staging || !is_named(run.connection, snapshots, &file)?;
            if !orphaned || remove.contains(&file) {
                continue;
            }
            if staging || can_be_known(run.connection, &file)? {
                run.noted(Finding::OrphanedFile { file: below(&root, &file) }, true);
                remove.insert(file);
            } else {
                run.noted(Finding::UnknownFile { file: below(&root, &file) }, true);
                aside.push(file);
            }
        }
    }
    Ok(aside)
}

/// Finds bytes that no content is made of. Gives their files.
pub(super) fn find_orphaned_rows(run: &mut Run<'_>) -> Result<Vec<PathBuf>, Error> {
    let connection = run.connection;
    let mut files = Vec::new();
    let mut statement = connection.prepare(
        "SELECT id, name FROM blob b WHERE NOT EXISTS (SELECT 1 FROM segment WHERE blob_id = b.id)",
    )?;
    let rows =
        statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?)))?;
    for (id, name) in rows.collect::<Result<Vec<_>, _>>()? {
        let path = name.as_deref().and_then(BlobName::parse).map(|name| run.folder.blob_path(&name));
        let blob = match &path {
            Some(path) => below(run.folder.root(), path),
            None => format!("blob {id} in the index"),
        };
        files.extend(path.filter(|path| path.exists()));
        run.found(Finding::OrphanedBlob { blob }, |connection| {
            connection.execute("DELETE FROM blob WHERE id = ?1", [id])?;
            Ok(())
        })?;
    }
    Ok(files)
}

/// Whether a row of the present or of a snapshot names a file.
pub(super) fn is_named(connection: &Connection, snapshots: &Kept, file: &Path) -> Result<bool, Error> {
    let Some(name) = name_of(file) else { return Ok(false) };
    let mut statement = connection.prepare_cached(crate::store::statement::FIND_BLOB_NAME)?;
    Ok(statement.exists([name.as_str()])? || snapshots.names(&name, None)?)
}

fn can_be_known(connection: &Connection, file: &Path) -> Result<bool, Error> {
    match name_of(file) {
        Some(name) => Ok(quarantine::can_be_known(connection, &name)?),
        None => Ok(false),
    }
}

fn name_of(file: &Path) -> Option<BlobName> {
    BlobName::parse(file.file_name()?.to_str()?)
}

/// What is in a folder, by name.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::File { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// A path as people know it.
fn below(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}
