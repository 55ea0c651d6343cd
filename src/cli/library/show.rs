//! `understudy library show` and `understudy library env`.

use std::process::ExitCode;

use clap::Args;

use super::lookup::{Told, asleep, find, held, minute, store, warn_of_address};
use super::{Loan, Named, with};
use crate::cli::failure::Failure;
use crate::cli::{json_text, plain, print};
use crate::clock::Clock;
use crate::config::Environment;
use crate::library::engine::Engine;
use crate::library::{ACCOUNT_FILE, Account, Address, Group, Keys, Variable, shell, variables};
use crate::model::{AccessKeyId, SecretKey};

/// The arguments of `library show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  understudy library show nick-83
  understudy library show nick-83 --json | jq -r .url")]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    named: Named,
    /// As a JSON object
    #[arg(long)]
    json: bool,
}

/// The arguments of `library env`.
#[derive(Debug, Args)]
#[command(after_help = "\
The variables hold the stage's secret key: print them where nobody looks on, and not into a log.

Examples:
  eval \"$(understudy library env nick-83)\" && aws s3 ls
  understudy library env nick-83 --inside > worker.env.sh      for a container on its network
  docker run --network understudy-nick-83 …                    which is joined so")]
pub(in crate::cli) struct Env {
    #[command(flatten)]
    named: Named,
    /// As lines that a shell takes, without comments
    #[arg(long, conflicts_with = "json")]
    shell: bool,
    /// As a JSON object
    #[arg(long)]
    json: bool,
    /// For containers on the stage's own network
    #[arg(long)]
    inside: bool,
}

/// Says everything about one stage but its keys.
pub(super) fn show(arguments: &Show, environment: &Environment) -> Result<ExitCode, Failure> {
    let inventory = with(environment, async |engine| Ok(engine.inventory().await?))?;
    let loan = find(&inventory, &arguments.named.name)?;
    let told = Told::of(&loan, Clock::System.now());
    print(&if arguments.json { json_text(&told) } else { text(&told, &loan) })?;
    Ok(ExitCode::SUCCESS)
}

fn text(told: &Told<'_>, loan: &Loan) -> String {
    let mut lines = vec![("name", loan.name.to_string()), ("state", told.state.to_owned())];
    if let Some(lease) = told.lease {
        lines.push(("for", plain(&lease.person)));
        lines.extend(lease.purpose.as_ref().map(|purpose| ("purpose", plain(purpose))));
        lines.extend(lease.release.as_ref().map(|release| ("release", plain(release))));
        lines.push(("template", plain(&lease.template)));
        lines.extend(lease.from.as_ref().map(|from| ("forked from", plain(from))));
        lines.push(("checked out", format!("{} UTC by {}", minute(lease.created), plain(&lease.owner))));
    }
    if let (Some(card), Some(standing)) = (&loan.card, told.standing) {
        let renewed = match card.renewals {
            0 => String::new(),
            1 => ", renewed once".to_owned(),
            times => format!(", renewed {times} times"),
        };
        lines.push(("due", format!("{} UTC ({}{renewed})", minute(card.due), standing.words())));
        let swept = |time| format!("{} UTC, by a sweep", minute(time));
        lines.extend(card.warned.map(|time| ("warned", swept(time))));
        lines.extend(card.stopped.map(|time| ("stopped", swept(time))));
    }
    lines.extend(told.url.clone().map(|url| ("address", url)));
    lines.extend(loan.networks.first().map(|network| ("network", format!("{} (store:8000)", network.name))));
    lines.extend(told.image.map(|image| ("image", image.to_owned())));
    for companion in &told.companions {
        let ports: Vec<_> =
            companion.ports.iter().map(|(inside, host)| format!("{inside} at {host}")).collect();
        let ports = if ports.is_empty() { String::new() } else { format!(", {}", ports.join(", ")) };
        let words = format!("{} {} ({}){ports}", companion.container, companion.state, companion.image);
        lines.push(("companion", words));
    }
    let lines: Vec<_> = lines.into_iter().map(|(name, value)| format!("{name:<12} {value}\n")).collect();
    lines.concat()
}

/// Prints the variables of a stage.
pub(super) fn env(arguments: &Env, environment: &Environment) -> Result<ExitCode, Failure> {
    let (loan, keys) = with(environment, async |engine| {
        let held = held(&engine.inventory().await?, &arguments.named.name)?;
        let keys = keys(engine, &held.loan).await?;
        Ok((held.loan, keys))
    })?;
    let address = match loan.address() {
        _ if arguments.inside => Address::Network,
        Some(address) => address,
        None => return Err(asleep(&loan)),
    };
    if !arguments.inside {
        warn_of_address(&loan);
    }
    let all = variables(&address, &keys);
    let text = if arguments.json {
        let pairs: serde_json::Map<_, _> =
            all.iter().map(|variable| (variable.name.to_owned(), variable.value.clone().into())).collect();
        json_text(&pairs)
    } else if arguments.shell {
        all.iter().map(|variable| shell(variable) + "\n").collect()
    } else {
        commented(&all)
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The keys of a stage: they are nowhere but in its container and its volume.
async fn keys(engine: &Engine, loan: &Loan) -> Result<Keys, Failure> {
    let container = store(loan)?;
    let own = engine.environment(&container).await?;
    let id = own.get("UNDERSTUDY_ACCESS_KEY_ID").and_then(|text| AccessKeyId::parse(text));
    let secret = own.get("UNDERSTUDY_SECRET_ACCESS_KEY").and_then(|text| SecretKey::parse(text));
    let (Some(access_key_id), Some(secret_key)) = (id, secret) else {
        let words = format!("the container {container} has no keys in its environment");
        return Err(Failure::Refused(format!("{words}: return {} and check it out again", loan.name)));
    };
    let account = engine.read_file(&container, ACCOUNT_FILE).await?;
    let account = account.as_deref().and_then(Account::parse);
    Ok(Keys { access_key_id, secret_key, account })
}

/// With a comment before each group; a shell takes this, too.
fn commented(all: &[Variable]) -> String {
    let mut lines = Vec::new();
    for group in [Group::Person, Group::Beetmover, Group::UpdateTask] {
        lines.push(format!("# {}\n", group.words()));
        lines.extend(
            all.iter().filter(|variable| variable.group == group).map(|variable| shell(variable) + "\n"),
        );
    }
    lines.concat()
}
