//! `understudy library checkout`.

use std::io::IsTerminal as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::lookup::{Told, minute, warn_of_address};
use super::{Inventory, Lease, Loan, Named, StageName, with};
use crate::cli::failure::{Failure, complain};
use crate::cli::{json_text, plain, print};
use crate::clock::Clock;
use crate::config::{Environment, Span};
use crate::fallback::{NONE, ReleaseId};
use crate::library::engine::{Engine, Error};
use crate::library::{BUILT_IN, Catalogue, Checkout, Maker, Plan, Secrets, Source, Template};
use crate::model::Timestamp;

/// The arguments of `library checkout`.
#[derive(Debug, Args)]
#[command(after_help = "\
Whatever goes wrong, and if you press Ctrl-C: what was made is removed again. A checkout that was killed
leaves a half-made stage, which `understudy library doctor --fix` clears away.

Examples:
  understudy library checkout nick-83 --release firefox-83.0b3-build1      and 83.0b4 after it
  understudy library checkout nick-85 --release firefox-85.0-build1 --release devedition-86.0b1-build1
  understudy library checkout nick-84 --from nick-83@after-83 --release firefox-84.0-build1 --due 3d
  understudy library checkout again-83 --from nick-83@checkout --purpose \"83.0b3 once more\"
  eval \"$(understudy library env nick-83)\" && aws s3 ls")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    named: Named,
    /// Who will have it [default: you]
    #[arg(long = "for", value_name = "PERSON")]
    person: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// How long it is kept [default: what the template says, else 7d]
    #[arg(long, value_name = "TIME")]
    due: Option<Span>,
    /// The release under test: neither it nor anything newer of its product is read from production; may
    /// be repeated; none for none [default: that of the stage that it is forked from]
    #[arg(long = "release", value_name = "RELEASE")]
    releases: Vec<String>,
    /// A template of the catalogue, or a snapshot of a stage to fork [default: the catalogue's]
    #[arg(long, value_name = "TEMPLATE|STAGE@SNAPSHOT")]
    from: Option<String>,
    /// The port of this machine [default: a free one]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The address of this machine that the port is opened on
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    publish_on: IpAddr,
    /// The image [default: the template's, else understudy:latest]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// The catalogue of templates [env: UNDERSTUDY_CATALOGUE] [default: one that is built in]
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// The stage as a JSON object
    #[arg(long)]
    json: bool,
}

/// How long a lease lasts if nobody says.
const DUE: Duration = Duration::from_hours(7 * 24);

/// Checks a stage out.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let catalogue = catalogue(arguments, environment)?;
    check_releases(&arguments.releases)?;
    let loan = with(environment, async |engine| {
        let inventory = engine.inventory().await?;
        if let Some(taken) = inventory.loan(&arguments.named.name) {
            return Err(taken_by(&taken));
        }
        let plan = plan(arguments, &catalogue, &inventory, environment)?;
        let shown = std::io::stderr().is_terminal();
        let tell = |step: &crate::library::Step| {
            if shown {
                complain(&format!("{} …", step.words()));
            }
        };
        if let Err(error) = engine.carry_out(&plan, tell).await {
            return Err(explained(engine, error).await);
        }
        engine.inventory().await?.loan(&arguments.named.name).ok_or_else(|| {
            Failure::Refused(format!("{} was removed as soon as it was made", arguments.named.name))
        })
    })?;
    warn_of_address(&loan);
    print(&if arguments.json { json_text(&Told::of(&loan, Clock::System.now())) } else { welcome(&loan) })?;
    Ok(ExitCode::SUCCESS)
}

fn check_releases(releases: &[String]) -> Result<(), Failure> {
    if releases == [NONE] {
        return Ok(());
    }
    for release in releases {
        ReleaseId::parse(release).map_err(|error| Failure::Usage(format!("--release: {error}")))?;
    }
    Ok(())
}

/// Somebody else may have taken the name since we looked.
async fn explained(engine: &Engine, error: Error) -> Failure {
    let Error::NameTaken(name) = &error else { return error.into() };
    match engine.inventory().await.map(|inventory| inventory.loan(name)) {
        Ok(Some(loan)) => taken_by(&loan),
        Ok(None) | Err(_) => error.into(),
    }
}

/// `NAME is checked out for … until …`.
fn taken_by(loan: &Loan) -> Failure {
    let name = &loan.name;
    let words = match (&loan.lease, &loan.card) {
        (Ok(lease), Some(card)) => {
            let purpose =
                lease.purpose.as_ref().map_or_else(String::new, |text| format!(" ({})", plain(text)));
            format!(
                "{name} is checked out for {}{purpose} until {} UTC",
                plain(&lease.person),
                minute(card.due)
            )
        }
        (Ok(lease), None) => {
            let doing = if loan.claim.is_some() { "returned" } else { "checked out" };
            let person = plain(&lease.person);
            format!(
                "{name} is being {doing} for {person} right now, or that was killed: \
                 see `understudy library doctor {name}`"
            )
        }
        (Err(error), _) => format!("{name} is there, but {error}: see `understudy library doctor {name}`"),
    };
    Failure::Refused(words)
}

fn catalogue(arguments: &Arguments, environment: &Environment) -> Result<Catalogue, Failure> {
    let of_environment = || environment.get("UNDERSTUDY_CATALOGUE").filter(|path| !path.is_empty());
    let path = arguments.catalogue.clone().or_else(|| of_environment().map(PathBuf::from));
    let (place, text) = match path {
        None => ("the built-in catalogue".to_owned(), BUILT_IN.to_owned()),
        Some(path) => {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))?;
            (path.display().to_string(), text)
        }
    };
    Catalogue::parse(&text).map_err(|error| Failure::Usage(format!("{place}: {error}")))
}

fn plan(
    arguments: &Arguments,
    catalogue: &Catalogue,
    inventory: &Inventory,
    environment: &Environment,
) -> Result<Plan, Failure> {
    let Origin { template_name, template, source, release } = origin(arguments, catalogue, inventory)?;
    let now = Clock::System.now();
    let span = arguments.due.or(template.due).map_or(DUE, Span::duration);
    let user = variable(environment, &["USER", "LOGNAME"])
        .map_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()), str::to_owned);
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let credential = crate::config::credentials::generate()?;
    let mut checkout = [0_u8; 16];
    getrandom::fill(&mut checkout)
        .map_err(|error| Failure::Refused(format!("the system has no random numbers: {error}")))?;
    let checkout = Checkout {
        name: arguments.named.name.clone(),
        person: arguments.person.clone().unwrap_or_else(|| user.clone()),
        purpose: arguments.purpose.clone(),
        release: (!arguments.releases.is_empty()).then(|| arguments.releases.join(",")).or(release),
        template_name,
        template,
        source,
        now,
        due: due(now, span)?,
        owner: format!("{user}@{machine}"),
        image: arguments.image.clone(),
        port: arguments.port,
        publish_on: arguments.publish_on,
        access_key_id: credential.access_key_id,
        secret_key: credential.secret_key,
        source_keys: source_keys(environment),
        checkout: hex::encode(checkout),
        maker: Maker::this_process().map_or_else(String::new, |maker| maker.to_string()),
    };
    checkout.plan().map_err(|error| Failure::Usage(error.to_string()))
}

/// What a stage is made of.
struct Origin {
    template_name: String,
    template: Template,
    source: Source,
    /// What is under test in the stage that it is forked from.
    release: Option<String>,
}

/// The template, and what the stage is filled with.
fn origin(arguments: &Arguments, catalogue: &Catalogue, inventory: &Inventory) -> Result<Origin, Failure> {
    let named = arguments.from.as_ref().unwrap_or(&catalogue.default);
    let (template_name, source, release) = match named.split_once('@') {
        None => (named.clone(), Source::Template, None),
        Some((stage, snapshot)) => {
            let stage =
                StageName::parse(stage).map_err(|error| Failure::Usage(format!("--from: {error}")))?;
            let held = super::lookup::held(inventory, &stage)?;
            let source = Source::Fork { stage, snapshot: snapshot.to_owned() };
            (held.lease.template, source, held.lease.release)
        }
    };
    let template = catalogue.templates.get(&template_name).cloned().ok_or_else(|| {
        let known: Vec<_> = catalogue.templates.keys().map(String::as_str).collect();
        let others = format!("there are {}", known.join(", "));
        Failure::Usage(format!(
            "the catalogue has no template {template_name:?} ({others}); a stage's snapshot is written STAGE@SNAPSHOT"
        ))
    })?;
    Ok(Origin { template_name, template, source, release })
}

fn variable<'environment>(
    environment: &'environment Environment,
    names: &[&str],
) -> Option<&'environment str> {
    names.iter().find_map(|name| environment.get(*name)).map(String::as_str).filter(|text| !text.is_empty())
}

/// What `understudy seed` reads a bucket with.
fn source_keys(environment: &Environment) -> Secrets {
    let names = [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
    ];
    let set = names.iter().filter_map(|name| Some(((*name).to_owned(), variable(environment, &[name])?)));
    Secrets(set.map(|(name, value)| (name, value.to_owned())).collect())
}

/// When a lease ends that begins now.
pub(super) fn due(now: Timestamp, span: Duration) -> Result<Timestamp, Failure> {
    Lease::due_after(now, span).ok_or_else(|| {
        let days = Lease::LONGEST.as_secs() / (24 * 3600);
        Failure::Usage(format!("--due: a lease lasts {days}d at the most; `renew` makes it longer later"))
    })
}

fn welcome(loan: &Loan) -> String {
    let name = &loan.name;
    let address = Told::of(loan, Clock::System.now()).url.unwrap_or_default();
    let due = loan.card.as_ref().map_or_else(String::new, |card| minute(card.due));
    format!(
        "{name} is at {address} until {due} UTC\n\
         eval \"$(understudy library env {name})\"      its variables, for a shell\n\
         understudy library return {name}             when you have done\n"
    )
}
