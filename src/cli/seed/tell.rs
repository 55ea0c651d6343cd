//! How far a seed is: a bar on a terminal, lines elsewhere.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use crate::cli::failure::complain;

/// How often a line is written where there is no terminal.
pub(super) const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Counts that grow while objects are copied.
#[derive(Debug)]
pub(super) struct Progress {
    found: AtomicU64,
    done: AtomicU64,
    bytes: AtomicU64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Nothing so far.
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} objects, {msg} {elapsed}");
            match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self { found: AtomicU64::new(0), done: AtomicU64::new(0), bytes: AtomicU64::new(0), bar }
    }

    /// One more was found.
    pub(super) fn found(&self) {
        let found = self.found.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(bar) = &self.bar {
            bar.set_length(found);
        }
    }

    /// So many bytes were sent.
    pub(super) fn sent(&self, bytes: u64) {
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(bar) = &self.bar {
            bar.set_message(HumanBytes(bytes).to_string());
        }
    }

    /// One more is done, one way or the other.
    pub(super) fn done(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    /// A line of how far it is, where there is no bar.
    pub(super) fn line(&self) {
        if self.bar.is_none() {
            complain(&format!(
                "{} of {} objects so far, {} sent",
                HumanCount(self.done.load(Ordering::Relaxed)),
                HumanCount(self.found.load(Ordering::Relaxed)),
                HumanBytes(self.bytes.load(Ordering::Relaxed))
            ));
        }
    }

    /// Says something without disturbing the bar.
    pub(super) fn say(&self, line: &str) {
        self.aside(|| complain(line));
    }

    /// Writes to the terminal without disturbing the bar.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// The end.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
