//! When to stop: SIGTERM and SIGINT, the second of which does not wait, and neither does the limit.
//!
//! Signals are waited for on a thread of their own. A disk or a network folder that hangs may hold every
//! thread that serves; the process ends at its limit all the same.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How long what is done at the very end may take: the log's last line, and a temporary folder.
const LAST_WORK: Duration = Duration::from_secs(1);

/// The exit code of a process that did not stop in time.
const LATE_EXIT_CODE: u8 = 1;

/// The signals that end the server.
#[derive(Debug, Clone)]
pub struct StopSignals {
    first: watch::Receiver<Option<StopSignal>>,
    doing: Doing,
}

/// What happens once a signal has come.
#[derive(Debug, Clone)]
pub struct Ending {
    /// How long stopping may take in all.
    pub limit: Duration,
    /// A folder that goes with the process, however it ends.
    pub temporary: Option<PathBuf>,
}

/// A signal that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
}

/// What the server is doing, for the log of one that hangs.
#[derive(Debug, Clone)]
struct Doing(Arc<Mutex<&'static str>>);

/// Why the process ends before its work is done.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Second(StopSignal),
    Late { limit: Duration, doing: &'static str },
}

impl StopSignals {
    /// Takes the signals over from their default, which is to end the process on the spot.
    pub fn listen(ending: Ending) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (terminate, interrupt) = {
            let _entered = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let (come, first) = watch::channel(None);
        let doing = Doing(Arc::new(Mutex::new("serving")));
        let now = doing.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let cut = runtime.block_on(wait(terminate, interrupt, &come, (ending.limit, now)));
            leave(cut, ending.temporary);
        })?;
        Ok(Self { first, doing })
    }

    /// The first signal.
    pub async fn first(&mut self) -> StopSignal {
        // The thread ends with the process, and never before.
        let come = self.first.wait_for(Option::is_some).await;
        come.ok().and_then(|signal| *signal).unwrap_or(StopSignal::Terminate)
    }

    /// Says what is being done from now on.
    pub fn now(&self, doing: &'static str) {
        *self.doing.0.lock().unwrap_or_else(PoisonError::into_inner) = doing;
    }
}

/// Waits until the process must end, whatever it is doing.
async fn wait(
    mut terminate: Signal,
    mut interrupt: Signal,
    come: &watch::Sender<Option<StopSignal>>,
    (limit, doing): (Duration, Doing),
) -> Cut {
    let first = next(&mut terminate, &mut interrupt).await;
    come.send_replace(Some(first));
    tokio::select! {
        second = next(&mut terminate, &mut interrupt) => Cut::Second(second),
        () = tokio::time::sleep(limit) => {
            Cut::Late { limit, doing: *doing.0.lock().unwrap_or_else(PoisonError::into_inner) }
        }
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> StopSignal {
    tokio::select! {
        _ = terminate.recv() => StopSignal::Terminate,
        _ = interrupt.recv() => StopSignal::Interrupt,
    }
}

/// Ends the process. What hangs may hang the log or the temporary folder too, so they have a moment.
fn leave(cut: Cut, temporary: Option<PathBuf>) {
    let (done, finished) = mpsc::channel();
    let last_work = move || {
        if let Cut::Late { limit, doing } = cut {
            tracing::error!(
                limit_ms = limit.as_millis(),
                doing,
                "stopping took too long and is cut off: a disk or a network folder may not answer; \
                 nothing that was acknowledged is lost"
            );
        }
        if let Some(folder) = temporary {
            drop(std::fs::remove_dir_all(folder));
        }
        done.send(()).ok();
    };
    if std::thread::Builder::new().name("last-work".to_owned()).spawn(last_work).is_ok() {
        finished.recv_timeout(LAST_WORK).ok();
    }
    std::process::exit(i32::from(match cut {
        Cut::Second(signal) => signal.exit_code(),
        Cut::Late { .. } => LATE_EXIT_CODE,
    }));
}

impl StopSignal {
    /// The exit code of a process that such a signal ended.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 128 + 15,
            Self::Interrupt => 128 + 2,
        }
    }
}
