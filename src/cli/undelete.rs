//! `understudy undelete`.

use std::process::ExitCode;

use clap::Args;

use super::failure::Failure;
use super::flags;
use super::print;
use super::stage::{self, of_bucket};
use crate::admin::api::{Undelete, Undeleted};
use crate::config::Environment;
use crate::model::BucketName;

/// The arguments of `undelete`.
#[derive(Debug, Args)]
#[command(after_help = "\
What was deleted here is hidden, although production has it: a tombstone says so. Without its tombstone
a key is looked for in production again. Tombstones are listed by `understudy ls BUCKET --tombstones`.

Exit code: 0 done, 1 not done or a key had no tombstone.

Examples:
  understudy undelete stage pub/firefox/releases/140.0/SHA256SUMS
  understudy undelete stage --prefix pub/firefox/releases/140.0/
  understudy undelete stage --prefix ''                everything in the bucket")]
pub(super) struct Arguments {
    /// The bucket
    #[arg(value_name = "BUCKET", value_parser = BucketName::parse)]
    bucket: BucketName,
    /// The keys
    #[arg(value_name = "KEY", required_unless_present = "prefix")]
    keys: Vec<String>,
    /// All keys below this
    #[arg(long, value_name = "PREFIX", conflicts_with = "keys")]
    prefix: Option<String>,
    /// What came of it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: flags::Target,
}

/// Keys of one request.
const KEYS_MAX: usize = 1000;

/// Removes tombstones and tells how many.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let path = of_bucket(&arguments.bucket, "undelete", &[]);
    let requests = match &arguments.prefix {
        Some(prefix) => vec![Undelete { keys: None, prefix: Some(prefix.clone()) }],
        None => arguments
            .keys
            .chunks(KEYS_MAX)
            .map(|keys| Undelete { keys: Some(keys.to_vec()), prefix: None })
            .collect(),
    };
    let total = stage::with(&arguments.target, environment, async |stage, _| {
        let mut total = Undeleted { undeleted: 0, without_tombstone: Vec::new() };
        for request in &requests {
            let done: Undeleted = stage.post(&path, request).await?;
            total.undeleted += done.undeleted;
            total.without_tombstone.extend(done.without_tombstone);
        }
        Ok(total)
    })?;
    print(&if arguments.json { super::json_text(&total) } else { text(&total) })?;
    Ok(if total.without_tombstone.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(total: &Undeleted) -> String {
    let mut lines: Vec<String> = total
        .without_tombstone
        .iter()
        .map(|key| format!("{} was not deleted here", super::plain(key)))
        .collect();
    let keys = if total.undeleted == 1 { "key is" } else { "keys are" };
    lines.push(format!("{} {keys} looked for in production again", total.undeleted));
    lines.join("\n") + "\n"
}
