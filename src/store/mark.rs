//! `blobs.mark`: which index the blobs belong to, and how far it had come.
//!
//! The index and the blobs are one thing in two places, and people move files: they put an older copy of
//! the index back, or remove its log, which held the last writes. An index like that does not name all
//! blobs, and what it does not name must not be taken for left-overs. So the mark keeps, beside the blobs:
//!
//! - the identity of the index;
//! - how many commits it had. It is written behind every commit, and synced only at the start, when the
//!   whole log was copied into the index, and at the end: so it is exact after a kill. After power loss it
//!   may be behind, and says the less for it, but never more than was committed;
//! - how many of them were in the index file itself (`base`), without its log;
//! - whether the index is open, so that its log is needed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crc_fast::CrcAlgorithm;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::folder::Folder;
use super::{Durability, private, statement};

const HEAD: &str = "understudy index mark 1";
/// The schema that has an identity and counts commits.
const SINCE_SCHEMA: u32 = 6;
/// What may stand in the path of a URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// What the mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    /// The identity of the index.
    pub(super) index: String,
    /// How many commits it had.
    pub(super) commits: u64,
    /// How many of them were in its file, without the log.
    pub(super) base: u64,
    /// The last number that was given out.
    pub(super) sequence: u64,
    /// Whether it was not closed in order.
    pub(super) is_open: bool,
}

/// What an index says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Facts {
    /// Its schema; 0 for none at all.
    pub(super) version: u32,
    /// None before [`SINCE_SCHEMA`].
    pub(super) identity: Option<String>,
    pub(super) commits: u64,
    pub(super) sequence: u64,
}

/// Why an index is not taken for the one that the folder was last served with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// An earlier copy of it.
    #[error("it is an older copy: it has {found} commits, and {noted} were noted beside the blobs")]
    Older {
        /// Its commits.
        found: u64,
        /// Those that it should have at least.
        noted: u64,
    },
    /// The server was killed, and what it wrote last was in the log.
    #[error("its log index.sqlite-wal is missing, which had the last writes of a server that was killed")]
    LogMissing,
    /// The log is from a later time than the file that it lies beside.
    #[error("it is an older copy than its log index.sqlite-wal: the two do not belong together")]
    OlderThanLog,
    /// It belongs to other blobs.
    #[error("it is the index of another stage: it is {found}, and the blobs belong to {noted}")]
    Another {
        /// Its identity.
        found: String,
        /// That of the index of these blobs.
        noted: String,
    },
    /// The mark cannot be read, so that nothing is known.
    #[error("{} is damaged, which says how far the index has come", .0.display())]
    BadMark(PathBuf),
}

/// The mark of an index in service.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    /// `None` if it could not be made: then there is less to know an older index by.
    file: Option<File>,
    durability: Durability,
    note: Note,
}

impl Note {
    /// Every note has the same length: one is written over another.
    fn render(&self) -> String {
        let Self { index, commits, base, sequence, is_open } = self;
        let state = if *is_open { "open" } else { "shut" };
        let text = format!(
            "{HEAD}\nindex {index}\ncommits {commits:020}\nbase {base:020}\nsequence {sequence:020}\nstate {state}\n"
        );
        format!("{text}check {:08x}\n", check(&text))
    }

    fn parse(text: &str) -> Option<Self> {
        let (said, checked) = text.split_at_checked(text.rfind("check ")?)?;
        if checked != format!("check {:08x}\n", check(said)) {
            return None;
        }
        let mut lines = said.lines();
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        if field("understudy") != HEAD.strip_prefix("understudy ") {
            return None;
        }
        Some(Self {
            index: field("index")?.to_owned(),
            commits: field("commits")?.parse().ok()?,
            base: field("base")?.parse().ok()?,
            sequence: field("sequence")?.parse().ok()?,
            is_open: field("state")? == "open",
        })
    }

    /// Why the index file, looked at without its log, is not the right one.
    pub(super) fn doubt_of_file(&self, file: &Facts, log_is_there: bool) -> Option<Doubt> {
        if let Some(doubt) = self.doubt_of_identity(file) {
            return Some(doubt);
        }
        if log_is_there {
            return (file.commits < self.base).then_some(Doubt::OlderThanLog);
        }
        // Somebody who opened and closed it with SQLite has had the log copied into it.
        let has_log = file.commits > self.base && file.commits >= self.commits;
        if self.is_open && file.commits >= self.base && !has_log {
            return Some(Doubt::LogMissing);
        }
        self.doubt_of_commits(file)
    }

    /// Why the index with its log is not the right one.
    pub(super) fn doubt_of_index(&self, index: &Facts) -> Option<Doubt> {
        self.doubt_of_identity(index).or_else(|| self.doubt_of_commits(index))
    }

    fn doubt_of_identity(&self, facts: &Facts) -> Option<Doubt> {
        // An older copy may be of a time when there was none.
        let found = facts.identity.as_ref().filter(|identity| **identity != self.index)?;
        Some(Doubt::Another { found: found.clone(), noted: self.index.clone() })
    }

    fn doubt_of_commits(&self, facts: &Facts) -> Option<Doubt> {
        let is_older = facts.commits < self.commits || facts.identity.is_none();
        is_older.then_some(Doubt::Older { found: facts.commits, noted: self.commits })
    }
}

fn check(text: &str) -> u32 {
    u32::try_from(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, text.as_bytes())).unwrap_or(0)
}

/// The mark of a folder, if it has one.
pub(super) fn read(folder: &Folder) -> Result<Option<Note>, Doubt> {
    let path = folder.mark();
    match fs::read(&path) {
        Ok(bytes) => match std::str::from_utf8(&bytes).ok().and_then(Note::parse) {
            Some(note) => Ok(Some(note)),
            None => Err(Doubt::BadMark(path)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(_) => Err(Doubt::BadMark(path)),
    }
}

/// What an open index says of itself.
pub(super) fn facts(connection: &Connection) -> rusqlite::Result<Facts> {
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let number = |sql: &str| -> rusqlite::Result<u64> {
        let found: Option<i64> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
        Ok(found.unwrap_or(0).unsigned_abs())
    };
    if version == 0 {
        return Ok(Facts::default());
    }
    let sequence = number(statement::READ_SEQUENCE)?;
    if version < SINCE_SCHEMA {
        return Ok(Facts { version, sequence, ..Facts::default() });
    }
    let identity = connection.query_row(statement::READ_IDENTITY, [], |row| row.get(0)).optional()?;
    Ok(Facts { version, identity, commits: number(statement::READ_COMMITS)?, sequence })
}

/// What an index file says of itself without its log, which is neither read nor changed. `None` if it says
/// nothing: a kill may have come while its log was copied into it.
pub(super) fn facts_of_file(index: &Path) -> Option<Facts> {
    let path = std::path::absolute(index).ok()?;
    let uri = format!("file:{}?immutable=1", percent_encode(path.as_os_str().as_bytes(), PATH));
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    facts(&Connection::open_with_flags(uri, flags).ok()?).ok()
}

impl Mark {
    /// Writes the mark of an index; on return it survives power loss.
    ///
    /// One that cannot be written does not keep a store from being opened, as on a full disk.
    pub(super) fn begin(folder: &Folder, note: Note) -> Self {
        let path = folder.mark();
        let text = note.render();
        let made = match OpenOptions::new().write(true).open(&path) {
            // In its place, which needs no room. It is smaller than what a disk writes at once.
            Ok(file) if file.metadata().is_ok_and(|found| found.len() == text.len() as u64) => Ok(file),
            _ => create(folder, &path, &text),
        };
        let mut mark = Self { path, file: None, durability: folder.durability(), note };
        match made {
            Ok(file) => {
                mark.file = Some(file);
                mark.write(true);
            }
            Err(error) => mark.complain(&error),
        }
        mark
    }

    /// How many commits it knows of.
    pub(super) fn commits(&self) -> u64 {
        self.note.commits
    }

    /// A group was committed.
    pub(super) fn committed(&mut self, commits: u64, sequence: u64) {
        self.note.commits = commits;
        self.note.sequence = sequence;
        self.write(false);
    }

    /// All that was committed is in the index file.
    pub(super) fn log_copied(&mut self) {
        if self.note.base != self.note.commits {
            self.note.base = self.note.commits;
            self.write(true);
        }
    }

    /// The same, and nothing follows: the log is not needed any more.
    pub(super) fn shut(&mut self) {
        self.note.base = self.note.commits;
        self.note.is_open = false;
        self.write(true);
    }

    fn write(&mut self, synced: bool) {
        let Some(file) = &self.file else { return };
        let mut written = file.write_all_at(self.note.render().as_bytes(), 0);
        if synced && self.durability == Durability::Synced {
            written = written.and_then(|()| file.sync_data());
        }
        if let Err(error) = written {
            self.complain(&error);
            // Nothing more is written: what there is stays true.
            self.file = None;
        }
    }

    fn complain(&self, error: &io::Error) {
        let mark = self.path.display();
        tracing::warn!(%mark, %error, "the mark beside the blobs cannot be written: an older index may not be recognised");
    }
}

/// Makes the file, whole or not at all.
fn create(folder: &Folder, path: &Path, text: &str) -> io::Result<File> {
    let partial = path.with_extension("mark.partial");
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private::create_new(&partial)?;
    file.write_all(text.as_bytes())?;
    if folder.durability() == Durability::Synced {
        file.sync_data()?;
    }
    fs::rename(&partial, path)?;
    folder.sync_folder(folder.root())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(commits: u64, base: u64, is_open: bool) -> Note {
        Note { index: "ab".repeat(16), commits, base, sequence: 77, is_open }
    }

    fn facts(commits: u64) -> Facts {
        Facts { version: 6, identity: Some("ab".repeat(16)), commits, sequence: 5 }
    }

    #[test]
    fn a_note_is_read_as_it_was_written_and_never_otherwise() {
        for is_open in [true, false] {
            let written = note(9, 7, is_open);
            let text = written.render();
            assert_eq!(text.len(), note(u64::MAX, 0, true).render().len());
            assert_eq!(Note::parse(&text), Some(written));
            for at in 0..text.len() {
                assert_eq!(Note::parse(&text[..at]), None, "cut at {at}");
                let mut other = text.clone().into_bytes();
                other[at] ^= 1;
                let other = String::from_utf8(other).expect("still text");
                assert_eq!(Note::parse(&other), None, "another byte at {at}");
            }
        }
    }

    #[test]
    fn an_index_file_is_judged_by_its_identity_its_commits_and_its_log() {
        let older = |found, noted| Some(Doubt::Older { found, noted });
        let (log, none) = (true, false);
        for (noted, found, log_is_there, doubt) in [
            // Closed in order.
            (note(9, 9, false), facts(9), none, None),
            (note(9, 9, false), facts(9), log, None),
            (note(9, 9, false), facts(12), none, None),
            (note(9, 9, false), facts(8), none, older(8, 9)),
            (note(9, 9, false), facts(8), log, Some(Doubt::OlderThanLog)),
            // Killed.
            (note(9, 7, true), facts(7), log, None),
            (note(9, 7, true), facts(6), log, Some(Doubt::OlderThanLog)),
            (note(9, 7, true), facts(7), none, Some(Doubt::LogMissing)),
            (note(7, 7, true), facts(7), none, Some(Doubt::LogMissing)),
            (note(9, 7, true), facts(8), none, Some(Doubt::LogMissing)),
            (note(9, 7, true), facts(9), none, None),
            (note(9, 7, true), facts(6), none, older(6, 9)),
            // Of a time before there were identities: a kill may have come within the first start.
            (note(1, 0, true), Facts { version: 5, ..Facts::default() }, log, None),
            (note(1, 0, true), Facts { version: 5, ..Facts::default() }, none, Some(Doubt::LogMissing)),
            (note(3, 3, false), Facts { version: 5, ..Facts::default() }, none, older(0, 3)),
        ] {
            assert_eq!(
                noted.doubt_of_file(&found, log_is_there),
                doubt,
                "{noted:?} {found:?} {log_is_there}"
            );
        }
        let other = Facts { identity: Some("another".to_owned()), ..facts(99) };
        for is_open in [true, false] {
            let doubt = note(9, 9, is_open).doubt_of_file(&other, is_open);
            assert!(matches!(doubt, Some(Doubt::Another { .. })), "{doubt:?}");
        }
        assert_eq!(note(9, 7, true).doubt_of_index(&facts(8)), older(8, 9));
        assert_eq!(note(9, 7, true).doubt_of_index(&facts(10)), None, "the mark may be behind");
    }
}
