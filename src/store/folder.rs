//! The data folder: its lock, its layout, and how much room the disk under it has.
//!
//! ```text
//! lock          held by the process that serves the folder; names it
//! index.sqlite  and its -wal and -shm
//! staging/      bodies on their way in
//! blobs/xx/     bodies that rows name; xx are the last two digits of the name
//! snapshots/    copies of the index, each named NAME.sqlite
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{Access, FlockOperation};
use rustix::io::Errno;

use super::error::{Error, OpenError};
use super::{Durability, Options};

/// The data folder of an open store.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    durability: Durability,
    reserve_bytes: u64,
    /// Begins the name of every file that this process makes, so that the sweep of what earlier
    /// processes left behind can tell them apart.
    run: String,
    files: AtomicU64,
    index_free_bytes: AtomicU64,
    index_pending_bytes: AtomicU64,
    /// What was synced and committed, in this order, so that tests can tell that it was.
    #[cfg(test)]
    pub(super) events: std::sync::Mutex<Vec<Event>>,
    /// Of each shelf, whether `blobs/` was synced since it is there: another thread may have made it.
    shelves: [AtomicBool; 256],
    /// Held open: closing it would release the lock.
    _lock: File,
}

/// Something that must happen in an order.
#[cfg(test)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// The file of this path was synced.
    File(PathBuf),
    /// The folder of this path was synced.
    Folder(PathBuf),
    /// A group was committed.
    Commit,
}

/// The name of a blob's file: 28 hexadecimal digits, and so never a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlobName(String);

impl BlobName {
    const LENGTH: usize = 28;

    /// Reads a name from a row or a folder.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == Self::LENGTH && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder of the file below `blobs/`.
    pub(super) fn shelf(&self) -> &str {
        &self.0[Self::LENGTH - 2..]
    }
}

impl Folder {
    /// Takes the lock of a folder, which is made if need be.
    pub(super) fn open(options: &Options) -> Result<Self, OpenError> {
        let root = options.data_dir.clone();
        let refused = |source| OpenError::not_writable(&root, &root, source);
        let made: Vec<_> = root.ancestors().take_while(|folder| !folder.exists()).collect();
        fs::create_dir_all(&root).map_err(refused)?;
        let lock = lock(&root)?;
        for below in ["staging", "blobs"] {
            match fs::create_dir(root.join(below)) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(refused(error)),
                _ => {}
            }
        }
        check_writable(&root)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| refused(io::Error::other(error.to_string())))?;
        let folder = Self {
            durability: options.durability,
            reserve_bytes: options.reserve_bytes,
            run: hex::encode(random),
            files: AtomicU64::new(0),
            index_free_bytes: AtomicU64::new(0),
            index_pending_bytes: AtomicU64::new(0),
            #[cfg(test)]
            events: std::sync::Mutex::default(),
            shelves: [const { AtomicBool::new(false) }; 256],
            _lock: lock,
            root: root.clone(),
        };
        folder.sync_folder(&root).map_err(refused)?;
        folder.sync_parents(&made);
        Ok(folder)
    }

    /// Has folders that were just made survive power loss.
    fn sync_parents(&self, made: &[&Path]) {
        for parent in made.iter().filter_map(|folder| folder.parent()) {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            // Who may make a folder in another one may not always read that one, and so not sync it.
            if let Err(error) = self.sync_folder(parent) {
                let (folder, parent) = (self.root.display(), parent.display());
                tracing::warn!(%folder, %parent, %error, "the new data folder may not survive power loss yet");
            }
        }
    }

    /// The folder itself.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The index.
    pub(super) fn index(&self) -> PathBuf {
        self.root.join("index.sqlite")
    }

    /// Where bodies are on their way in.
    pub(super) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// Where bodies are that rows name.
    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Where the snapshots are, if there is any.
    pub(super) fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    /// Where a body is on its way in.
    pub(super) fn staging_path(&self, name: &BlobName) -> PathBuf {
        self.staging().join(name.as_str())
    }

    /// Where a blob is.
    pub(super) fn blob_path(&self, name: &BlobName) -> PathBuf {
        self.blobs().join(name.shelf()).join(name.as_str())
    }

    /// The folder that a blob is in.
    pub(super) fn shelf_path(&self, name: &BlobName) -> PathBuf {
        self.blobs().join(name.shelf())
    }

    /// What an answered write survives.
    pub(super) fn durability(&self) -> Durability {
        self.durability
    }

    /// A name that was never used in this folder.
    pub(super) fn new_name(&self) -> BlobName {
        BlobName(format!("{}{:012x}", self.run, self.files.fetch_add(1, Ordering::Relaxed)))
    }

    /// Whether this process made the file of that name.
    pub(super) fn is_ours(&self, file_name: &str) -> bool {
        file_name.starts_with(&self.run)
    }

    /// Moves a finished file from `staging/` to `blobs/`; on return it survives power loss there.
    pub(super) fn place(&self, name: &BlobName) -> Result<(), Error> {
        let (from, to) = (self.staging_path(name), self.blob_path(name));
        let folder = self.blobs().join(name.shelf());
        let moved = fs::rename(&from, &to).or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            fs::create_dir_all(&folder)?;
            fs::rename(&from, &to)
        });
        moved
            .and_then(|()| self.sync_folder(&folder))
            .and_then(|()| self.sync_shelf(name))
            .map_err(|error| self.explain(&to, error))
    }

    /// Has the folder that a blob is in survive power loss.
    fn sync_shelf(&self, name: &BlobName) -> io::Result<()> {
        let number = u8::from_str_radix(name.shelf(), 16).map_err(io::Error::other)?;
        let synced = &self.shelves[usize::from(number)];
        if !synced.load(Ordering::Acquire) {
            self.sync_folder(&self.blobs())?;
            synced.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Has what was made, renamed or removed in a folder survive power loss.
    pub(super) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        match self.durability {
            Durability::Synced => {
                File::open(folder)?.sync_all()?;
                #[cfg(test)]
                self.note_event(Event::Folder(folder.to_owned()));
                Ok(())
            }
            Durability::Ephemeral => Ok(()),
        }
    }

    /// Has the bytes of a file survive power loss.
    pub(super) fn sync_file(&self, file: &File, path: &Path) -> Result<(), Error> {
        match self.durability {
            Durability::Synced => {
                file.sync_data().map_err(|error| self.explain(path, error))?;
                #[cfg(test)]
                self.note_event(Event::File(path.to_owned()));
                Ok(())
            }
            Durability::Ephemeral => Ok(()),
        }
    }

    /// Notes that something has happened.
    #[cfg(test)]
    pub(super) fn note_event(&self, event: Event) {
        self.events.lock().expect("no test panics while it has it").push(event);
    }

    /// Refuses `more_bytes` in files that would not leave the reserve free.
    pub(super) fn check_room(&self, more_bytes: u64) -> Result<(), Error> {
        match self.available_bytes() {
            Some(available) if available < self.reserve_bytes.saturating_add(more_bytes) => Err(self.full()),
            _ => Ok(()),
        }
    }

    /// Refuses `more_bytes` in the index that would not leave the reserve free.
    ///
    /// What deletions freed within the index counts as free, since the index never shrinks; but they
    /// go through its log first, for which a part of the reserve must really be there.
    pub(super) fn check_index_room(&self, more_bytes: u64) -> Result<(), Error> {
        let Some(available) = self.available_bytes() else { return Ok(()) };
        let free = available.saturating_add(self.index_free_bytes.load(Ordering::Relaxed));
        if free < self.reserve_bytes.saturating_add(more_bytes) || available < self.reserve_bytes / 4 {
            return Err(self.full());
        }
        Ok(())
    }

    /// Notes how much of the index is free to be used again, and how much of its log the index will
    /// take in, for which it may grow.
    pub(super) fn note_index(&self, free_bytes: u64, pending_bytes: u64) {
        self.index_free_bytes.store(free_bytes, Ordering::Relaxed);
        self.index_pending_bytes.store(pending_bytes, Ordering::Relaxed);
    }

    /// How much files may take before only the reserve is left; `None` where the file system does not
    /// say.
    pub(super) fn room_bytes(&self) -> Option<u64> {
        Some(self.available_bytes()?.saturating_sub(self.reserve_bytes))
    }

    /// What is free and not spoken for; `None` where the file system does not say.
    fn available_bytes(&self) -> Option<u64> {
        let space = rustix::fs::statvfs(&self.root).ok()?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        Some(free.saturating_sub(self.index_pending_bytes.load(Ordering::Relaxed)))
    }

    fn full(&self) -> Error {
        Error::Full {
            folder: self.root.clone(),
            available_bytes: self.available_bytes().unwrap_or(0),
            reserve_bytes: self.reserve_bytes,
        }
    }

    /// An error of a file, told apart from a full disk.
    pub(super) fn explain(&self, path: &Path, source: io::Error) -> Error {
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            self.full()
        } else {
            Error::File { path: path.to_owned(), source: Arc::new(source) }
        }
    }

    /// An error of the index, told apart from a full disk.
    pub(super) fn explain_index(&self, error: Error) -> Error {
        let Error::Index(source) = &error else { return error };
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => self.full(),
            // SQLite calls a full disk by this name too, where a sync or a quota finds it.
            Some(rusqlite::ErrorCode::SystemIoFailure)
                if self.available_bytes().is_some_and(|available| available < 1 << 20) =>
            {
                self.full()
            }
            _ => error,
        }
    }
}

/// Whether all of a folder is this user's to change. What another user has made in it would fail
/// later otherwise, in the midst of somebody's upload.
fn check_writable(root: &Path) -> Result<(), OpenError> {
    let below = ["staging", "blobs", "snapshots", "index.sqlite", "index.sqlite-wal"];
    for path in std::iter::once(root.to_owned()).chain(below.map(|name| root.join(name))) {
        match rustix::fs::access(&path, Access::READ_OK | Access::WRITE_OK) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(OpenError::not_writable(root, &path, error.into())),
        }
    }
    Ok(())
}

/// Takes the lock and writes down who holds it.
fn lock(root: &Path) -> Result<File, OpenError> {
    let path = root.join("lock");
    let refused = |source| OpenError::not_writable(root, &path, source);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(refused)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            // Who holds it is only told to people; a file that does not say is no reason to fail.
            let pid = file.read_to_string(&mut holder).ok().and_then(|_| holder.trim().parse().ok());
            return Err(OpenError::Locked { folder: root.to_owned(), pid });
        }
        Err(error) => return Err(refused(error.into())),
    }
    let named =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    named.map_err(refused)?;
    Ok(file)
}
