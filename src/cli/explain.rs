//! `understudy explain`.

mod address;
mod in_force;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use self::address::{Address, Known, ReadAs, names};
use super::failure::Failure;
use super::flags;
use super::print;
use crate::config::{Environment, Settings};
use crate::fallback::layout::release_of;
use crate::fallback::{
    Applies, Asker, ClientKind, Decision, Fallback, Fetch, Listing, Mode, Reached, ReadMethod, Redirect,
    Rule, RuleName, Target,
};
use crate::model::{BucketName, ObjectKey};

/// The arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  understudy explain GET pub/firefox/releases/82.0/SHA256SUMS --preset mozilla
  understudy explain HEAD s3://stage/pub/a.mar --client plain --config understudy.toml
  understudy explain GET https://archive.mozilla.org/pub/firefox/nightly/latest-mozilla-central/a.mar
  understudy explain GET http://127.0.0.1:8000/storage/v1/b/stage/o/pub%2Fa.mar --json

The rules are those of the settings. What is under test is asked of the stage: the server that has the data
folder, the one that --endpoint names, or the folder itself; where there is none, the settings count.
Production is not asked: whether it has the file, and whether that was written or deleted here, is another
question.")]
pub(super) struct Arguments {
    /// How the key is read
    #[arg(value_name = "GET|HEAD", value_parser = method)]
    method: ReadMethod,
    /// What is read: a key, s3://BUCKET/KEY, gs://BUCKET/KEY, or the URL of a request
    #[arg(value_name = "URL-OR-KEY")]
    address: String,
    /// The bucket, for a key that does not say it
    #[arg(long, value_name = "NAME")]
    bucket: Option<BucketName>,
    /// Who asks: a plain client such as curl, or an SDK [default: sdk for s3://, gs:// and Google's API]
    #[arg(long, value_name = "plain|sdk", value_parser = client)]
    client: Option<ClientKind>,
    /// As a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: flags::Target,
}

fn method(text: &str) -> Result<ReadMethod, String> {
    match text.to_ascii_uppercase().as_str() {
        "GET" => Ok(ReadMethod::Get),
        "HEAD" => Ok(ReadMethod::Head),
        _ => Err("write GET or HEAD: nothing else is ever looked for in production".to_owned()),
    }
}

fn client(text: &str) -> Result<ClientKind, String> {
    match text {
        "plain" => Ok(ClientKind::Plain),
        "sdk" => Ok(ClientKind::Sdk),
        _ => Err("write plain or sdk".to_owned()),
    }
}

/// Explains, from the settings and what the stage has under test.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let settings = Settings::load(&arguments.target.place.layer()?, environment)?;
    let known = Known { buckets: &settings.buckets, archive: &settings.archive, s3: &settings.s3 };
    let address = Address::read(&arguments.address, arguments.bucket.as_ref(), known)?;
    let client = match (arguments.client, address.read_as) {
        (Some(ClientKind::Plain), ReadAs::GcsJson) => {
            let always = "requests to Google's JSON API are always an SDK's: leave --client out";
            return Err(Failure::Usage(always.to_owned()));
        }
        (Some(client), _) => client,
        (None, read_as) => read_as.client(),
    };
    let (fallback, said_by) = in_force::find(&arguments.target, &settings, environment)?;
    let mut explanation = explain(&fallback, &address, arguments.method, client)?;
    explanation.release.said_by = Some(said_by);
    print(&if arguments.json {
        format!("{:#}\n", serde_json::to_value(&explanation).unwrap_or_default())
    } else {
        explanation.text()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What is told.
#[derive(Debug, Serialize)]
struct Explanation<'a> {
    method: ReadMethod,
    client: ClientKind,
    key: &'a str,
    read_as: ReadAs,
    /// All buckets that are looked in.
    buckets: &'a [BucketName],
    /// The one whose rules decide.
    bucket: &'a BucketName,
    release: Release,
    rules: Vec<AskedRule<'a>>,
    decision: Decided<'a>,
    listed: Listed,
}

/// The release that a key belongs to.
#[derive(Debug, Serialize)]
struct Release {
    name: Option<String>,
    under_test: Vec<String>,
    hidden_by: Option<String>,
    previous: bool,
    /// Who was asked what is under test.
    #[serde(skip_serializing_if = "Option::is_none")]
    said_by: Option<String>,
}

/// A rule, and why it did or did not decide.
#[derive(Debug, Serialize)]
struct AskedRule<'a> {
    number: usize,
    pattern: &'a str,
    mode: Mode,
    upstream: Option<String>,
    matches: bool,
    why: String,
}

/// What happens.
#[derive(Debug, Serialize)]
struct Decided<'a> {
    outcome: &'static str,
    rule: Option<usize>,
    why: String,
    /// Where a client is sent, or what is fetched; without a signature.
    address: Option<String>,
    #[serde(skip)]
    name: Option<RuleName<'a>>,
}

/// Whether the key is in listings.
#[derive(Debug, Serialize)]
struct Listed {
    possible: bool,
    why: String,
}

fn explain<'a>(
    fallback: &'a Fallback,
    address: &'a Address,
    method: ReadMethod,
    client: ClientKind,
) -> Result<Explanation<'a>, Failure> {
    let key = &address.key;
    // As the archive face does: the first bucket whose rules say anything.
    let reached = address.reached.as_ref().map(|(host, port)| Reached { host, port: *port });
    let asker = Asker { client, reached };
    let decides = |bucket: &&BucketName| fallback.decide(bucket, key, method, asker) != Decision::NoRule;
    let bucket = address.buckets.iter().find(decides).or(address.buckets.first());
    let bucket = bucket.ok_or_else(|| Failure::Usage(names(&address.buckets)))?;
    let decision = fallback.decide(bucket, key, method, asker);
    let outcome = decided(fallback, bucket, key, &decision);
    Ok(Explanation {
        method,
        client,
        key: key.as_str(),
        read_as: address.read_as,
        buckets: &address.buckets,
        bucket,
        release: release(fallback, key),
        rules: fallback
            .named_rules(bucket)
            .map(|(name, rule)| {
                let applies = rule.applies(key.as_str(), method, client);
                asked(name, rule, applies, &decision, outcome.name)
            })
            .collect(),
        listed: listed(fallback, bucket, key),
        decision: outcome,
    })
}

fn release(fallback: &Fallback, key: &ObjectKey) -> Release {
    let config = fallback.release();
    Release {
        name: release_of(key.as_str()).map(|release| release.to_string()),
        under_test: config.under_test.iter().map(ToString::to_string).collect(),
        hidden_by: config.hides(key.as_str()).map(ToString::to_string),
        previous: config.is_previous(key.as_str()),
        said_by: None,
    }
}

fn asked<'a>(
    name: RuleName<'a>,
    rule: &Rule,
    applies: Applies,
    decision: &Decision<'_>,
    decider: Option<RuleName<'_>>,
) -> AskedRule<'a> {
    let why = match applies {
        Applies::OtherKeys => "its pattern does not match the key".to_owned(),
        Applies::OtherMethod => "it is for the other method".to_owned(),
        Applies::OtherClients => "it is for other clients".to_owned(),
        Applies::Yes => match (decision, decider) {
            (Decision::UnderTest { .. }, _) => "it matches, but a release under test comes first".to_owned(),
            (_, Some(decider)) if decider.number != name.number => {
                format!("it matches, but #{} comes first", decider.number)
            }
            (_, Some(_) | None) => "it matches, and decides".to_owned(),
        },
    };
    AskedRule {
        number: name.number,
        pattern: name.pattern,
        mode: rule.mode(),
        upstream: rule.upstream().map(|upstream| upstream.name()),
        matches: applies == Applies::Yes,
        why,
    }
}

fn decided<'a>(
    fallback: &Fallback,
    bucket: &BucketName,
    key: &ObjectKey,
    decision: &Decision<'a>,
) -> Decided<'a> {
    let absent = |name: Option<RuleName<'a>>, why: String| Decided {
        outcome: "not found",
        rule: name.map(|name| name.number),
        why,
        address: None,
        name,
    };
    let address = |name: RuleName<'_>| {
        let (_, rule) = fallback.named_rules(bucket).find(|(other, _)| other.number == name.number)?;
        rule.upstream()?.object_url(key).ok()
    };
    match decision {
        Decision::NoRule if fallback.named_rules(bucket).next().is_none() => {
            absent(None, format!("the bucket {bucket} has no fallback rules"))
        }
        Decision::NoRule => absent(None, "no rule is for this read".to_owned()),
        Decision::UnderTest { release } => {
            absent(None, format!("{release} is under test, and the key belongs to it or to something newer"))
        }
        Decision::Deny { rule } => absent(Some(*rule), format!("#{} denies it", rule.number)),
        Decision::NotMappable { rule } => {
            let why = format!("#{} has no address for a key with a '.' or '..' segment", rule.number);
            absent(Some(*rule), why)
        }
        Decision::NotPrevious { rule } => {
            let why = format!(
                "#{} is for older releases only (previous_only), and the key belongs to none",
                rule.number
            );
            absent(Some(*rule), why)
        }
        Decision::Redirect(redirect) => redirected(redirect, address(redirect.rule)),
        Decision::Fetch(fetch) => Decided {
            outcome: if fetch.keep { "cache" } else { "proxy" },
            rule: Some(fetch.rule.number),
            why: fetched(fetch).to_owned(),
            address: address(fetch.rule),
            name: Some(fetch.rule),
        },
    }
}

fn fetched(fetch: &Fetch<'_>) -> &'static str {
    match (fetch.leads_back, fetch.keep) {
        (true, _) => {
            "a redirect would lead this client back to the stage, which it reaches by that name: \
             fetched and passed on instead; nothing is kept"
        }
        (false, true) => "fetched, passed on and kept: the next read finds it here",
        (false, false) => "fetched and passed on; nothing is kept",
    }
}

fn redirected<'a>(redirect: &Redirect<'a>, address: Option<String>) -> Decided<'a> {
    let status = redirect.status.as_u16();
    let mut why = format!("the client is sent there with {status}");
    let outcome = match &redirect.target {
        Target::Plain(_) => "redirect",
        Target::Presigned { expires, .. } => {
            // Writing to a string cannot fail.
            let _infallible = write!(why, ", signed for {} s; the signature is not shown", expires.as_secs());
            "presign"
        }
    };
    if let Some(upstream) = redirect.probe {
        let _infallible = write!(why, "; first {} is asked whether it has the key", upstream.name());
    }
    Decided { outcome, rule: Some(redirect.rule.number), why, address, name: Some(redirect.rule) }
}

fn listed(fallback: &Fallback, bucket: &BucketName, key: &ObjectKey) -> Listed {
    let shows = |listing: &Listing<'_>| fallback.lists(bucket, key.as_str(), listing.upstream);
    match fallback.listings(bucket).into_iter().find(shows) {
        None => Listed { possible: false, why: "no rule merges it into listings".to_owned() },
        Some(Listing { upstream, live: true }) => Listed {
            possible: true,
            why: format!("if {} lists it, or an imported index has it", upstream.name()),
        },
        Some(Listing { upstream, live: false }) => Listed {
            possible: true,
            why: format!("if an imported index has it; {} itself is not asked for lists", upstream.name()),
        },
    }
}

impl Explanation<'_> {
    fn text(&self) -> String {
        let method = match self.method {
            ReadMethod::Get => "GET",
            ReadMethod::Head => "HEAD",
        };
        let client = match self.client {
            ClientKind::Plain => "a plain client",
            ClientKind::Sdk => "an SDK",
        };
        let mut lines = vec![
            format!("{method} {:?} in the bucket {}, by {client}", self.key, self.bucket),
            String::new(),
            format!("read as   {}", self.read_as.words()),
        ];
        if self.buckets.len() > 1 {
            lines.push(format!("buckets   {}", names(self.buckets)));
        }
        lines.push(format!("release   {}", self.release.text()));
        if self.rules.is_empty() {
            lines.push("rules     none".to_owned());
        }
        for (index, rule) in self.rules.iter().enumerate() {
            let title = if index == 0 { "rules" } else { "" };
            let mark = if self.decision.rule == Some(rule.number) { '>' } else { ' ' };
            lines.push(format!("{title:8}{mark} {}", rule.text()));
        }
        lines.push(format!("decision  {}: {}", self.decision.outcome, self.decision.why));
        if let Some(address) = &self.decision.address {
            lines.push(format!("address   {address}"));
        }
        let listed = if self.listed.possible { "yes" } else { "no" };
        lines.push(format!("listed    {listed}: {}", self.listed.why));
        lines.push(String::new());
        lines.push(FIRST.to_owned());
        lines.extend(self.release.said_by.clone());
        lines.join("\n") + "\n"
    }
}

/// What this command cannot know.
const FIRST: &str =
    "An object that is here under this key, or the tombstone of one that was deleted here, comes first.";

impl Release {
    fn text(&self) -> String {
        let Some(name) = &self.name else {
            return "none: the key does not lie in the folder of a release".to_owned();
        };
        let relation = match (&self.hidden_by, self.previous) {
            (Some(under_test), _) => format!("hidden, because {under_test} is under test"),
            (None, true) => format!("older than what is under test ({})", self.under_test.join(", ")),
            (None, false) => "nothing of this product is under test".to_owned(),
        };
        format!("{name}: {relation}")
    }
}

impl AskedRule<'_> {
    fn text(&self) -> String {
        let mode = format!("{:?}", self.mode).to_ascii_lowercase();
        let upstream = self.upstream.as_ref().map_or_else(String::new, |upstream| format!(" {upstream}"));
        format!("#{} {} ({mode}{upstream}): {}", self.number, self.pattern, self.why)
    }
}
