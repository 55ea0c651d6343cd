//! How long the writer was held, and by what: nobody else's write goes on meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longer than this, others notice it.
pub(super) const HOLD_MAX: Duration = Duration::from_millis(50);

/// How many rows one transaction changes, so that writes behind it do not wait long: in the order of
/// ten microseconds each.
pub(super) const ROWS_MAX: usize = 2048;

/// An administrator's work may hold the writer for so long before it is taken for a disk that hangs.
const LONG_WORK_MAX: Duration = Duration::from_mins(10);

/// Declares what holds the writer, with the name that the metrics show.
macro_rules! kinds {
    ($($kind:ident = $name:literal,)*) => {
        /// What holds the writer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Kind { $(#[doc = $name] $kind,)* }

        impl Kind {
            /// All of them, in the order of their declaration.
            pub(super) const ALL: &[Self] = &[$(Self::$kind),*];

            /// What the metrics call it.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }
        }
    };
}

kinds! {
    CreateBucket = "create_bucket",
    DeleteBucket = "delete_bucket",
    PutObject = "put_object",
    CacheObject = "cache_object",
    NoteUsed = "note_used",
    Evict = "evict",
    Undelete = "undelete",
    CopyObject = "copy_object",
    ComposeObject = "compose_object",
    MoveObject = "move_object",
    SetTags = "set_tags",
    DeleteObjects = "delete_objects",
    UpdateObject = "update_object",
    SetDigests = "set_digests",
    CreateUpload = "create_upload",
    PutPart = "put_part",
    CopyPart = "copy_part",
    CompleteUpload = "complete_upload",
    AbortUpload = "abort_upload",
    BeginContent = "begin_content",
    AddToContent = "add_to_content",
    AddInventory = "add_inventory",
    CoverInventory = "cover_inventory",
    BeginImport = "begin_import",
    KeepImport = "keep_import",
    DropInventory = "drop_inventory",
    KeepCrawl = "keep_crawl",
    AddTally = "add_tally",
    SetUnderTest = "set_under_test",
    PrepareRestore = "prepare_restore",
    Restore = "restore",
    Sweep = "sweep",
    // What is no job.
    Other = "other",
    Commit = "commit",
    Checkpoint = "checkpoint",
    Transaction = "transaction",
}

impl Kind {
    /// Whether it is work on the stage itself that nobody but its administrator asks for: how many rows
    /// it changes has no bound. It is alone in its transaction.
    pub(super) fn is_administrative(self) -> bool {
        matches!(
            self,
            Self::CoverInventory
                | Self::BeginImport
                | Self::DropInventory
                | Self::KeepCrawl
                | Self::PrepareRestore
                | Self::Restore
                | Self::Other
        )
    }
}

/// The longest time that something held the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// A kind of job; `commit`, which ends a transaction of jobs; `checkpoint`, which follows it; and
    /// `transaction`, which is all from its beginning to its commit.
    pub by: &'static str,
    /// How long.
    pub longest: Duration,
}

/// The longest holds since the start.
#[derive(Debug)]
pub(super) struct Holds {
    longest_us: [AtomicU64; Kind::ALL.len()],
    /// How many transactions took longer than [`HOLD_MAX`].
    slow: AtomicU64,
    long_work: Mutex<LongWork>,
}

/// The last administrative work: whoever waits for the writer meanwhile does not wait for the disk.
#[derive(Debug, Default, Clone, Copy)]
struct LongWork {
    since: Option<Instant>,
    ended: Option<Instant>,
}

impl Default for Holds {
    fn default() -> Self {
        Self {
            longest_us: [const { AtomicU64::new(0) }; Kind::ALL.len()],
            slow: AtomicU64::new(0),
            long_work: Mutex::default(),
        }
    }
}

impl Holds {
    /// Notes that the writer was held.
    pub(super) fn note(&self, by: Kind, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.longest_us[by as usize].fetch_max(micros, Ordering::Relaxed);
        if by == Kind::Transaction && time > HOLD_MAX {
            self.slow.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Administrative work begins to hold the writer.
    pub(super) fn begin_long_work(&self) {
        *self.long_work.lock().unwrap_or_else(PoisonError::into_inner) =
            LongWork { since: Some(Instant::now()), ended: None };
    }

    /// It has come to its end.
    pub(super) fn end_long_work(&self) {
        *self.long_work.lock().unwrap_or_else(PoisonError::into_inner) =
            LongWork { since: None, ended: Some(Instant::now()) };
    }

    /// Whether such work holds the writer, and not for longer than it may.
    pub(super) fn is_at_long_work(&self) -> bool {
        let work = *self.long_work.lock().unwrap_or_else(PoisonError::into_inner);
        work.since.is_some_and(|since| since.elapsed() < LONG_WORK_MAX)
    }

    /// For how long somebody has waited for the writer since `begun`, such work not counted.
    pub(super) fn waited(&self, begun: Instant) -> Duration {
        if self.is_at_long_work() {
            return Duration::ZERO;
        }
        let work = *self.long_work.lock().unwrap_or_else(PoisonError::into_inner);
        work.ended.map_or(begun, |ended| ended.max(begun)).elapsed()
    }

    /// How many transactions held the writer for longer than [`HOLD_MAX`].
    pub(super) fn slow(&self) -> u64 {
        self.slow.load(Ordering::Relaxed)
    }

    /// The longest hold of each kind that there was.
    pub(super) fn longest(&self) -> Vec<Hold> {
        let read = |kind: &Kind| Hold {
            by: kind.name(),
            longest: Duration::from_micros(self.longest_us[*kind as usize].load(Ordering::Relaxed)),
        };
        Kind::ALL.iter().map(read).filter(|hold| !hold.longest.is_zero()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_work_is_no_wait_for_the_disk() {
        let holds = Holds::default();
        let begun = Instant::now().checked_sub(Duration::from_mins(1)).expect("it is past midnight of 1970");
        assert!(holds.waited(begun) >= Duration::from_mins(1));
        holds.begin_long_work();
        assert_eq!((holds.is_at_long_work(), holds.waited(begun)), (true, Duration::ZERO));
        holds.end_long_work();
        assert!(!holds.is_at_long_work() && holds.waited(begun) < Duration::from_mins(1));
        let since = Instant::now().checked_sub(LONG_WORK_MAX);
        *holds.long_work.lock().expect("no panic") = LongWork { since, ended: None };
        assert!(!holds.is_at_long_work(), "it is taken for a disk that hangs");
    }

    #[test]
    fn the_longest_hold_of_each_kind_stays() {
        let holds = Holds::default();
        for ms in [3, 60, 4] {
            holds.note(Kind::Sweep, Duration::from_millis(ms));
            holds.note(Kind::Transaction, Duration::from_millis(ms + 1));
        }
        let longest = |by, ms| Hold { by, longest: Duration::from_millis(ms) };
        assert_eq!(holds.longest(), [longest("sweep", 60), longest("transaction", 61)]);
        assert_eq!(holds.slow(), 1);
    }
}
