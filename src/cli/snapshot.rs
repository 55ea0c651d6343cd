//! `understudy snapshot create | list | restore | delete | diff`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::Method;
use indicatif::{HumanBytes, HumanCount};

use super::failure::Failure;
use super::flags;
use super::print;
use super::stage::{self, Payload, Stage, of_stage};
use crate::admin::api::{
    Change, DeletedSnapshot, Difference, Differences, NewSnapshot, ObjectVersion, Position, Snapshot,
    Snapshots,
};
use crate::config::Environment;
use crate::model::{InvalidSnapshotName, PRESENT, SnapshotName};

/// The commands below `snapshot`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Keep the state of the stage under a name; writes go on meanwhile
    #[command(after_help = "\
A state has everything: objects, tombstones, uploads in progress, imported indexes and settings of buckets.
It shares its blobs with the present, so it costs a copy of the index.

Examples:
  understudy snapshot create before-141
  understudy snapshot create before-141 --endpoint http://stage:8000")]
    Create(OfOne),
    /// List what was kept
    List(List),
    /// Go back: the stage is as it was, at once for everybody
    #[command(after_help = "\
What was written since is gone, unless another snapshot has it: take one first if it may be wanted.
Whoever is reading reads to the end. The snapshot stays.

Examples:
  understudy snapshot create after-141 && understudy snapshot restore before-141")]
    Restore(OfOne),
    /// Forget a state, and free what only it has kept
    Delete(OfOne),
    /// Show which keys are not the same in two states
    #[command(after_help = "\
Shown are objects that were written here (+ added, - removed, ~ changed) and tombstones (h hidden, s shown
again). What was fetched from production counts as not there.

Exit code: 0 no difference, 1 some, 2 could not compare.

Examples:
  understudy snapshot diff before-141                    what the release has written
  understudy snapshot diff before-141 after-141 --json | jq -r 'select(.change == \"added\").key'")]
    Diff(Diff),
}

/// The arguments of a command about one snapshot.
#[derive(Debug, Args)]
pub(super) struct OfOne {
    /// The snapshot: 1 to 64 of A-Z a-z 0-9 - _ .
    #[arg(value_name = "NAME", value_parser = SnapshotName::parse)]
    name: SnapshotName,
    /// What came of it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: flags::Target,
}

/// The arguments of `snapshot list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// One document instead of lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: flags::Target,
}

/// The arguments of `snapshot diff`.
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The earlier state
    #[arg(value_name = "NAME", value_parser = SnapshotName::parse)]
    from: SnapshotName,
    /// The later state
    #[arg(value_name = "NAME", value_parser = state, default_value = PRESENT)]
    to: State,
    /// A JSON object on each line, the last one with the totals
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: flags::Target,
}

/// A snapshot or the present.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Now,
    Taken(SnapshotName),
}

fn state(text: &str) -> Result<State, InvalidSnapshotName> {
    if text == PRESENT { Ok(State::Now) } else { SnapshotName::parse(text).map(State::Taken) }
}

/// Runs a command below `snapshot`.
pub(super) fn run(command: &Command, environment: &Environment) -> Result<ExitCode, Failure> {
    match command {
        Command::Create(arguments) => create(arguments, environment),
        Command::List(arguments) => list(arguments, environment),
        Command::Restore(arguments) => restore(arguments, environment),
        Command::Delete(arguments) => delete(arguments, environment),
        // As diff(1) has it.
        Command::Diff(arguments) => Ok(diff(arguments, environment).unwrap_or_else(|failure| {
            failure.tell();
            ExitCode::from(2)
        })),
    }
}

fn create(arguments: &OfOne, environment: &Environment) -> Result<ExitCode, Failure> {
    let new = NewSnapshot { name: arguments.name.clone() };
    let snapshot: Snapshot = stage::with(&arguments.target, environment, async |stage, _| {
        stage.post(&of_stage("snapshots", &[]), &new).await
    })?;
    tell(arguments, &snapshot, "taken")
}

fn restore(arguments: &OfOne, environment: &Environment) -> Result<ExitCode, Failure> {
    let path = of_stage(&format!("snapshots/{}/restore", arguments.name), &[]);
    let snapshot: Snapshot = stage::with(&arguments.target, environment, async |stage, _| {
        stage.ask(Method::POST, &path, Payload::Nothing).await
    })?;
    tell(arguments, &snapshot, "restored")
}

fn tell(arguments: &OfOne, snapshot: &Snapshot, done: &str) -> Result<ExitCode, Failure> {
    print(&if arguments.json {
        super::json_text(snapshot)
    } else {
        format!(
            "{} {done}: {} objects, {}\n",
            snapshot.name,
            HumanCount(snapshot.objects),
            HumanBytes(snapshot.bytes)
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn delete(arguments: &OfOne, environment: &Environment) -> Result<ExitCode, Failure> {
    let path = of_stage(&format!("snapshots/{}", arguments.name), &[]);
    let done: DeletedSnapshot = stage::with(&arguments.target, environment, async |stage, _| {
        stage.ask(Method::DELETE, &path, Payload::Nothing).await
    })?;
    print(&if arguments.json { super::json_text(&done) } else { format!("{} deleted\n", done.deleted) })?;
    Ok(ExitCode::SUCCESS)
}

fn list(arguments: &List, environment: &Environment) -> Result<ExitCode, Failure> {
    let found: Snapshots = stage::with(&arguments.target, environment, async |stage, _| {
        stage.get(&of_stage("snapshots", &[])).await
    })?;
    print(&if arguments.json { super::json_text(&found) } else { lines(&found) })?;
    Ok(ExitCode::SUCCESS)
}

fn lines(found: &Snapshots) -> String {
    let width = found.snapshots.iter().map(|snapshot| snapshot.name.as_str().len()).max().unwrap_or(0);
    let line = |snapshot: &Snapshot| {
        format!(
            "{} {:<width$} {:>10} objects {:>11}\n",
            snapshot.created.get(..19).unwrap_or(&snapshot.created).replace('T', " "),
            snapshot.name.as_str(),
            HumanCount(snapshot.objects).to_string(),
            HumanBytes(snapshot.bytes).to_string(),
        )
    };
    found.snapshots.iter().map(line).collect()
}

/// How many keys changed in which way, and the bytes before and after.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    keys: BTreeMap<Change, u64>,
    bytes_from: u64,
    bytes_to: u64,
}

impl Totals {
    fn count(&mut self, difference: &Difference) {
        *self.keys.entry(difference.change).or_default() += 1;
        self.bytes_from += difference.from.as_ref().map_or(0, |version| version.size);
        self.bytes_to += difference.to.as_ref().map_or(0, |version| version.size);
    }

    fn of(&self, change: Change) -> u64 {
        self.keys.get(&change).copied().unwrap_or(0)
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "totals": {
            "added": self.of(Change::Added),
            "removed": self.of(Change::Removed),
            "changed": self.of(Change::Changed),
            "hidden": self.of(Change::Hidden),
            "shown": self.of(Change::Shown),
            "bytes_from": self.bytes_from,
            "bytes_to": self.bytes_to,
        }})
    }

    fn text(&self) -> String {
        if self.keys.is_empty() {
            return "no difference\n".to_owned();
        }
        let counted =
            |(change, word)| (self.of(change) > 0).then(|| format!("{} {word}", HumanCount(self.of(change))));
        let words = [
            (Change::Added, "added"),
            (Change::Removed, "removed"),
            (Change::Changed, "changed"),
            (Change::Hidden, "hidden"),
            (Change::Shown, "shown again"),
        ];
        let words: Vec<_> = words.into_iter().filter_map(counted).collect();
        format!(
            "{}; {} there became {}\n",
            words.join(", "),
            HumanBytes(self.bytes_from),
            HumanBytes(self.bytes_to)
        )
    }
}

fn diff(arguments: &Diff, environment: &Environment) -> Result<ExitCode, Failure> {
    let totals = stage::with(&arguments.target, environment, async |stage, _| {
        let mut totals = Totals::default();
        let mut after = None;
        loop {
            after = diff_page(arguments, stage, after, &mut totals).await?;
            if after.is_none() {
                return Ok(totals);
            }
        }
    })?;
    print(&if arguments.json { super::json_line(&totals.json()) } else { totals.text() })?;
    Ok(if totals.keys.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a page and says where the next one begins.
async fn diff_page(
    arguments: &Diff,
    stage: &Stage,
    after: Option<Position>,
    totals: &mut Totals,
) -> Result<Option<Position>, Failure> {
    let to = match &arguments.to {
        State::Now => PRESENT,
        State::Taken(name) => name.as_str(),
    };
    let mut query = vec![("to", to)];
    if let Some(Position { bucket, key }) = &after {
        query.extend([("after_bucket", bucket.as_str()), ("after_key", key.as_str())]);
    }
    let page: Differences =
        stage.get(&of_stage(&format!("snapshots/{}/diff", arguments.from), &query)).await?;
    let mut text = String::new();
    for difference in &page.differences {
        totals.count(difference);
        text += &if arguments.json { super::json_line(difference) } else { line(difference) };
    }
    print(&text)?;
    Ok(page.next)
}

fn line(difference: &Difference) -> String {
    let sign = match difference.change {
        Change::Added => '+',
        Change::Removed => '-',
        Change::Changed => '~',
        Change::Hidden => 'h',
        Change::Shown => 's',
    };
    let size = |version: &Option<ObjectVersion>| {
        version.as_ref().map_or_else(|| "-".to_owned(), |version| version.size.to_string())
    };
    format!(
        "{sign} {:>12} {:>12} {}/{}\n",
        size(&difference.from),
        size(&difference.to),
        difference.bucket,
        super::plain(&difference.key)
    )
}

#[cfg(test)]
mod tests {
    use super::{Change, Difference, ObjectVersion, State, Totals, line, state};
    use crate::model::BucketName;

    fn difference(change: Change, from: Option<u64>, to: Option<u64>) -> Difference {
        let version = |size: u64| ObjectVersion { size, etag: "tag".to_owned() };
        Difference {
            change,
            bucket: BucketName::parse("stage").expect("a name"),
            key: "a\nb".to_owned(),
            from: from.map(version),
            to: to.map(version),
        }
    }

    #[test]
    fn the_present_is_a_state_and_no_snapshot() {
        assert_eq!(state("now"), Ok(State::Now));
        assert!(matches!(state("then"), Ok(State::Taken(_))));
        state("..").expect_err("no name");
    }

    #[test]
    fn differences_are_lines_and_are_summed_up() {
        let added = difference(Change::Added, None, Some(2048));
        assert_eq!(line(&added), "+            -         2048 stage/a\\nb\n");
        let mut totals = Totals::default();
        assert_eq!(totals.text(), "no difference\n");
        for difference in
            [added, difference(Change::Changed, Some(10), Some(20)), difference(Change::Hidden, None, None)]
        {
            totals.count(&difference);
        }
        assert_eq!(totals.text(), "1 added, 1 changed, 1 hidden; 10 B there became 2.02 KiB\n");
        assert_eq!(totals.json()["totals"]["bytes_to"], 2068);
    }
}
