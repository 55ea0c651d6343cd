//! `understudy receipt`.

use std::process::ExitCode;

use clap::Args;
use indicatif::{HumanBytes, HumanCount};

use super::failure::Failure;
use super::flags;
use super::print;
use super::stage;
use crate::admin::api::{Done, FromUpstream, Held, Receipt};
use crate::config::Environment;

/// The arguments of `receipt`.
#[derive(Debug, Args)]
#[command(after_help = "\
What was written, copied and deleted is counted exactly, also through a crash. Downloads are noted every few
seconds; a crash forgets the last of them. Of a redirect only the number is known: the bytes went elsewhere.

Examples:
  understudy receipt
  understudy receipt --json | jq .written.uploaded")]
pub(super) struct Arguments {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: flags::Target,
}

/// Asks and tells.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let receipt: Receipt =
        stage::with(&arguments.target, environment, async |stage, _| stage.get("/-/api/v1/receipt").await)?;
    print(&if arguments.json { super::json_text(&receipt) } else { text(&receipt) })?;
    Ok(ExitCode::SUCCESS)
}

/// How wide the first column is.
const LABEL_WIDTH: usize = 30;

fn text(receipt: &Receipt) -> String {
    let Receipt { since, until, under_test, written, read, production, refused, buckets } = receipt;
    let name_width = buckets.iter().map(|held| held.bucket.len()).fold(LABEL_WIDTH, usize::max);
    let mut text = format!("Receipt of {} to {}\n", date(since), date(until));
    if !under_test.is_empty() {
        text.extend(["Under test: ", &super::plain(&under_test.join(", ")), "\n"]);
    }
    let sections = [
        (
            "Written here",
            lines(&[
                ("uploaded", &written.uploaded),
                ("overwritten", &written.overwritten),
                ("copied", &written.copied),
                ("deleted", &written.deleted),
                ("hidden in production", &written.tombstones),
                ("shown again", &written.undeleted),
            ]),
        ),
        (
            "Read here",
            lines(&[
                ("downloads", &read.here),
                ("of what is kept of production", &read.cached),
                ("looked up", &read.looked_up),
            ]),
        ),
        ("Read from production", production.iter().map(upstream).collect()),
        (
            "Not answered",
            lines(&[
                ("release under test, not here", &refused.under_test),
                ("deleted here", &refused.hidden),
                ("denied by a rule", &refused.denied),
                ("nowhere", &refused.absent),
                ("without the right to", &refused.forbidden),
            ]),
        ),
        ("Here now", buckets.iter().map(|bucket| held(bucket, name_width)).collect()),
    ];
    for (title, lines) in sections {
        text.extend(["\n", title, "\n"]);
        text += if lines.is_empty() { "  nothing\n" } else { &lines };
    }
    text
}

/// What was done at all, one line each.
fn lines(all: &[(&str, &Done)]) -> String {
    all.iter().filter(|(_, done)| done.count > 0).map(|(label, done)| line(label, done)).collect()
}

fn line(label: &str, done: &Done) -> String {
    let bytes = if done.bytes > 0 { HumanBytes(done.bytes).to_string() } else { String::new() };
    let times = match (&done.first, &done.last) {
        (Some(first), Some(last)) if first == last => date(last),
        (Some(first), Some(last)) => format!("{} to {}", date(first), date(last)),
        (None, _) | (_, None) => String::new(),
    };
    let line =
        format!("  {label:<LABEL_WIDTH$} {:>10} {bytes:>12}  {times}", HumanCount(done.count).to_string());
    line.trim_end().to_owned() + "\n"
}

fn upstream(from: &FromUpstream) -> String {
    let FromUpstream { upstream, redirected, presigned, proxied, filled, fetched, failed } = from;
    format!("  {}\n", super::plain(upstream))
        + &lines(&[
            ("  redirected there", redirected),
            ("  sent there with a link", presigned),
            ("  passed on", proxied),
            ("  passed on while kept", filled),
            ("  fetched and kept", fetched),
            ("  failed", failed),
        ])
}

fn held(held: &Held, name_width: usize) -> String {
    let Held { bucket, written, cached, tombstones } = held;
    let mut parts = vec![objects(written.objects, written.bytes) + " written"];
    if cached.objects > 0 {
        parts.push(objects(cached.objects, cached.bytes) + " kept of production");
    }
    if *tombstones > 0 {
        parts.push(format!("{} deleted and hidden", HumanCount(*tombstones)));
    }
    format!("  {bucket:<name_width$} {}\n", parts.join(", "))
}

fn objects(count: u64, bytes: u64) -> String {
    let noun = if count == 1 { "object" } else { "objects" };
    format!("{} {noun} ({})", HumanCount(count), HumanBytes(bytes))
}

/// `2026-11-20 21:20:19`.
fn date(iso: &str) -> String {
    iso.get(..19).unwrap_or(iso).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::admin::api::{Done, FromUpstream, Held, NotAnswered, Reads, Receipt, Sum, Written};

    fn done(count: u64, bytes: u64) -> Done {
        let time = |second: u64| Some(format!("2026-11-20T21:20:{second:02}.000Z"));
        Done { count, bytes, first: time(10), last: time(10 + count.min(2) - 1) }
    }

    fn empty() -> Receipt {
        Receipt {
            since: "2026-11-20T21:00:00.000Z".to_owned(),
            until: "2026-11-20T22:00:00.000Z".to_owned(),
            under_test: Vec::new(),
            written: Written::default(),
            read: Reads::default(),
            production: Vec::new(),
            refused: NotAnswered::default(),
            buckets: Vec::new(),
        }
    }

    #[test]
    fn what_was_done_is_told_and_what_was_not_is_left_out() {
        let receipt = Receipt {
            written: Written { uploaded: done(1234, 5 << 20), deleted: done(1, 7), ..Written::default() },
            read: Reads { looked_up: done(2, 0), ..Reads::default() },
            production: vec![FromUpstream {
                upstream: "https://archive.mozilla.org/".to_owned(),
                redirected: done(3, 0),
                ..FromUpstream::default()
            }],
            refused: NotAnswered { under_test: done(1, 0), ..NotAnswered::default() },
            under_test: vec!["firefox-83.0-build1".to_owned()],
            buckets: vec![
                Held {
                    bucket: "stage".to_owned(),
                    written: Sum { objects: 1, bytes: 10 },
                    cached: Sum { objects: 2, bytes: 2048 },
                    tombstones: 1,
                },
                Held {
                    bucket: "empty".to_owned(),
                    written: Sum::default(),
                    cached: Sum::default(),
                    tombstones: 0,
                },
            ],
            ..empty()
        };
        assert_eq!(
            text(&receipt),
            "\
Receipt of 2026-11-20 21:00:00 to 2026-11-20 22:00:00
Under test: firefox-83.0-build1

Written here
  uploaded                            1,234     5.00 MiB  2026-11-20 21:20:10 to 2026-11-20 21:20:11
  deleted                                 1          7 B  2026-11-20 21:20:10

Read here
  looked up                               2               2026-11-20 21:20:10 to 2026-11-20 21:20:11

Read from production
  https://archive.mozilla.org/
    redirected there                      3               2026-11-20 21:20:10 to 2026-11-20 21:20:11

Not answered
  release under test, not here            1               2026-11-20 21:20:10

Here now
  stage                          1 object (10 B) written, 2 objects (2.00 KiB) kept of production, 1 deleted and hidden
  empty                          0 objects (0 B) written
"
        );
    }

    #[test]
    fn the_longest_name_of_a_bucket_decides_where_all_of_their_numbers_stand() {
        let held = |bucket: &str| Held {
            bucket: bucket.to_owned(),
            written: Sum::default(),
            cached: Sum::default(),
            tombstones: 0,
        };
        let long = "moz-fx-productdelivery-no-7d6a-productdelivery";
        let text = text(&Receipt { buckets: vec![held(long), held("short")], ..empty() });
        let lines: Vec<_> = text.lines().rev().take(2).map(|line| line.find(" 0 objects")).collect();
        assert_eq!(lines, [Some(2 + long.len()); 2], "{text}");
    }

    #[test]
    fn a_stage_that_was_never_used_says_so() {
        assert_eq!(text(&empty()).matches("  nothing\n").count(), 5);
    }
}
