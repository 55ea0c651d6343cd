//! `understudy fsck`.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{HumanBytes, HumanCount, ProgressBar};

use super::failure::{Failure, complain};
use super::flags;
use super::print;
use super::scrub::{self, Rate};
use super::serve::data_dir;
use crate::config::{Environment, Settings};
use crate::store::fsck::{
    Accepted, Check, Progress, Report, accept_index, empty_quarantine, run as check_folder,
};

/// The arguments of `fsck`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = "\
Exit code: 0 clean, 1 something was found (and repaired, with --repair), 2 could not run.

An index of an older understudy is brought up to date first, also without --repair: an older one cannot
open the folder any more then.

Examples:
  understudy fsck --data-dir understudy-data
  understudy fsck --repair --json
  understudy fsck --accept-older-index     after a backup of the index was put back
  understudy fsck --scrub --rate 20MiB/s           the server that has the folder reads, if one has it")]
pub(super) struct Arguments {
    /// Remove what nothing refers to, and take objects out of service whose bytes are gone or wrong
    #[arg(long)]
    repair: bool,
    /// Compare sizes only, without reading every byte
    #[arg(long)]
    quick: bool,
    /// Take an index that is older than what the folder last held, or another stage's, or without its log;
    /// blobs that it does not name are moved to quarantine/
    #[arg(long)]
    accept_older_index: bool,
    /// Remove for good what earlier checks and starts have moved to quarantine/
    #[arg(long)]
    empty_quarantine: bool,
    /// Only read every blob again, slowly, and compare it with what was written; also while the stage serves
    #[arg(long, conflicts_with_all = ["repair", "quick", "accept_older_index", "empty_quarantine"])]
    scrub: bool,
    /// Bytes a second that a scrub reads at most
    #[arg(long, value_name = "SIZE", default_value = "50MiB/s", requires = "scrub")]
    rate: Rate,
    /// The report as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: flags::Target,
}

/// How often the progress is told: on a terminal, and by a line elsewhere.
const DRAW_INTERVAL: Duration = Duration::from_millis(100);
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Checks a data folder, tells what was found, and gives the exit code.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    if arguments.scrub {
        let done = scrub::run((arguments.rate, arguments.json), &arguments.target, environment);
        return Ok(done.unwrap_or_else(|failure| {
            failure.tell();
            ExitCode::from(2)
        }));
    }
    match checked(arguments, environment) {
        Ok(report) => {
            print(&if arguments.json { json_text(&report) } else { text(&report, arguments.repair) })?;
            Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(failure) => {
            failure.tell();
            Ok(ExitCode::from(2))
        }
    }
}

fn checked(arguments: &Arguments, environment: &Environment) -> Result<Report, Failure> {
    if arguments.target.endpoint.is_some() {
        return Err(Failure::Usage("a server can be asked by --endpoint for a --scrub only".to_owned()));
    }
    let settings = Settings::load(&arguments.target.place.layer()?, environment)?;
    let folder = data_dir(&settings);
    if !folder.is_dir() {
        return Err(Failure::Usage(format!(
            "there is no data folder {}: name one with --data-dir",
            folder.display()
        )));
    }
    if arguments.accept_older_index {
        match accept_index(&folder)? {
            Some(Accepted { doubt, moved }) => complain(&format!(
                "understudy: the index is taken as it is, although {doubt}; {moved} files were moved to quarantine/"
            )),
            None => complain("understudy: the index is the one that the folder was last served with"),
        }
    }
    if arguments.empty_quarantine {
        let removed = empty_quarantine(&folder)?;
        complain(&format!("understudy: {} files were removed from quarantine/", removed.len()));
    }
    let check = Check { repair: arguments.repair, verify_digests: !arguments.quick };
    let bar = std::io::stderr().is_terminal().then(ProgressBar::new_spinner);
    let interval = if bar.is_some() { DRAW_INTERVAL } else { LINE_INTERVAL };
    let mut last = Instant::now();
    let report = check_folder(&folder, check, |progress| {
        if last.elapsed() < interval {
            return;
        }
        last = Instant::now();
        match &bar {
            Some(bar) => {
                bar.set_message(told(progress));
                bar.tick();
            }
            None => complain(&told(progress)),
        }
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(report?)
}

fn told(progress: Progress) -> String {
    format!("{} blobs, {}", HumanCount(progress.blobs), HumanBytes(progress.bytes))
}

fn json_text(report: &Report) -> String {
    // A report is plain data: numbers, names and text.
    serde_json::to_string_pretty(report).map_or_else(|_| String::new(), |text| text + "\n")
}

fn text(report: &Report, repair: bool) -> String {
    let mut lines: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    lines.extend(report.quarantined.iter().map(|file| format!("{}: {} bytes", file.file, file.bytes)));
    let checked = format!(
        "{} objects, {} blobs, {}",
        HumanCount(report.objects),
        HumanCount(report.blobs),
        HumanBytes(report.bytes)
    );
    lines.push(match (report.findings.len(), repair) {
        (0, _) => format!("clean: {checked}"),
        (found, true) => format!("{found} found, {} repaired: {checked}", report.repaired),
        (found, false) => format!("{found} found; --repair puts right what can be: {checked}"),
    });
    if !report.quarantined.is_empty() {
        lines.push(format!(
            "{} files with {} are in quarantine: this index cannot have known them; --empty-quarantine removes them",
            HumanCount(report.quarantined.len() as u64),
            HumanBytes(report.quarantined.iter().map(|file| file.bytes).sum())
        ));
    }
    lines.join("\n") + "\n"
}
