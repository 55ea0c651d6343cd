//! One fetch of one key into the store: how far it is, and who waits for more.
//!
//! Deliberately elsewhere: the fetch itself (`fill`), which keys are being fetched (`flights`), and
//! handing the bytes out (`reader`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::Error;
use crate::model::{ByteRange, RangeSpec};
use crate::store::{self, Object, Tail};
use crate::upstream::Remote;

/// A fetch on its way. Its task writes to it; any number of readers follow.
#[derive(Debug)]
pub(super) struct Flight {
    stage: Mutex<Stage>,
    changed: Arc<Notify>,
    /// Whether its turn has not come yet.
    is_queued: AtomicBool,
}

/// How far a flight is. It only goes forward.
#[derive(Debug, Clone)]
enum Stage {
    /// Upstream was not asked yet, or did not answer yet.
    Asking,
    /// The head is here. Of the file, where there is one already, so many bytes can be read.
    Arriving { remote: Arc<Remote>, file: Option<Tail>, readable: u64 },
    /// All is here and verified.
    Landed(Landed),
    /// Upstream has no such key.
    Absent,
    /// Nothing was kept.
    Failed(Error),
}

/// A fetch that ended well.
#[derive(Debug, Clone)]
pub(super) struct Landed {
    /// What upstream says of the object, and its size.
    pub(super) remote: Arc<Remote>,
    /// The object as it is kept; `None` if something was written or deleted here meanwhile, if the
    /// store went back to a snapshot, or if it is not certain to be whole.
    pub(super) kept: Option<Arc<Object>>,
    /// Whether these are certainly all of its bytes: a length, chunks or a digest say so.
    pub(super) is_certain: bool,
    /// Its bytes, whether it is kept or not.
    pub(super) bytes: Spooled,
}

/// Where the bytes of a flight that has landed are.
#[derive(Debug, Clone)]
pub(super) enum Spooled {
    /// They were few.
    Memory(Bytes),
    /// In a file, which is there as long as it is held.
    File(Tail),
}

/// What a reader finds of the range that it wants next.
#[derive(Debug)]
pub(super) enum Next {
    /// Nothing yet.
    Wait,
    /// These bytes can be read from there.
    Ready(Spooled, ByteRange),
    /// Nothing any more.
    Failed(Error),
}

impl Flight {
    /// A flight that has not begun.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            stage: Mutex::new(Stage::Asking),
            changed: Arc::new(Notify::new()),
            is_queued: AtomicBool::new(true),
        })
    }

    /// Its turn has come.
    pub(super) fn start(&self) {
        self.is_queued.store(false, Ordering::Relaxed);
    }

    /// Ends if the flight still waits for its turn after this time, and else never.
    pub(super) async fn overdue(&self, patience: Duration) {
        tokio::time::sleep(patience).await;
        if !self.is_queued.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    /// Upstream has answered.
    pub(super) fn begin(&self, remote: Arc<Remote>) {
        self.set(Stage::Arriving { remote, file: None, readable: 0 });
    }

    /// So many bytes of the file can be read.
    pub(super) fn advance(&self, tail: Tail, readable_now: u64) {
        match &mut *self.lock() {
            Stage::Arriving { file, readable, .. } if *readable < readable_now => {
                *file = Some(tail);
                *readable = readable_now;
            }
            Stage::Asking | Stage::Arriving { .. } | Stage::Landed(_) | Stage::Absent | Stage::Failed(_) => {
                return;
            }
        }
        self.changed.notify_waiters();
    }

    /// The end: verified and committed, or absent, or failed.
    pub(super) fn end(&self, outcome: Result<Option<Landed>, Error>) {
        self.set(match outcome {
            Ok(Some(landed)) => Stage::Landed(landed),
            Ok(None) => Stage::Absent,
            Err(error) => Stage::Failed(error),
        });
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        match *self.lock() {
            Stage::Asking | Stage::Arriving { .. } => false,
            Stage::Landed(_) | Stage::Absent | Stage::Failed(_) => true,
        }
    }

    /// Waits for the end; `None` if upstream has no such key.
    pub(super) async fn landed(&self) -> Result<Option<Landed>, Error> {
        loop {
            let changed = self.changed.notified();
            match self.stage() {
                Stage::Asking | Stage::Arriving { .. } => changed.await,
                Stage::Landed(landed) => return Ok(Some(landed)),
                Stage::Absent => return Ok(None),
                Stage::Failed(error) => return Err(error),
            }
        }
    }

    /// Waits until the object can be described and there is something to read: the size is known and
    /// the file has begun, or all is here. Until then a failure still has a status of its own, and
    /// nobody could be given a byte.
    pub(super) async fn described(&self) -> Result<Option<Description>, Error> {
        loop {
            let changed = self.changed.notified();
            match self.stage() {
                Stage::Arriving { remote, file: Some(_), .. } if remote.size_bytes.is_some() => {
                    return Ok(Some(Description { remote, kept: None }));
                }
                Stage::Asking | Stage::Arriving { .. } => changed.await,
                Stage::Landed(Landed { remote, kept, .. }) => return Ok(Some(Description { remote, kept })),
                Stage::Absent => return Ok(None),
                Stage::Failed(error) => return Err(error),
            }
        }
    }

    /// What the flight knows of the object, if all bytes of the range can be read now.
    pub(super) fn covers(&self, range: RangeSpec) -> Option<Description> {
        let (remote, kept, safe) = match self.stage() {
            Stage::Arriving { remote, readable, .. } => {
                let safe = held_back(readable, remote.size_bytes?);
                (remote, None, safe)
            }
            Stage::Landed(Landed { remote, kept, .. }) => {
                let size = remote.size_bytes?;
                (remote, kept, size)
            }
            Stage::Asking | Stage::Absent | Stage::Failed(_) => return None,
        };
        let range = range.resolve(remote.size_bytes?).ok()?;
        (range.end <= safe).then_some(Description { remote, kept })
    }

    /// What can be read of a range.
    pub(super) fn next(&self, wanted: ByteRange) -> Next {
        match &*self.lock() {
            Stage::Arriving { file: Some(file), readable, remote } => {
                let safe = held_back(*readable, remote.size_bytes.unwrap_or(*readable));
                let end = wanted.end.min(safe);
                if wanted.start < end {
                    Next::Ready(Spooled::File(file.clone()), ByteRange { end, ..wanted })
                } else {
                    Next::Wait
                }
            }
            Stage::Asking | Stage::Arriving { .. } => Next::Wait,
            Stage::Landed(landed) => Next::Ready(landed.bytes.clone(), wanted),
            Stage::Failed(error) => Next::Failed(error.clone()),
            // Nobody reads what was never described.
            Stage::Absent => Next::Failed(store::Error::Closed.into()),
        }
    }

    /// Is woken by the next change. Take it before looking, so that no change is missed.
    pub(super) fn changed(&self) -> OwnedNotified {
        Arc::clone(&self.changed).notified_owned()
    }

    fn stage(&self) -> Stage {
        self.lock().clone()
    }

    fn set(&self, stage: Stage) {
        *self.lock() = stage;
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of an object on its way.
#[derive(Debug)]
pub(super) struct Description {
    /// By upstream; its size is known.
    pub(super) remote: Arc<Remote>,
    /// By the store, once it is kept.
    pub(super) kept: Option<Arc<Object>>,
}

/// How many of the readable bytes may go out before the whole was verified: all but the last one, so
/// that no client takes a damaged object for a whole one.
fn held_back(readable: u64, size_bytes: u64) -> u64 {
    readable.min(size_bytes.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::{Flight, Next, held_back};
    use crate::model::{ByteRange, RangeSpec};
    use crate::store;

    #[test]
    fn the_last_byte_is_held_back() {
        assert_eq!(held_back(0, 10), 0);
        assert_eq!(held_back(9, 10), 9);
        assert_eq!(held_back(10, 10), 9);
        assert_eq!(held_back(0, 0), 0);
    }

    #[tokio::test]
    async fn a_flight_that_failed_says_so_to_everybody() {
        let flight = Flight::new();
        let whole = ByteRange::whole(5);
        assert!(matches!(flight.next(whole), Next::Wait));
        assert!(flight.covers(RangeSpec::From(0)).is_none());
        assert!(!flight.is_over());
        flight.end(Err(store::Error::Closed.into()));
        assert!(flight.is_over());
        assert!(matches!(flight.next(whole), Next::Failed(_)));
        assert!(flight.landed().await.is_err());
        assert!(flight.described().await.is_err());
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_the_end() {
        let flight = Flight::new();
        let (landed, ()) = tokio::join!(flight.landed(), async { flight.end(Ok(None)) });
        assert!(landed.expect("an end").is_none());
    }
}
