//! `understudy ls`.

use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;

use super::failure::Failure;
use super::flags;
use super::print;
use super::stage::{self, Stage, of_bucket};
use crate::admin::api::{Kind, ListedObject, Objects, Tombstone, Tombstones};
use crate::config::Environment;
use crate::model::BucketName;

/// The arguments of `ls`.
#[derive(Debug, Args)]
#[command(after_help = "\
Shown is what is stored here: what was written, and what was fetched from production and kept. What only
production has is in the listings of S3 and GCS, not here.

Examples:
  understudy ls s3://stage/pub/firefox/
  understudy ls stage --tombstones             what was deleted here and is hidden in production
  understudy ls stage/pub/ --json | jq -r .key")]
pub(super) struct Arguments {
    /// The bucket, and perhaps a prefix of keys
    #[arg(value_name = "[s3://]BUCKET[/PREFIX]")]
    place: BucketAddress,
    /// What was deleted here instead
    #[arg(long)]
    tombstones: bool,
    /// A JSON object on each line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: flags::Target,
}

/// `s3://bucket/prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BucketAddress {
    bucket: BucketName,
    prefix: String,
}

impl FromStr for BucketAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix("s3://").unwrap_or(text);
        let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
        let bucket = BucketName::parse(bucket).map_err(|error| error.to_string())?;
        Ok(Self { bucket, prefix: prefix.to_owned() })
    }
}

/// Lists.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    stage::with(&arguments.target, environment, async |stage, _| {
        let mut after = None;
        loop {
            after = page(arguments, stage, after.as_deref()).await?;
            if after.is_none() {
                return Ok(());
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a page and says where the next one begins.
async fn page(arguments: &Arguments, stage: &Stage, after: Option<&str>) -> Result<Option<String>, Failure> {
    let Arguments { place, tombstones, json, .. } = arguments;
    let mut query = vec![("prefix", place.prefix.as_str())];
    query.extend(after.map(|after| ("after", after)));
    let mut text = String::new();
    let next = if *tombstones {
        let page: Tombstones = stage.get(&of_bucket(&place.bucket, "tombstones", &query)).await?;
        for tombstone in &page.tombstones {
            text += &if *json { super::json_line(tombstone) } else { tombstone_line(tombstone) };
        }
        page.next
    } else {
        let page: Objects = stage.get(&of_bucket(&place.bucket, "objects", &query)).await?;
        for object in &page.objects {
            text += &if *json { super::json_line(object) } else { object_line(object) };
        }
        page.next
    };
    print(&text)?;
    Ok(next)
}

/// `2026-11-20 21:20:19`, as the AWS CLI shows it, but always in UTC.
fn date(iso: &str) -> String {
    iso.get(..19).unwrap_or(iso).replace('T', " ")
}

fn object_line(object: &ListedObject) -> String {
    let kind = match object.kind {
        Kind::Written => "written",
        Kind::Cached => "cached",
        Kind::Tombstone => "deleted",
        Kind::DeleteMarker => "marker",
    };
    format!("{} {:>12} {kind:<8} {}\n", date(&object.modified), object.size, super::plain(&object.key))
}

fn tombstone_line(tombstone: &Tombstone) -> String {
    format!("{} {}\n", date(&tombstone.deleted), super::plain(&tombstone.key))
}

#[cfg(test)]
mod tests {
    use super::{BucketAddress, object_line, tombstone_line};
    use crate::admin::api::{Kind, ListedObject, Tombstone};

    #[test]
    fn a_place_is_read_with_and_without_its_scheme() {
        for (text, expected) in [
            ("stage", Some(("stage", ""))),
            ("s3://stage", Some(("stage", ""))),
            ("stage/pub/a", Some(("stage", "pub/a"))),
            ("s3://stage//a", Some(("stage", "/a"))),
            ("", None),
            ("s3://UPPER/a", None),
            ("http://stage/a", None),
        ] {
            let place: Option<BucketAddress> = text.parse().ok();
            let found = place.as_ref().map(|place| (place.bucket.as_str(), place.prefix.as_str()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_line_cannot_become_two() {
        let modified = "2026-11-20T21:20:19.000Z".to_owned();
        let object = ListedObject {
            key: "a\nb\u{1b}[31mé".to_owned(),
            kind: Kind::Cached,
            modified: modified.clone(),
            size: 12,
            etag: None,
        };
        assert_eq!(object_line(&object), "2026-11-20 21:20:19           12 cached   a\\nb\\u{1b}[31mé\n");
        let tombstone = Tombstone { key: "a b".to_owned(), deleted: modified };
        assert_eq!(tombstone_line(&tombstone), "2026-11-20 21:20:19 a b\n");
    }
}
