//! The one connection that writes, and its thread.
//!
//! It takes all jobs that wait, runs each in a savepoint of one transaction, commits once and then
//! answers them all: one sync for many writes. A job that fails changes nothing; if the commit fails
//! it is the answer to every job of the group, and nothing of the group has happened.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::change::Change;
use super::error::Error;
use super::hold::{HOLD_MAX, Kind, ROWS_MAX};
use super::job::{Job, Reply};
use super::mark::Mark;
use super::shared::Shared;
use crate::clock::Clock;

/// How many jobs share a transaction at most.
const GROUP_JOBS: usize = 512;
/// How many bytes of bodies share a transaction, so that one group stays small in memory.
const GROUP_BYTES: usize = 2 << 20;

/// That a transaction took long is said so often at most.
const WARNED_AT_MOST_EVERY: Duration = Duration::from_secs(10);

/// The writing thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
    alive: Arc<AtomicBool>,
}

/// What the writer needs to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// The last sequence number that the index has given out.
    pub(super) sequence: u64,
    /// Where times come from.
    pub(super) clock: Clock,
}

/// Says that the thread is gone, also if it panicked.
struct Alive(Arc<AtomicBool>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        connection: Connection,
        shared: Arc<Shared>,
        settings: Settings,
        mark: Mark,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = channel();
        let alive = Arc::new(AtomicBool::new(true));
        let guard = Alive(Arc::clone(&alive));
        let mut change = Change::new(connection, shared, settings, mark);
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            let _alive = guard;
            serve(&queue, &mut change);
            if let Err(error) = change.finish() {
                tracing::warn!(%error, "the index was not closed in order; the next start reads its log");
            }
        })?;
        Ok(Self { jobs, thread: Mutex::new(Some(thread)), alive })
    }

    /// Queues a job and waits until it is committed or has failed.
    pub(super) async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, Error> {
        self.queue(job)?.await.unwrap_or(Err(Error::Closed))
    }

    /// The same for a thread that is not async.
    pub(super) fn ask_blocking<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, Error> {
        self.queue(job)?.blocking_recv().unwrap_or(Err(Error::Closed))
    }

    /// Queues a job without waiting for it.
    pub(super) fn queue<T>(
        &self,
        job: impl FnOnce(Reply<T>) -> Job,
    ) -> Result<oneshot::Receiver<Result<T, Error>>, Error> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).map_err(|_| Error::Closed)?;
        Ok(answer)
    }

    /// Whether the thread does its work.
    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// Ends what is queued, then the thread. Blocks until then.
    pub(super) fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Neither can fail in a way that matters: the thread is gone afterwards.
            drop(self.jobs.send(Job::Close));
            drop(thread.join());
        }
    }
}

fn serve(queue: &Receiver<Job>, change: &mut Change) {
    let mut warned = None;
    checkpoint(change);
    let mut first = queue.recv().ok();
    while let Some(job) = first {
        let (group, next) = gather(job, queue);
        let last = matches!(next, Some(Job::Close));
        if !group.is_empty() {
            let is_long = is_long_work(&group[0]);
            if is_long {
                change.note_long_work(true);
            }
            commit(change, group, &mut warned);
            // After the answers, so that nobody waits for it.
            checkpoint(change);
            if is_long {
                change.note_long_work(false);
            }
        }
        if last {
            return;
        }
        first = next.or_else(|| queue.recv().ok());
    }
}

/// Whether a job may take minutes without anything being wrong. It is alone in its group.
fn is_long_work(job: &Job) -> bool {
    // What has no kind of its own is not long, but for what only tests do.
    job.kind().is_administrative() && job.kind() != Kind::Other
}

fn checkpoint(change: &mut Change) {
    let begun = Instant::now();
    // If it fails, the log holds everything and the next group tries again.
    drop(change.checkpoint());
    change.note_hold(Kind::Checkpoint, begun.elapsed());
}

/// Takes the jobs that wait, and the one behind them if it was taken from the queue already.
fn gather(first: Job, queue: &Receiver<Job>) -> (Vec<Job>, Option<Job>) {
    let (mut group, mut bytes, mut rows, mut next) = (Vec::new(), 0, 0_usize, Some(first));
    while let Some(job) = next {
        rows = rows.saturating_add(job.rows());
        if matches!(job, Job::Close) || (!group.is_empty() && (job.is_alone() || rows > ROWS_MAX)) {
            return (group, Some(job));
        }
        let alone = job.is_alone();
        bytes += job.weight_bytes();
        group.push(job);
        if alone {
            break;
        }
        next = if group.len() < GROUP_JOBS && bytes < GROUP_BYTES { queue.try_recv().ok() } else { None };
    }
    (group, None)
}

/// Runs a group of jobs, commits it and answers. `warned` is when it was last said that one took long.
pub(super) fn commit(change: &mut Change, group: Vec<Job>, warned: &mut Option<Instant>) {
    let makes_room = group.iter().any(Job::makes_room);
    if makes_room {
        change.make_way();
    }
    let (started, rows, jobs, first) = (Instant::now(), change.rows_changed(), group.len(), group[0].kind());
    let begun = change.begin();
    let answers: Vec<_> = group.into_iter().map(|job| job.run(change, &begun)).collect();
    let worked = started.elapsed();
    let outcome = begun.and_then(|()| change.commit());
    let held = started.elapsed();
    if makes_room && outcome.as_ref().is_err_and(Error::may_lack_room) {
        change.give_up_ballast();
    }
    for answer in answers {
        answer.send(&outcome);
    }
    change.note_hold(Kind::Commit, held.saturating_sub(worked));
    change.note_hold(Kind::Transaction, held);
    if held > HOLD_MAX && warned.is_none_or(|warned| warned.elapsed() > WARNED_AT_MOST_EVERY) {
        *warned = Some(Instant::now());
        let rows = change.rows_changed() - rows;
        tracing::warn!(
            held_ms = u64::try_from(held.as_millis()).unwrap_or(u64::MAX),
            of_which_disk_ms = u64::try_from(held.saturating_sub(worked).as_millis()).unwrap_or(u64::MAX),
            jobs,
            rows,
            first = first.name(),
            "one transaction held up all other writes for long"
        );
    }
}
