//! A stage in one file: a tar in zstd with a manifest, the index, and every blob.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{Blob, Error, Moved, Progress, each_blob, snapshot_file, totals};
use crate::model::SnapshotName;
use crate::store::snapshot::open_reading;

/// The first entry.
pub(super) const MANIFEST: &str = "understudy.json";
/// The second one; all others are blobs, by their paths in a data folder.
pub(super) const INDEX: &str = "index.sqlite";
/// What this understudy writes and reads.
pub(super) const FORMAT: u32 = 1;
/// The level that zstd calls its default: artifacts are compressed already.
const LEVEL: i32 = 3;

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Which kind of file it is.
    pub(super) format: u32,
    /// Who made it.
    pub(super) understudy: String,
    /// The snapshot that it was made of.
    pub(super) snapshot: SnapshotName,
    pub(super) objects: u64,
    pub(super) blobs: u64,
    pub(super) blob_bytes: u64,
    pub(super) index_bytes: u64,
    /// Hexadecimal. The digests of the blobs are in the index.
    pub(super) index_sha256: String,
}

/// Writes a snapshot as one file. Every blob is compared with its digest on the way.
pub fn export(
    from: &Path,
    name: &SnapshotName,
    output: impl Write,
    mut progress: impl FnMut(Progress),
) -> Result<Moved, Error> {
    let path = snapshot_file(from, name)?;
    let connection = open_reading(&path)?;
    let moved = totals(&connection)?;
    let written = |source| Error::file(Path::new("the exported file"), source);
    let mut encoder = zstd::Encoder::new(output, LEVEL).map_err(written)?;
    encoder.include_checksum(true).map_err(written)?;
    let mut tar = tar::Builder::new(encoder);
    let index_bytes = fs::metadata(&path).map_err(|error| Error::file(&path, error))?.len();
    let manifest = Manifest {
        format: FORMAT,
        understudy: env!("CARGO_PKG_VERSION").to_owned(),
        snapshot: name.clone(),
        objects: moved.objects,
        blobs: moved.blobs,
        blob_bytes: moved.blob_bytes,
        index_bytes,
        index_sha256: sha256_of(&path)?,
    };
    let text =
        serde_json::to_string_pretty(&manifest).map_err(|error| Error::BadFile(error.to_string()))? + "\n";
    append(&mut tar, MANIFEST, text.len() as u64, text.as_bytes()).map_err(written)?;
    let index = File::open(&path).map_err(|error| Error::file(&path, error))?;
    append(&mut tar, INDEX, index_bytes, index).map_err(written)?;
    each_blob(&connection, &mut progress, |blob| append_blob(&mut tar, from, blob))?;
    // Deleted meanwhile, it would have kept the blobs no longer.
    snapshot_file(from, name)?;
    let encoder = tar.into_inner().map_err(written)?;
    encoder.finish().and_then(|mut output| output.flush()).map_err(written)?;
    Ok(moved)
}

fn append_blob(tar: &mut tar::Builder<impl Write>, from: &Path, blob: &Blob) -> Result<(), Error> {
    let file = from.join(blob.path());
    let opened = File::open(&file).map_err(|error| Error::file(&file, error))?;
    let mut bytes = Digesting { inner: opened.take(blob.size_bytes), md5: Md5::new(), count: 0 };
    append(tar, &blob.path(), blob.size_bytes, &mut bytes).map_err(|source| Error::file(&file, source))?;
    if bytes.count != blob.size_bytes || bytes.md5.finalize()[..] != blob.md5 {
        return Err(Error::BadBlob { file, problem: "has other bytes than were written" });
    }
    Ok(())
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, size: u64, bytes: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    tar.append_data(&mut header, path, bytes)
}

/// Reads, and digests what was read.
pub(super) struct Digesting<R> {
    pub(super) inner: R,
    pub(super) md5: Md5,
    pub(super) count: u64,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.md5.update(&buffer[..count]);
        self.count += count as u64;
        Ok(count)
    }
}

/// The SHA-256 of a file in hexadecimal.
pub(super) fn sha256_of(path: &Path) -> Result<String, Error> {
    let failed = |source| Error::file(path, source);
    let mut file = File::open(path).map_err(failed)?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hex::encode(digest.finalize())),
            count => digest.update(&buffer[..count]),
        }
    }
}
