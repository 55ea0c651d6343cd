//! The data folder: its lock, its layout, and how much room the disk under it has.
//!
//! ```text
//! lock          names the process that serves the folder, which holds a lock on the folder itself
//! index.sqlite  and its -wal and -shm
//! staging/      bodies on their way in
//! blobs/xx/     bodies that rows name; xx are the last two digits of the name
//! blobs.mark    which index the blobs belong to, and how far it has come: see `mark`
//! quarantine/   what was found among the blobs and the index cannot have known
//! snapshots/    copies of the index, each named NAME.sqlite
//! ballast       room for when the disk is full
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::Access;
use rustix::io::Errno;

use super::ballast::Ballast;
use super::error::{Error, OpenError};
use super::lock::Lock;
use super::{Durability, Options, private};

/// So many names more than were given out does the index know of: few, as each is a blob that an older
/// copy of the index would take for one that it has deleted.
pub(super) const NAMES_AHEAD: u64 = 64;

/// The room that a deletion, the start or the log of the index may need.
const WAY_BYTES: u64 = 4 << 20;

/// The data folder of an open store.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    durability: Durability,
    reserve_bytes: u64,
    ballast: Ballast,
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
    _lock: Lock,
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
        private::make_folders(&root).map_err(refused)?;
        let ballast = match options.durability {
            Durability::Synced => Ballast::find(&root, options.ballast_bytes),
            Durability::Ephemeral => Ballast::find(&root, 0),
        };
        let lock = Lock::take(&root)?;
        // What follows writes a little, which must not fail for want of it.
        ballast.release_if_short(free_bytes(&root), WAY_BYTES);
        for below in ["staging", "blobs"] {
            match private::make_folder(&root.join(below)) {
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
            ballast,
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

    /// The log of the index.
    pub(super) fn log(&self) -> PathBuf {
        self.root.join("index.sqlite-wal")
    }

    /// Where bodies are on their way in.
    pub(super) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// Where bodies are that rows name.
    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Where it is noted how far the index has come.
    pub(super) fn mark(&self) -> PathBuf {
        self.root.join("blobs.mark")
    }

    /// Where what the index cannot have known is moved to.
    pub(super) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// Where the snapshots are, if there is any.
    pub(super) fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    /// Whether it holds what only an index can name: blobs, or the mark of an index.
    pub(super) fn is_in_use(&self) -> bool {
        let has_any = |path: PathBuf| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        let mut shelves = fs::read_dir(self.blobs()).into_iter().flatten().filter_map(Result::ok);
        self.mark().exists() || shelves.any(|shelf| has_any(shelf.path())) || has_any(self.snapshots())
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
        BlobName(self.name_behind(self.files.fetch_add(1, Ordering::Relaxed)))
    }

    /// How the names of this process's files begin.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// How many names were given out.
    pub(super) fn names_given(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// The name that is given out behind this many others.
    pub(super) fn name_behind(&self, others: u64) -> String {
        format!("{}{others:012x}", self.run)
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
            private::make_folders(&folder)?;
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

    /// Makes room for what must go on when the disk is full, as far as the ballast has it.
    pub(super) fn make_way(&self, needed_bytes: u64) {
        self.ballast.release_if_short(self.free_bytes(), needed_bytes.max(WAY_BYTES));
    }

    /// The disk has no room for a write, whatever it says of itself: a quota is not in what is free.
    pub(super) fn give_up_ballast(&self) {
        self.ballast.release();
    }

    /// Makes the ballast again where there is room.
    pub(super) fn tend_ballast(&self) {
        if !self.ballast.is_whole() {
            self.ballast.restore(self.free_bytes(), self.reserve_bytes);
        }
    }

    /// Refuses `more_bytes` that would not fit at all, reserve or not.
    pub(super) fn check_bare_room(&self, more_bytes: u64) -> Result<(), Error> {
        match self.available_bytes() {
            Some(available) if available < more_bytes => Err(self.full()),
            _ => Ok(()),
        }
    }

    /// What is free on the disk; `None` where the file system does not say.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        free_bytes(&self.root)
    }

    /// What is free and not spoken for; `None` where the file system does not say.
    fn available_bytes(&self) -> Option<u64> {
        let pending_bytes = self.index_pending_bytes.load(Ordering::Relaxed);
        self.free_bytes().map(|free| free.saturating_sub(pending_bytes))
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

fn free_bytes(root: &Path) -> Option<u64> {
    let space = rustix::fs::statvfs(root).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
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
