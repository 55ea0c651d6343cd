//! Taking an index as it is that is not the one its folder was last served with, and emptying the
//! quarantine. Both are done on purpose only.

use std::path::Path;

use rusqlite::Connection;

use super::{Error, blobs, check_index_is_there};
use crate::store::change::i64_of;
use crate::store::error::OpenError;
use crate::store::folder::Folder;
use crate::store::mark::{self, Doubt, Facts, Note};
use crate::store::open::{find_snapshots, open_doubtful, open_index};
use crate::store::quarantine::{self, Quarantined};
use crate::store::{Options, statement, transfer};

/// After power loss the mark may be behind: so many numbers may have been given out since it was synced.
const NUMBERS_LEFT_OUT: u64 = 1 << 20;

/// An index that was taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Why it had been refused.
    pub doubt: Doubt,
    /// How many files it does not name, which are in quarantine now.
    pub moved: usize,
}

/// Takes the index of a folder for the right one from now on. What it does not name is moved to the
/// quarantine, since it may be what the missing index named. Gives `None` if there was no doubt.
pub fn accept_index(data_dir: &Path) -> Result<Option<Accepted>, Error> {
    check_index_is_there(data_dir)?;
    transfer::check_finished(data_dir)?;
    let folder = Folder::open(&Options::new(data_dir))?;
    let doubt = match open_index(&folder) {
        Ok(index) => {
            index.close(&folder)?;
            return Ok(None);
        }
        Err(OpenError::Doubtful { doubt, .. }) => doubt,
        Err(error) => return Err(error.into()),
    };
    if matches!(doubt, Doubt::Another { .. }) {
        refuse_snapshots(&folder)?;
    }
    let noted = mark::read(&folder).ok().flatten();
    let mut moved = 0;
    if matches!(doubt, Doubt::OlderThanLog | Doubt::Another { .. }) && folder.log().exists() {
        // SQLite would copy pages of the one index into the other.
        quarantine::move_aside(&folder, &folder.log())?;
        moved += 1;
    }
    let mut index = open_doubtful(&folder)?;
    let (snapshots, _) = find_snapshots(&folder)?;
    let snapshots = snapshots.lock()?;
    for shelf in blobs::entries(&folder.blobs())?.iter().filter(|path| path.is_dir()) {
        for file in blobs::entries(shelf)? {
            if !blobs::is_named(&index.connection, &snapshots, &file)? {
                quarantine::move_aside(&folder, &file)?;
                moved += 1;
            }
        }
    }
    drop(snapshots);
    // Only now: a kill before this leaves an index that is still in doubt.
    raise_counters(&mut index.connection, &index.facts, noted.as_ref())?;
    index.close(&folder)?;
    Ok(Some(Accepted { doubt, moved }))
}

/// Snapshots of one stage beside the index of another: ids mean other things in each.
fn refuse_snapshots(folder: &Folder) -> Result<(), Error> {
    let (snapshots, _) = find_snapshots(folder)?;
    let names: Vec<_> = snapshots.lock()?.all().into_iter().map(|(name, _)| name).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(Error::ForeignSnapshots { folder: folder.snapshots(), names })
}

/// A number that was given out is never given out again, and the index has no fewer commits than the mark.
fn raise_counters(connection: &mut Connection, facts: &Facts, noted: Option<&Note>) -> Result<(), Error> {
    let sequence = facts.sequence.max(noted.map_or(0, |note| note.sequence)) + NUMBERS_LEFT_OUT;
    let commits = facts.commits.max(noted.map_or(0, |note| note.commits)) + 1;
    let raised = connection.transaction()?;
    raised.execute(statement::WRITE_SEQUENCE, [i64_of(sequence)])?;
    raised.execute(statement::WRITE_COMMITS, [i64_of(commits)])?;
    Ok(raised.commit()?)
}

/// Removes what is in quarantine, for good. Gives what it was.
pub fn empty_quarantine(data_dir: &Path) -> Result<Vec<Quarantined>, Error> {
    check_index_is_there(data_dir)?;
    let folder = Folder::open(&Options::new(data_dir))?;
    Ok(quarantine::empty(&folder)?)
}
