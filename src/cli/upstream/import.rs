//! `understudy upstream import`.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use http::Method;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::formats::{BadList, Format, read};
use crate::admin::api::{Inventory, Rows};
use crate::admin::row;
use crate::cli::failure::Failure;
use crate::cli::flags;
use crate::cli::print;
use crate::cli::stage::{self, Payload, of_bucket};
use crate::config::Environment;
use crate::model::BucketName;

/// The arguments of `upstream import`.
#[derive(Debug, Args)]
#[command(after_help = "\
A row has a key (or name) and a size; md5 and crc32c (hexadecimal or base64), etag and a time (modified,
time, updated or last_modified) where they are known. The whole list is read before any of it is taken
in: a line that does not read is told with its number, and nothing changes.

What --cover names is known to be complete: below it, a key that the list lacks does not exist, and
nothing is asked of production. What was imported there before is forgotten.

Examples:
  understudy upstream import releases.csv --bucket stage --cover pub/firefox/releases/
  gcloud storage objects list 'gs://bucket/**' --format=json | jq -c '.[]' |
    understudy upstream import - --bucket stage --cover ''
  curl -H 'Accept: application/json' https://archive.mozilla.org/pub/firefox/ |
    understudy upstream import - --bucket stage --prefix pub/firefox/")]
pub(in crate::cli) struct Arguments {
    /// The list; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The bucket that shows it
    #[arg(long, value_name = "NAME", value_parser = BucketName::parse)]
    bucket: BucketName,
    /// Goes before every key
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: String,
    /// How the list is written
    #[arg(long, value_enum, default_value = "auto")]
    format: Format,
    /// The list has all that there is below this prefix
    #[arg(long, value_name = "PREFIX")]
    cover: Option<String>,
    /// What came of it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: flags::Target,
}

/// Rows that were read and are put aside, each on a line as the API takes it.
struct Spool {
    file: File,
    rows: u64,
}

/// Reads a list, then takes it in.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let spool = spooled(arguments)?;
    if spool.rows == 0 {
        return Err(Failure::Usage(format!("{} holds no row", arguments.file.display())));
    }
    let query: Vec<_> = arguments.cover.iter().map(|prefix| ("cover", prefix.as_str())).collect();
    let path = of_bucket(&arguments.bucket, "inventory", &query);
    let known = of_bucket(&arguments.bucket, "inventory", &[]);
    let (taken, inventory) = stage::with(&arguments.target, environment, async |stage, _| {
        let bar = bar(&spool.file);
        let tell = bar.clone();
        let tell: Box<dyn Fn(u64) + Send + Sync> = Box::new(move |bytes| tell.inc(bytes));
        let taken: Rows = stage.ask(Method::POST, &path, Payload::Lines { file: spool.file, tell }).await?;
        bar.finish_and_clear();
        Ok((taken, stage.get::<Inventory>(&known).await?))
    })?;
    print(&if arguments.json {
        let json =
            serde_json::json!({ "imported": taken.rows, "rows": inventory.rows, "covers": inventory.covers });
        crate::cli::json_text(&json)
    } else {
        text(arguments, &taken, &inventory)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A bar on a terminal; elsewhere nothing is drawn.
fn bar(file: &File) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(file.metadata().map_or(0, |metadata| metadata.len()));
    ProgressStyle::with_template("{bar:40} {percent}% {eta}")
        .map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}

fn text(arguments: &Arguments, taken: &Rows, inventory: &Inventory) -> String {
    let shown = |prefix: &str| {
        if prefix.is_empty() { "the whole bucket".to_owned() } else { crate::cli::plain(prefix) }
    };
    let covered: Vec<_> = inventory.covers.iter().map(|cover| shown(&cover.prefix)).collect();
    let covered = if covered.is_empty() { "nothing".to_owned() } else { covered.join(", ") };
    format!(
        "{} rows imported; of {} production is known to have {}, complete for: {covered}\n",
        HumanCount(taken.rows),
        arguments.bucket,
        HumanCount(inventory.rows),
    )
}

/// Reads the whole list and puts its rows aside.
fn spooled(arguments: &Arguments) -> Result<Spool, Failure> {
    let name = if is_stdin(&arguments.file) {
        "standard input".into()
    } else {
        arguments.file.display().to_string()
    };
    let input: Box<dyn Read> = if is_stdin(&arguments.file) {
        Box::new(io::stdin().lock())
    } else {
        let opened = File::open(&arguments.file);
        Box::new(opened.map_err(|error| Failure::Usage(format!("cannot read {name}: {error}")))?)
    };
    let aside = |source| {
        Failure::io("cannot put the rows aside (set TMPDIR to a folder that can be written)", source)
    };
    let mut writer = BufWriter::new(tempfile::tempfile().map_err(aside)?);
    let mut rows = 0;
    let told = read(input, arguments.format, |place, fields| {
        let row = fields.row(&arguments.prefix).map_err(|error| BadList::at(place, &error))?;
        if let Some(cover) = arguments.cover.as_ref().filter(|cover| !row.key.as_str().starts_with(*cover)) {
            let told = format!("the key {:?} is not below {cover:?}: is --prefix missing?", row.key.as_str());
            return Err(BadList::at(place, &told));
        }
        writeln!(writer, "{}", row::render(&row))?;
        rows += 1;
        Ok(())
    });
    let told = told.map_err(|error| match error {
        BadList::Io(source) => Failure::Usage(format!("cannot read {name}: {source}")),
        at @ BadList::At { .. } => Failure::Usage(format!("{name}:{at}. Nothing was imported")),
    })?;
    if arguments.cover.is_some() && !told.folders.is_empty() {
        return Err(Failure::Usage(format!(
            "{name} names folders that it does not list ({}, …): it cannot be complete there; leave --cover out, or \
             use `understudy upstream index`",
            told.folders[0]
        )));
    }
    let mut file = writer.into_inner().map_err(|error| aside(error.into_error()))?;
    file.rewind().map_err(aside)?;
    Ok(Spool { file, rows })
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}
