//! The files in a tar file, which can only be read from its beginning to its end.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path};
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest as _, Md5};

use super::found::Finder;
use super::item::{From, Item};
use super::plan::Known;
use super::source::Packing;

/// Files up to this size wait in memory for their turn, larger ones in a temporary file.
const MEMORY_BYTES_MAX: u64 = 4 << 20;

/// Finds every file.
pub(super) fn find(path: &Path, packing: Packing, finder: &Finder) {
    let told = |error: std::io::Error| {
        finder.failed(path.display(), error);
    };
    let file = match File::open(path) {
        Ok(file) => BufReader::with_capacity(256 << 10, file),
        Err(error) => return told(error),
    };
    let read = match packing {
        Packing::None => entries(file, path, finder),
        Packing::Gzip => entries(flate2::read::MultiGzDecoder::new(file), path, finder),
        Packing::Zstd => zstd::Decoder::with_buffer(file).and_then(|file| entries(file, path, finder)),
    };
    if let Err(error) = read {
        told(error);
    }
}

fn entries(file: impl Read, path: &Path, finder: &Finder) -> std::io::Result<()> {
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let name = entry.path()?.into_owned();
        let shown = format!("{}: {}", path.display(), name.display());
        // `git archive` begins with a header for all entries: the commit's name.
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        if !matches!(kind, tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse) {
            finder.failed(shown, "is no file but a link or a device");
            continue;
        }
        let name = match relative(&name) {
            Ok(name) => name,
            Err(why) => {
                finder.failed(shown, why);
                continue;
            }
        };
        let Some(key) = finder.key(&shown, &name) else { continue };
        let size_bytes = entry.size();
        let (from, md5) = spool(&mut entry, size_bytes)?;
        let known = Known { size_bytes, etag: None, md5: Some(md5) };
        if !finder.found(Item { key, name: shown, known, from }) {
            return Ok(());
        }
    }
    Ok(())
}

/// The name of an entry as keys have it: relative, without `.`, and never leading up.
fn relative(path: &Path) -> Result<String, &'static str> {
    let mut steps = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(step) => {
                steps.push(step.to_str().ok_or("its name is not UTF-8, which keys are")?);
            }
            Component::ParentDir => return Err("its name leads up, out of the file"),
            Component::RootDir | Component::Prefix(_) => return Err("its name is absolute"),
        }
    }
    Ok(steps.join("/"))
}

/// Puts the bytes of an entry aside, so that the next entry can be read while they are copied.
fn spool(entry: &mut impl Read, size_bytes: u64) -> std::io::Result<(From, [u8; 16])> {
    let mut entry = Digesting { inner: entry.take(size_bytes), md5: Md5::new() };
    let from = if size_bytes <= MEMORY_BYTES_MAX {
        let mut bytes = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or_default());
        entry.read_to_end(&mut bytes)?;
        From::Memory(Bytes::from(bytes))
    } else {
        let mut file = tempfile::tempfile()?;
        std::io::copy(&mut entry, &mut file)?;
        From::Spooled(Arc::new(file))
    };
    if entry.inner.limit() > 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok((from, entry.md5.finalize().into()))
}

/// Digests what is read.
struct Digesting<R> {
    inner: std::io::Take<R>,
    md5: Md5,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.md5.update(&buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::found::{Finder, Found};
    use super::{entries, relative};

    #[test]
    fn the_header_that_git_writes_is_no_file() {
        let mut builder = tar::Builder::new(Vec::new());
        let comment = b"19 comment=0123456\n";
        let mut global = tar::Header::new_ustar();
        global.set_entry_type(tar::EntryType::XGlobalHeader);
        global.set_size(comment.len() as u64);
        builder.append_data(&mut global, "pax_global_header", &comment[..]).expect("memory");
        let mut header = tar::Header::new_ustar();
        header.set_size(1);
        builder.append_data(&mut header, "a", &b"1"[..]).expect("memory");
        let archive = builder.into_inner().expect("memory");
        let (sender, mut found) = tokio::sync::mpsc::channel(8);
        let finder = Finder::new(sender, "pub/".to_owned());
        entries(&archive[..], Path::new("x.tar"), &finder).expect("an archive");
        drop(finder);
        let mut told = Vec::new();
        while let Some(next) = found.blocking_recv() {
            told.push(match next {
                Found::Item(item) => item.key.as_str().to_owned(),
                Found::Failed(name, why) => format!("{name}: {why}"),
            });
        }
        assert_eq!(told, ["pub/a"]);
    }

    #[test]
    fn names_stay_within() {
        for (name, expected) in [
            ("a", Some("a")),
            ("./a/./b", Some("a/b")),
            ("a/b/", Some("a/b")),
            ("a//b", Some("a/b")),
            ("../a", None),
            ("a/../../b", None),
            ("/etc/passwd", None),
        ] {
            assert_eq!(relative(Path::new(name)).ok().as_deref(), expected, "{name}");
        }
    }
}
