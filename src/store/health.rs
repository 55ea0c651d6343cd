//! Whether the store can do its work, found out by doing what a write does: a file among those on their
//! way in, written and synced, and a commit of the writer's that changes nothing.
//!
//! It is tried on a thread of its own, once a second at most, and nobody waits for it for long: a disk
//! that does not answer is ill.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::error::Error;
use super::job::Job;
use super::open::read_sequence;
use super::private;
use super::shared::Shared;
use super::writer::Writer;

/// What was found out holds for so long.
const FRESH: Duration = Duration::from_secs(1);
/// A store that was well a moment ago is given so long to show that it still is, before the earlier
/// answer is given again: a disk in full use is slow, and health checks are answered at once.
const AT_ONCE: Duration = Duration::from_millis(50);
/// A disk that takes longer is ill.
const PATIENCE: Duration = Duration::from_secs(2);

/// What waits for the writer, which may be at long work.
const WRITE_INDEX: &str = "write its index";

/// Why the store cannot do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Illness {
    /// It was closed, or its writer is gone.
    #[error("the store is closed")]
    Closed,
    /// Something that a write needs failed.
    #[error("the store cannot {doing}: {reason}{}", free(*free_bytes))]
    Failed {
        /// What.
        doing: &'static str,
        /// The folder or file, and what the system said.
        reason: String,
        /// What is free on the disk, where it says so.
        free_bytes: Option<u64>,
    },
    /// Something does not come to an end.
    #[error("the store tries to {doing} and has not come to an end for {} s: the disk under {} may hang", waited.as_secs(), folder.display())]
    Hung {
        /// What.
        doing: &'static str,
        /// The data folder.
        folder: PathBuf,
        /// For how long.
        waited: Duration,
    },
}

fn free(bytes: Option<u64>) -> String {
    bytes.map_or_else(String::new, |bytes| format!(" ({bytes} bytes are free)"))
}

/// The last examination, and the one under way.
#[derive(Debug)]
pub(super) struct Examiner {
    state: Mutex<State>,
    ended: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<(Instant, Result<(), Illness>)>,
    begun: Option<Instant>,
    doing: &'static str,
}

impl Default for Examiner {
    fn default() -> Self {
        Self { state: Mutex::default(), ended: watch::Sender::new(()) }
    }
}

/// Who is examined.
#[derive(Debug, Clone)]
pub(super) struct Patient {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: Arc<Writer>,
    pub(super) examiner: Arc<Examiner>,
}

impl Patient {
    /// How the store is. The answer may be a second old.
    pub(super) async fn health(self) -> Result<(), Illness> {
        if !self.writer.is_alive() {
            return Err(Illness::Closed);
        }
        let mut ended = self.examiner.ended.subscribe();
        let patience = match self.begin() {
            Asked::Fresh(answer) => return answer,
            Asked::Wait(patience) => patience,
        };
        // An error would mean that the examiner is gone, which is here.
        drop(tokio::time::timeout(patience, ended.changed()).await);
        let state = self.examiner.lock();
        match (state.begun, &state.last) {
            (Some(begun), last) if last.is_none() || begun.elapsed() >= PATIENCE => {
                let waited = self.waited(&state, begun);
                if waited < PATIENCE && state.doing == WRITE_INDEX {
                    // An administrator's work is under way, and all that came before it was well.
                    return last.as_ref().map_or(Ok(()), |(_, answer)| answer.clone());
                }
                Err(self.hung(&state, waited))
            }
            (_, Some((_, answer))) => answer.clone(),
            (_, None) => Err(Illness::Closed),
        }
    }

    /// For how long the examination that began then has waited for the disk.
    fn waited(&self, state: &State, begun: Instant) -> Duration {
        if state.doing == WRITE_INDEX { self.shared.holds.waited(begun) } else { begun.elapsed() }
    }

    fn hung(&self, state: &State, waited: Duration) -> Illness {
        let folder = self.shared.folder.root().to_owned();
        Illness::Hung { doing: state.doing, folder, waited }
    }

    /// Begins an examination unless one is under way or was just done.
    fn begin(&self) -> Asked {
        let mut state = self.examiner.lock();
        if let Some((at, answer)) = &state.last
            && at.elapsed() < FRESH
            && state.begun.is_none()
        {
            return Asked::Fresh(answer.clone());
        }
        let was_well = matches!(state.last, Some((_, Ok(()))));
        let patience = if was_well { AT_ONCE } else { PATIENCE };
        if let Some(begun) = state.begun {
            return Asked::Wait(patience.min(PATIENCE.saturating_sub(begun.elapsed())));
        }
        let patient = self.clone();
        let started = std::thread::Builder::new().name("store-health".to_owned()).spawn(move || {
            let _ending = Ending(&patient.examiner);
            let answer = patient.examine();
            patient.examiner.lock().last = Some((Instant::now(), answer));
        });
        match started {
            Ok(_detached) => {
                state.begun = Some(Instant::now());
                Asked::Wait(patience)
            }
            Err(error) => Asked::Fresh(Err(self.failed("start a thread", &error))),
        }
    }

    /// Does what a write does.
    fn examine(&self) -> Result<(), Illness> {
        let Self { shared, writer, .. } = self;
        let folder = &shared.folder;
        self.examiner.doing("keep room on its disk");
        folder.check_room(0).map_err(|error| self.failed("take uploads", &error))?;
        self.examiner.doing("write a file");
        let probe = folder.staging_path(&folder.new_name());
        let written = self.write(&probe);
        // Also where it could not be written whole.
        let removed = fs::remove_file(&probe).map_err(|error| Error::file(&probe, error));
        written.and(removed).map_err(|error| self.failed("write a file", &error))?;
        self.examiner.doing(WRITE_INDEX);
        // It would be behind an administrator's work, which is a sign that it can be done.
        if !shared.holds.is_at_long_work() {
            match writer.ask_blocking(Job::Touch) {
                Ok(()) => {}
                Err(Error::Closed) => return Err(Illness::Closed),
                Err(error) => return Err(self.failed(WRITE_INDEX, &error)),
            }
        }
        self.examiner.doing("read its index");
        let read = shared.readers.read(|connection| read_sequence(connection).map(drop));
        read.map_err(|error| self.failed("read its index", &error))
    }

    fn write(&self, path: &Path) -> Result<(), Error> {
        let folder = &self.shared.folder;
        let failed = |error| folder.explain(path, error);
        let mut file = private::create_new(path).map_err(failed)?;
        file.write_all(&[b'u'; 4096]).map_err(failed)?;
        folder.sync_file(&file, path)
    }

    fn failed(&self, doing: &'static str, error: &(dyn std::error::Error + 'static)) -> Illness {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason = format!("{reason}: {error}");
            cause = error.source();
        }
        // A full disk says itself how full it is.
        let is_full = matches!(error.downcast_ref::<Error>(), Some(Error::Full { .. }));
        let free_bytes = if is_full { None } else { self.shared.folder.free_bytes() };
        Illness::Failed { doing, reason, free_bytes }
    }
}

/// Says that an examination has ended, also if it panicked.
struct Ending<'a>(&'a Examiner);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if std::thread::panicking() {
            let reason = "the examination panicked; the log says where".to_owned();
            let failed = Illness::Failed { doing: state.doing, reason, free_bytes: None };
            state.last = Some((Instant::now(), Err(failed)));
        }
        state.begun = None;
        drop(state);
        self.0.ended.send_replace(());
    }
}

/// What who asks gets.
enum Asked {
    Fresh(Result<(), Illness>),
    Wait(Duration),
}

impl Examiner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doing(&self, doing: &'static str) {
        self.lock().doing = doing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_examination_that_panics_has_ended_and_is_told() {
        let examiner = Examiner::default();
        examiner.lock().begun = Some(Instant::now());
        examiner.doing("write a file");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ending = Ending(&examiner);
            std::panic::resume_unwind(Box::new("in a test"));
        }));
        panicked.expect_err("it was told to");
        let state = examiner.lock();
        assert_eq!(state.begun, None);
        let Some((_, Err(Illness::Failed { doing, .. }))) = &state.last else { panic!("{state:?}") };
        assert_eq!(*doing, "write a file");
    }
}
