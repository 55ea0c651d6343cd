//! `understudy upstream index`.

use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;

use super::crawl::{Crawl, Seen, Site};
use crate::admin::api::Inventory;
use crate::cli::failure::{Failure, complain};
use crate::cli::flags;
use crate::cli::print;
use crate::cli::stage::{self, of_bucket};
use crate::clock::Clock;
use crate::config::Environment;
use crate::fallback::{Place, Upstream, UrlPrefix};
use crate::model::BucketName;
use crate::upstream::{Client, Config};

/// The arguments of `upstream index`.
#[derive(Debug, Args)]
#[command(after_help = "\
The index is asked for as JSON, which archive.mozilla.org has; of a page for people the links are followed
and each file is asked for its size. Nothing outside of the address is looked at.

Each folder is kept when it is known. Stopped in the middle, the same command goes on where it was; at the
end the prefix is complete: below it, what the index lacks does not exist.

Examples:
  understudy upstream index https://archive.mozilla.org/pub/firefox/releases/140.0/ --bucket stage
  understudy upstream index https://archive.mozilla.org/pub/firefox/ --bucket stage --connections 8
  understudy upstream index https://files.example/old/ --bucket stage --key-prefix pub/")]
pub(in crate::cli) struct Arguments {
    /// The folder to begin at
    #[arg(value_name = "URL-PREFIX")]
    site: String,
    /// The bucket that shows it
    #[arg(long, value_name = "NAME", value_parser = BucketName::parse)]
    bucket: BucketName,
    /// What keys begin with here [default: the path of the URL]
    #[arg(long, value_name = "PREFIX")]
    key_prefix: Option<String>,
    /// Requests at a time
    #[arg(long, value_name = "N", default_value = "4")]
    connections: NonZeroUsize,
    /// Begin anew instead of going on where an earlier run stopped
    #[arg(long)]
    restart: bool,
    /// What came of it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: flags::Target,
}

/// How often the progress is told by a line where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Crawls, and tells what is known then.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let prefix = url_prefix(&arguments.site)?;
    let key_prefix = key_prefix(arguments, &prefix)?;
    let connections = arguments.connections.get();
    let (seen, inventory) = stage::with(&arguments.target, environment, async |stage, settings| {
        let config = Config { connections_max: connections, ..settings.upstream.clone() };
        let client = Client::new(config, Clock::System)
            .map_err(|source| Failure::io("cannot read upstream.ca_file", source))?;
        let crawl = Crawl {
            stage,
            bucket: &arguments.bucket,
            key_prefix: &key_prefix,
            site: Site {
                client,
                upstream: Arc::new(Upstream::new(Place::Url(prefix), Vec::new())),
                turns: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            },
            connections,
        };
        let teller = Teller::new();
        let mut last = Instant::now();
        let crawled = crawl.run(arguments.restart, |seen| teller.tell(seen, &mut last)).await;
        teller.finish();
        let seen = crawled.inspect_err(|_| {
            complain("understudy: the same command goes on from what is kept");
        })?;
        Ok((seen, stage.get::<Inventory>(&of_bucket(&arguments.bucket, "inventory", &[])).await?))
    })?;
    print(&if arguments.json {
        crate::cli::json_text(&serde_json::json!({
            "folders": seen.done,
            "imported": seen.rows,
            "rows": inventory.rows,
            "covers": inventory.covers,
        }))
    } else {
        format!(
            "{} rows imported of {} folders; {} is complete below {:?} and production is known to have {}\n",
            HumanCount(seen.rows),
            HumanCount(seen.done),
            arguments.bucket,
            key_prefix,
            HumanCount(inventory.rows)
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The address, as one that keys are put behind.
fn url_prefix(url: &str) -> Result<UrlPrefix, Failure> {
    let url = if url.ends_with('/') { url.to_owned() } else { format!("{url}/") };
    UrlPrefix::parse(&url).map_err(|error| Failure::Usage(error.to_string()))
}

/// What keys begin with: empty, or up to a slash, as folders are.
fn key_prefix(arguments: &Arguments, url: &UrlPrefix) -> Result<String, Failure> {
    if let Some(prefix) = &arguments.key_prefix {
        if prefix.is_empty() || prefix.ends_with('/') {
            return Ok(prefix.clone());
        }
        return Err(Failure::Usage(format!("--key-prefix {prefix:?} must end in / or be empty")));
    }
    let path = url.as_str().splitn(4, '/').nth(3).unwrap_or_default();
    let decoded = percent_decode_str(path).decode_utf8();
    let decoded = decoded.map_err(|_| Failure::Usage(format!("the path of {url} is not UTF-8")))?;
    Ok(decoded.into_owned())
}

/// A bar on a terminal, lines elsewhere.
struct Teller(Option<ProgressBar>);

impl Teller {
    fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(1);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} folders, {msg} {elapsed}");
        Self(Some(match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }))
    }

    fn tell(&self, seen: Seen, last: &mut Instant) {
        let Seen { done, pending, rows } = seen;
        match &self.0 {
            Some(bar) => {
                bar.set_length(done + pending);
                bar.set_position(done);
                bar.set_message(format!("{} rows", HumanCount(rows)));
            }
            None if last.elapsed() >= LINE_INTERVAL => {
                *last = Instant::now();
                complain(&format!(
                    "{} of {} folders, {} rows",
                    HumanCount(done),
                    HumanCount(done + pending),
                    HumanCount(rows)
                ));
            }
            None => {}
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
