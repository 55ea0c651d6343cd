//! `understudy fsck --scrub`: every blob is read again and compared with what was written, also while the
//! stage serves.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use serde::Serialize;

use super::failure::{Failure, complain};
use super::flags::Target;
use super::print;
use super::stage::{self, Stage, of_stage};
use crate::admin::scrub::{ScrubFinding, ScrubOn, ScrubTotals, Scrubbed};
use crate::config::{Environment, InvalidSize, Size};

/// How often the progress is told where nobody looks at a bar.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Bytes a second, such as `50MiB/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate(u64);

impl FromStr for Rate {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let trimmed = text.trim();
        let size: Size = trimmed.strip_suffix("/s").unwrap_or(trimmed).parse()?;
        // Nothing at all would never come to an end.
        Ok(Self(size.bytes().max(1)))
    }
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    blobs: u64,
    bytes: u64,
    findings: Vec<ScrubFinding>,
}

impl Report {
    /// Notes a finding. A file that was given up in the meantime may be met again in a snapshot.
    fn note(&mut self, found: ScrubFinding) {
        let is_file = found.blob.starts_with("blobs/");
        self.findings.retain(|earlier| !is_file || earlier.blob != found.blob);
        self.findings.push(found);
    }
}

/// Tells how far it is: a bar on a terminal, a line now and then elsewhere.
struct Teller {
    bar: Option<ProgressBar>,
    last: Instant,
    totals: Option<ScrubTotals>,
}

/// Reads it all, tells what was found, and gives the exit code.
pub(super) fn run(
    (rate, json): (Rate, bool),
    target: &Target,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let report = stage::with(target, environment, async |stage, _| scrub(stage, rate).await)?;
    print(&if json { super::json_text(&report) } else { text(&report) })?;
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn scrub(stage: &Stage, rate: Rate) -> Result<Report, Failure> {
    let mut report = Report::default();
    let mut teller = Teller::new();
    let mut on = ScrubOn { from: None, rate: rate.0 };
    loop {
        let step: Scrubbed = stage.post(&of_stage("scrub", &[]), &on).await?;
        report.blobs += step.blobs;
        report.bytes += step.bytes;
        for found in step.findings {
            report.note(found);
        }
        teller.tell(&report, step.totals);
        match step.next {
            Some(next) => on.from = Some(next),
            None => break,
        }
    }
    teller.finish();
    Ok(report)
}

impl Teller {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(0));
        Self { bar, last: Instant::now(), totals: None }
    }

    fn tell(&mut self, report: &Report, totals: Option<ScrubTotals>) {
        self.totals = self.totals.or(totals);
        let total_bytes = self.totals.map_or(0, |totals| totals.bytes);
        if let Some(bar) = &self.bar {
            let template = "{bar:32} {bytes}/{total_bytes}, {binary_bytes_per_sec}, {eta} {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            // Snapshots come on top of the present, which alone is summed up.
            bar.set_length(total_bytes.max(report.bytes));
            bar.set_position(report.bytes);
            bar.set_message(format!("{} found", report.findings.len()));
        } else if self.last.elapsed() >= LINE_INTERVAL {
            self.last = Instant::now();
            let (done, all) = (HumanBytes(report.bytes), HumanBytes(total_bytes));
            complain(&format!("{done} of {all}, {} found", report.findings.len()));
        }
    }

    fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn text(report: &Report) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for found in &report.findings {
        let snapshot = found.snapshot.as_ref().map_or_else(String::new, |name| format!("snapshot {name}: "));
        let _fits = writeln!(text, "{snapshot}{}", super::plain(&found.message));
        for object in &found.objects {
            let _fits = writeln!(text, "  needed by {}/{}", object.bucket, super::plain(&object.key));
        }
    }
    let read = format!("{} blobs, {} read", HumanCount(report.blobs), HumanBytes(report.bytes));
    text + &match report.findings.len() {
        0 => format!("clean: {read}\n"),
        found => format!("{found} found; stop the stage and run `understudy fsck --repair`: {read}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;

    #[test]
    fn rates_are_sizes_a_second() {
        for (text, bytes) in [("50MiB/s", 50 << 20), ("50 MiB", 50 << 20), ("1000", 1000), ("0", 1)] {
            assert_eq!(text.parse(), Ok(Rate(bytes)), "{text}");
        }
        "fast".parse::<Rate>().expect_err("no size");
        "1MiB/h".parse::<Rate>().expect_err("no rate");
    }
}
