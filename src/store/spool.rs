//! A large body on its way into a file: received, digested and written at the same time.
//!
//! While one buffer fills, the one before it is digested on one blocking thread and written on
//! another. Threads are taken for a buffer, not for an upload, so that a slow client holds none.
//! Large buffers are few, and for who has much to put into them: a body begins each piece in a small
//! one, goes on in it where no large one is to be had, and gives a large one back that it cannot fill
//! in time ([`Spool::release`]). So nobody waits for a buffer.
//! Files that may become large are written with `O_DIRECT`: they would only push everything else out
//! of the page cache, and the disk is faster without the extra copy.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::task::JoinHandle;

use super::blob::BlobFile;
use super::buffer::{ALIGNMENT, Buffer, SMALL_BYTES};
use super::error::Error;
use super::shared::Shared;
use super::tail::{Growth, Tail};
use super::{Durability, private};
use crate::checksum::{Digester, Digests};

/// A body on its way into a file. Dropping it discards the file.
#[derive(Debug)]
pub(super) struct Spool {
    shared: Arc<Shared>,
    filling: Filling,
    /// How long the large buffer has waited for bytes.
    waited: Duration,
    digesting: Lane<Digester>,
    writing: Lane<Target>,
    growth: Arc<Growth>,
    size_bytes: u64,
}

/// A body that has sent no more than this takes no more.
const LITTLE_BYTES: usize = 1 << 10;

/// How long a large buffer waits for bytes in all. What a client sends in this time is worth a write.
const HOLD_MAX: Duration = Duration::from_millis(250);

/// The piece that comes next.
#[derive(Debug)]
enum Filling {
    /// At most [`SMALL_BYTES`].
    Small(Vec<u8>),
    Large(Buffer),
}

/// What one blocking thread at a time works on.
#[derive(Debug)]
enum Lane<T> {
    Here(T),
    Busy(JoinHandle<Result<T, Error>>),
    /// An error was reported, or the wait for it was given up.
    Lost,
}

/// The file, as far as it is written.
#[derive(Debug)]
struct Target {
    shared: Arc<Shared>,
    growth: Arc<Growth>,
    open: Option<(File, BlobFile)>,
    direct: bool,
    offset: u64,
    expected_bytes: u64,
}

impl<T: Send + 'static> Lane<T> {
    async fn take(&mut self) -> Result<T, Error> {
        match std::mem::replace(self, Self::Lost) {
            Self::Here(value) => Ok(value),
            // The runtime drops blocking work only while it shuts down.
            Self::Busy(task) => task.await.unwrap_or(Err(Error::Closed)),
            Self::Lost => Err(Error::Closed),
        }
    }

    async fn then(
        &mut self,
        work: impl FnOnce(&mut T) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let mut value = self.take().await?;
        *self = Self::Busy(tokio::task::spawn_blocking(move || work(&mut value).map(|()| value)));
        Ok(())
    }
}

impl Spool {
    /// An empty body of which about `expected_bytes` will come.
    pub(super) fn new(shared: Arc<Shared>, digester: Digester, expected_bytes: u64) -> Self {
        let growth = Arc::<Growth>::default();
        let target = Target {
            shared: Arc::clone(&shared),
            growth: Arc::clone(&growth),
            open: None,
            direct: false,
            offset: 0,
            expected_bytes,
        };
        Self {
            shared,
            filling: Filling::Small(Vec::new()),
            waited: Duration::ZERO,
            digesting: Lane::Here(digester),
            writing: Lane::Here(target),
            growth,
            size_bytes: 0,
        }
    }

    /// Takes the next bytes.
    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let taken = self.fill_from(bytes);
            bytes = &bytes[taken..];
            self.size_bytes += taken as u64;
            match &self.filling {
                Filling::Large(buffer) if buffer.is_full() => self.flush().await?,
                // As nothing more fits, there was no large one.
                Filling::Small(piece) if piece.len() == SMALL_BYTES => {
                    self.flush().await?;
                    // Otherwise each body would hold as many pieces as threads are behind.
                    self.settle().await?;
                }
                Filling::Small(_) | Filling::Large(_) => {}
            }
        }
        Ok(())
    }

    /// Takes as many bytes as fit into the piece, in a large buffer if they are enough for one and
    /// there is one.
    fn fill_from(&mut self, bytes: &[u8]) -> usize {
        if let Filling::Small(piece) = &mut self.filling {
            let large = (piece.len() + bytes.len() >= SMALL_BYTES).then(|| self.shared.writing.take_large());
            let Some(mut buffer) = large.flatten() else {
                let taken = bytes.len().min(SMALL_BYTES - piece.len());
                if piece.len() + taken > piece.capacity().max(LITTLE_BYTES) {
                    // A vector that grows by itself takes up to twice as much.
                    piece.reserve_exact(SMALL_BYTES - piece.len());
                }
                piece.extend_from_slice(&bytes[..taken]);
                return taken;
            };
            buffer.fill_from(piece);
            self.waited = Duration::ZERO;
            self.filling = Filling::Large(buffer);
        }
        match &mut self.filling {
            Filling::Large(buffer) => buffer.fill_from(bytes),
            Filling::Small(_) => 0,
        }
    }

    /// How much longer it may wait for bytes with what it holds; no end to it if that is little.
    pub(super) fn may_wait(&self) -> Option<Duration> {
        match self.filling {
            Filling::Small(_) => None,
            Filling::Large(_) => Some(HOLD_MAX.saturating_sub(self.waited)),
        }
    }

    /// Notes for how long bytes were waited for.
    pub(super) fn has_waited(&mut self, time: Duration) {
        self.waited += time;
    }

    /// Writes what there is, so that others get its buffer.
    pub(super) async fn release(&mut self) -> Result<(), Error> {
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let piece = match std::mem::replace(&mut self.filling, Filling::Small(Vec::new())) {
            Filling::Small(piece) if piece.is_empty() => return Ok(()),
            Filling::Small(piece) => Bytes::from(piece),
            Filling::Large(buffer) => Bytes::from_owner(buffer),
        };
        let digested = piece.clone();
        // Held by running work alone, which waits for nobody.
        let hands = Arc::clone(&self.shared.hands).acquire_owned().await;
        let hand = Arc::new(hands.map_err(|_| Error::Closed)?);
        let other = Arc::clone(&hand);
        self.digesting
            .then(move |digester| {
                let _hand = hand;
                digester.update(&digested);
                Ok(())
            })
            .await?;
        let written = self.writing.then(move |target| {
            let _hand = other;
            target.append(&piece)
        });
        written.await
    }

    /// Waits until the pieces so far are digested and written.
    async fn settle(&mut self) -> Result<(), Error> {
        self.digesting = Lane::Here(self.digesting.take().await?);
        self.writing = Lane::Here(self.writing.take().await?);
        Ok(())
    }

    /// The file, once there is one, and how many bytes can be read from it.
    pub(super) fn tail(&self) -> Option<(Tail, u64)> {
        self.growth.tail(&self.shared.tailing)
    }

    /// Ends the body: it is digested, and its file is among the blobs and survives power loss.
    pub(super) async fn finish(mut self) -> Result<(u64, Digests, BlobFile), Error> {
        self.flush().await?;
        let mut target = self.writing.take().await?;
        let placing = tokio::task::spawn_blocking(move || target.place());
        let digests = self.digesting.take().await?.finish();
        let file = placing.await.unwrap_or(Err(Error::Closed))?;
        Ok((self.size_bytes, digests, file))
    }
}

impl Target {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let to_come = self.expected_bytes.saturating_sub(self.offset);
        shared.folder.check_room(to_come.max(bytes.len() as u64))?;
        if self.open.is_none() {
            self.create(bytes.len())?;
        }
        let Some((file, blob)) = &self.open else { return Err(Error::Closed) };
        let written = write_all(file, bytes, &mut self.offset, &mut self.direct);
        written.map_err(|error| shared.folder.explain(blob.path(), error))?;
        self.growth.reached(self.offset);
        Ok(())
    }

    /// Makes the file, for direct writing if its first piece fills a buffer.
    fn create(&mut self, first_bytes: usize) -> Result<(), Error> {
        let folder = &self.shared.folder;
        let name = folder.new_name();
        let path = folder.staging_path(&name);
        self.direct =
            folder.durability() == Durability::Synced && first_bytes >= super::buffer::DIRECT_BYTES_MIN;
        let create = |extra: OFlags| {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::open(&path, flags | extra, Mode::from_raw_mode(private::FILE_MODE))
        };
        let created = match create(if self.direct { OFlags::DIRECT } else { OFlags::empty() }) {
            // File systems that cannot write directly say so here.
            Err(Errno::INVAL) if self.direct => {
                self.direct = false;
                // Some have made the file before they refused.
                drop(std::fs::remove_file(&path));
                create(OFlags::empty())
            }
            created => created,
        };
        let file = File::from(created.map_err(|error| folder.explain(&path, error.into()))?);
        self.growth.begin(&path);
        self.open = Some((file, BlobFile::new(name, path, Arc::clone(&self.shared.pins))));
        Ok(())
    }

    /// Syncs the file and moves it among the blobs.
    fn place(&mut self) -> Result<BlobFile, Error> {
        if self.open.is_none() {
            self.create(0)?;
        }
        let folder = &self.shared.folder;
        let Some((file, mut blob)) = self.open.take() else { return Err(Error::Closed) };
        folder.sync_file(&file, blob.path())?;
        let placed = folder.place(blob.name());
        if placed.is_ok() || !blob.path().exists() {
            // Where the sync of the folder failed, the file has moved all the same.
            blob.moved_to(folder.blob_path(blob.name()));
        }
        placed.map(|()| blob)
    }
}

/// Writes all of `bytes` at `offset`, leaving direct writing where a length is not aligned or the
/// file system refuses it.
fn write_all(file: &File, mut bytes: &[u8], offset: &mut u64, direct: &mut bool) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = if *direct { bytes.len() - bytes.len() % ALIGNMENT } else { bytes.len() };
        if count == 0 {
            leave_direct(file, direct)?;
            continue;
        }
        match rustix::io::pwrite(file, &bytes[..count], *offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                *offset += written as u64;
                if written % ALIGNMENT != 0 && *direct {
                    leave_direct(file, direct)?;
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::INVAL) if *direct => leave_direct(file, direct)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn leave_direct(file: &File, direct: &mut bool) -> io::Result<()> {
    *direct = false;
    let flags = rustix::fs::fcntl_getfl(file)?;
    Ok(rustix::fs::fcntl_setfl(file, flags - OFlags::DIRECT)?)
}
