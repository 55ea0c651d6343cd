//! When SQLite's log is copied into the index, and what room both need.

use super::Change;
use crate::store::error::Error;
use crate::store::open::PAGE_BYTES;
use crate::store::{row, statement};

/// After so many new pages (of 4 KiB) the log is copied into the index. More would make fewer and
/// larger copies, but also a longer start after a crash.
const LOG_PAGES: u64 = 4000;
/// A log of so many pages is begun anew even if readers must be waited for.
const LOG_PAGES_MAX: u64 = 64_000;
/// The same where only the reserve of the disk is left: then deletions need the room.
const LOG_PAGES_SHORT: u64 = 250;

impl Change {
    /// Copies the log into the index once it has grown by [`LOG_PAGES`]. A log that has become too
    /// large, for the store or for a disk without room, is emptied, even if readers must be waited for.
    pub(in crate::store) fn checkpoint(&mut self) -> Result<(), Error> {
        let (pages, copied) = self.measure(statement::LOG_SIZE)?;
        if pages == copied {
            // SQLite may have copied it by itself, within a commit.
            self.mark.log_copied();
        }
        let short = self.shared.folder.check_room(0).is_err();
        if !short {
            self.shared.folder.tend_ballast();
        }
        let too_many = pages > if short { LOG_PAGES_SHORT } else { LOG_PAGES_MAX };
        // A copy of the index reads for seconds: nobody shall wait for that.
        if too_many && !self.shared.copies.any() {
            self.copy_log(statement::EMPTY_LOG)
        } else if pages.saturating_sub(copied) > LOG_PAGES {
            self.copy_log(statement::COPY_LOG)
        } else {
            Ok(())
        }
    }

    fn copy_log(&mut self, how: &'static str) -> Result<(), Error> {
        let (pages, copied) = self.measure(how)?;
        if pages == copied {
            self.mark.log_copied();
        }
        Ok(())
    }

    /// Notes what room the index and its log need and have. Gives how many pages the log has, and how
    /// many of them are in the index already.
    fn measure(&self, log: &'static str) -> Result<(u64, u64), Error> {
        let log = self.find(log, [], |row| Ok((row::number(row, 1)?, row::number(row, 2)?)))?;
        let (pages, copied) = log.ok_or_else(|| Error::damaged("SQLite does not know its log"))?;
        let free = self.find(statement::FREE_PAGES, [], |row| row::number(row, 0))?.unwrap_or(0);
        let pending = pages.saturating_sub(copied);
        self.shared.folder.note_index(free.saturating_mul(PAGE_BYTES), pending.saturating_mul(PAGE_BYTES));
        Ok((pages, copied))
    }
}
