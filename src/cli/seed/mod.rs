//! `understudy seed`: copies objects into the stage, some at a time; what is there is left out.
//!
//! `source.rs` knows what sources are called, `folder.rs`, `archive.rs` and `remote.rs` find what is in
//! them, `plan.rs` and `present.rs` say what is to be done, `write.rs` does it. Deliberately elsewhere:
//! asking production (`upstream`), and how a stage is reached (`cli::stage`).

mod archive;
mod folder;
mod found;
mod item;
mod kind;
mod piped;
mod plan;
mod present;
mod remote;
mod source;
mod tell;
mod write;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;

use self::found::{Finder, Found};
use self::item::{From, Item};
use self::plan::Present;
use self::source::Source;
use self::tell::Progress;
use self::write::Writer;
use super::failure::{Failure, chain};
use super::flags;
use super::print;
use super::stage;
use super::welcome::most_able;
use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::fallback::{Place, S3Upstream, Upstream};
use crate::model::{BucketName, Owner, SessionToken};
use crate::upstream::{Client, Config};

/// The arguments of `seed`.
#[derive(Debug, Args)]
#[command(after_help = "\
A source is a folder, a tar file (.tar, .tar.gz, .tar.zst), a bucket (s3://BUCKET/PREFIX) or a server that
shows what it has (https://archive.mozilla.org/pub/…). Keys are the names below a folder or in a tar file; of
a bucket and a server they stay as they are there. --prefix puts something else before what is below.

What the stage has with the same size and MD5 (or the same ETag) is left out, so the same command goes on
where it stopped. A bucket is read with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, of a temporary key
pair, AWS_SESSION_TOKEN; or without a key pair.

Exit code: 0 all is there, 1 something could not be copied.

Examples:
  understudy seed ./release --bucket stage --prefix pub/firefox/releases/83.0/
  understudy seed fixtures.tar.zst --bucket stage --dry-run
  understudy seed s3://net-mozaws-prod-delivery-firefox/pub/firefox/releases/82.0/ --bucket stage --anonymous
  understudy seed https://archive.mozilla.org/pub/firefox/releases/82.0/update/ --bucket stage --jobs 16")]
pub(super) struct Arguments {
    /// Where to copy from
    #[arg(value_name = "SOURCE")]
    source: Source,
    /// The bucket to copy into
    #[arg(long, value_name = "NAME", value_parser = BucketName::parse)]
    bucket: BucketName,
    /// What keys begin with here: empty, or up to a slash
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Say what would be copied, and copy nothing
    #[arg(long)]
    dry_run: bool,
    /// Objects at a time
    #[arg(long, value_name = "N", default_value = "8")]
    jobs: NonZeroUsize,
    /// The server of an s3:// source [default: AWS]
    #[arg(long, value_name = "URL")]
    source_endpoint: Option<String>,
    /// The region of an s3:// source [env: AWS_REGION, AWS_DEFAULT_REGION] [default: us-east-1]
    #[arg(long, value_name = "NAME")]
    source_region: Option<String>,
    /// Read an s3:// source without a key pair
    #[arg(long)]
    anonymous: bool,
    /// What came of it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: flags::Target,
}

/// How often a read of production is tried, and how long is waited the first time.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Summary {
    dry_run: bool,
    copied: Sum,
    present: Sum,
    failed: Vec<FailedItem>,
}

#[derive(Debug, Default, Serialize)]
struct Sum {
    objects: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct FailedItem {
    name: String,
    error: String,
}

/// What became of one object.
enum Done {
    Copied(u64),
    WouldCopy(u64),
    Present(u64),
    Failed(String),
}

/// Copies, and tells what came of it.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let prefix = prefix(arguments)?;
    let summary = stage::with(&arguments.target, environment, async |stage, settings| {
        let present = present::find(stage, &arguments.bucket, &prefix).await?;
        let jobs = arguments.jobs.get();
        let (sender, found) = channel(jobs);
        let finder = Finder::new(sender, prefix.clone());
        let finding = start(arguments, environment, settings, finder)?;
        let owner = most_able(&settings.credentials).map(|credential| credential.owner.clone());
        let writer = Writer {
            access: stage.access(),
            bucket: arguments.bucket.clone(),
            owner: owner.unwrap_or_else(Owner::anonymous),
            progress: Arc::new(Progress::new()),
        };
        let summary = copy_all(arguments, &writer, found, present).await;
        writer.progress.finish();
        finding
            .await
            .map_err(|error| Failure::Refused(format!("the source was not read to its end: {error}")))?;
        Ok(summary)
    })?;
    print(&if arguments.json { super::json_text(&summary) } else { summary.text() })?;
    Ok(if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn prefix(arguments: &Arguments) -> Result<String, Failure> {
    match &arguments.prefix {
        Some(prefix) if prefix.is_empty() || prefix.ends_with('/') => Ok(prefix.clone()),
        Some(prefix) => Err(Failure::Usage(format!("--prefix {prefix:?} must end in / or be empty"))),
        None => arguments.source.own_prefix().map_err(Failure::Usage),
    }
}

/// Begins to look through the source.
fn start(
    arguments: &Arguments,
    environment: &Environment,
    settings: &Settings,
    finder: Finder,
) -> Result<tokio::task::JoinHandle<()>, Failure> {
    let jobs = arguments.jobs.get();
    let client = || {
        let config = Config { connections_max: jobs, ..settings.upstream.clone() };
        Client::new(config, Clock::System)
            .map_err(|source| Failure::io("cannot read upstream.ca_file", source))
    };
    Ok(match arguments.source.clone() {
        Source::Folder(path) => {
            let shown = path.display();
            if path.is_file() {
                return Err(Failure::Usage(format!(
                    "{shown} is a file, and neither .tar nor .tar.gz nor .tar.zst: name a folder or a tar file"
                )));
            }
            std::fs::read_dir(&path).map_err(|error| Failure::Usage(format!("{shown}: {error}")))?;
            tokio::task::spawn_blocking(move || folder::find(&path, &finder))
        }
        Source::Archive(path, packing) => {
            std::fs::File::open(&path)
                .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
            tokio::task::spawn_blocking(move || archive::find(&path, packing, &finder))
        }
        Source::Bucket { bucket, prefix } => {
            let upstream = Arc::new(production(arguments, environment, &bucket)?);
            let client = client()?;
            tokio::spawn(async move { remote::bucket(client, upstream, &prefix, &finder).await })
        }
        Source::Index(url) => {
            let client = client()?;
            tokio::spawn(async move { remote::index(client, url, jobs, &finder).await })
        }
    })
}

/// The bucket that is read, with the key pair of the usual variables.
fn production(
    arguments: &Arguments,
    environment: &Environment,
    bucket: &BucketName,
) -> Result<Upstream, Failure> {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
    let region = arguments
        .source_region
        .clone()
        .or_else(|| variable("AWS_REGION"))
        .or_else(|| variable("AWS_DEFAULT_REGION"))
        .unwrap_or_else(|| "us-east-1".to_owned());
    let mut table = serde_json::json!({ "bucket": bucket.as_str(), "region": region });
    if let Some(endpoint) = &arguments.source_endpoint {
        table["endpoint"] = (endpoint.trim_end_matches('/').to_owned() + "/").into();
    }
    let mut token = None;
    if !arguments.anonymous {
        let keys = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
        let (id, secret) = keys.ok_or_else(|| {
            Failure::Usage(
                "to read a bucket, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (of a profile: \
                 eval \"$(aws configure export-credentials --format env)\"), or say --anonymous"
                    .to_owned(),
            )
        })?;
        table["access_key_id"] = id.into();
        table["secret_access_key"] = secret.into();
        token = variable("AWS_SESSION_TOKEN").map(|text| {
            let unread = || Failure::Usage("AWS_SESSION_TOKEN does not hold a session token".to_owned());
            SessionToken::parse(&text).ok_or_else(unread)
        });
    }
    let mut bucket: S3Upstream = serde_json::from_value(table)
        .map_err(|error| Failure::Usage(format!("the source cannot be read from: {error}")))?;
    if let Some(token) = token.transpose()? {
        bucket = bucket.with_session_token(token);
    }
    Ok(Upstream::new(Place::S3(bucket), Vec::new()))
}

/// Takes what is found and copies so much of it at a time.
async fn copy_all(
    arguments: &Arguments,
    writer: &Writer,
    mut found: Receiver<Found>,
    mut present: HashMap<String, Present>,
) -> Summary {
    let (jobs, dry_run, json) = (arguments.jobs.get(), arguments.dry_run, arguments.json);
    let mut summary = Summary { dry_run, ..Summary::default() };
    let mut copying: JoinSet<(String, String, Done)> = JoinSet::new();
    let mut under_way = HashSet::new();
    // A tar file may have a name twice, and the last one counts: it waits for those before it.
    let mut waiting: Option<Box<Item>> = None;
    let mut ticks =
        tokio::time::interval_at(tokio::time::Instant::now() + tell::LINE_INTERVAL, tell::LINE_INTERVAL);
    let mut is_open = true;
    while is_open || waiting.is_some() || !copying.is_empty() {
        if copying.is_empty() {
            // One that panicked did not say which it was.
            under_way.clear();
        }
        if let Some(item) = waiting.take_if(|item| !under_way.contains(item.key.as_str())) {
            under_way.insert(item.key.as_str().to_owned());
            let there = present.remove(item.key.as_str());
            let writer = writer.clone();
            copying.spawn(async move {
                let (name, key) = (item.name.clone(), item.key.as_str().to_owned());
                (name, key, one(&writer, *item, there, dry_run).await)
            });
        }
        tokio::select! {
            next = found.recv(), if is_open && waiting.is_none() && copying.len() < jobs => match next {
                None => is_open = false,
                Some(Found::Failed(name, error)) => summary.fail(&writer.progress, name, error),
                Some(Found::Item(item)) => {
                    writer.progress.found();
                    waiting = Some(item);
                }
            },
            Some(done) = copying.join_next(), if !copying.is_empty() => {
                writer.progress.done();
                match done {
                    Ok((name, key, done)) => {
                        under_way.remove(&key);
                        if !json {
                            done.list(&writer.progress, &key);
                        }
                        summary.note(&writer.progress, name, done);
                    }
                    Err(error) => summary.fail(&writer.progress, "a copy".to_owned(), error.to_string()),
                }
            },
            _ = ticks.tick() => writer.progress.line(),
        }
    }
    summary
}

impl Done {
    /// Prints what a dry run lists.
    fn list(&self, progress: &Progress, key: &str) {
        if let Self::WouldCopy(bytes) = self {
            let line = format!("{} ({})\n", super::plain(key), HumanBytes(*bytes));
            // A reader that has gone is told by nothing.
            progress.aside(|| drop(print(&line)));
        }
    }
}

/// Copies one object, if it is not there.
async fn one(writer: &Writer, mut item: Item, there: Option<Present>, dry_run: bool) -> Done {
    if let Some(there) = there {
        match present::has(&there, &mut item).await {
            Ok(true) => return Done::Present(there.size_bytes),
            Ok(false) => {}
            Err(failure) => return Done::Failed(chain(&failure)),
        }
    }
    if dry_run {
        return Done::WouldCopy(item.known.size_bytes);
    }
    let tries = if matches!(item.from, From::Upstream(..)) { TRIES } else { 1 };
    let mut attempt = 1;
    loop {
        match writer.copy(&item).await {
            Ok(bytes) => return Done::Copied(bytes),
            Err(failure) if attempt == tries => return Done::Failed(chain(&failure)),
            Err(_) => tokio::time::sleep(PAUSE * attempt * attempt).await,
        }
        attempt += 1;
    }
}

impl Summary {
    fn note(&mut self, progress: &Progress, name: String, done: Done) {
        let (sum, bytes) = match done {
            Done::Copied(bytes) | Done::WouldCopy(bytes) => (&mut self.copied, bytes),
            Done::Present(bytes) => (&mut self.present, bytes),
            Done::Failed(error) => return self.fail(progress, name, error),
        };
        sum.objects += 1;
        sum.bytes += bytes;
    }

    fn fail(&mut self, progress: &Progress, name: String, error: String) {
        progress.say(&format!("understudy: {}: {}", super::plain(&name), super::plain(&error)));
        self.failed.push(FailedItem { name, error });
    }

    fn text(&self) -> String {
        let sum = |sum: &Sum| {
            let noun = if sum.objects == 1 { "object" } else { "objects" };
            format!("{} {noun} ({})", HumanCount(sum.objects), HumanBytes(sum.bytes))
        };
        let verb = if self.dry_run { "would be copied" } else { "copied" };
        let failed = match self.failed.len() {
            0 => String::new(),
            failed => format!(", {} failed", HumanCount(failed as u64)),
        };
        format!("{} {verb}, {} there already{failed}\n", sum(&self.copied), sum(&self.present))
    }
}
