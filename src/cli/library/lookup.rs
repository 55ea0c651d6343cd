//! Stages by their names, and what is said where one is not there or not whole.

use serde::Serialize;

use super::{Card, Inventory, Lease, Loan, StageName};
use crate::cli::failure::{Failure, complain};
use crate::library::{HealthState, InvalidLease, Run, Standing};
use crate::model::Timestamp;

/// The time of grace that standings are told by.
pub(super) const GRACE: std::time::Duration = std::time::Duration::from_hours(72);

/// A stage that was handed out, with its lease and its card.
pub(super) struct Held {
    pub(super) loan: Loan,
    pub(super) lease: Lease,
    pub(super) card: Card,
}

/// A stage, as far as it is there.
pub(super) fn find(inventory: &Inventory, name: &StageName) -> Result<Loan, Failure> {
    inventory.loan(name).ok_or_else(|| {
        let loans = inventory.loans();
        let names: Vec<_> = loans.iter().map(|loan| loan.name.as_str()).collect();
        let known =
            if names.is_empty() { "none is".to_owned() } else { format!("there are: {}", names.join(", ")) };
        Failure::Usage(format!("{name} is not checked out ({known})"))
    })
}

/// A stage that was handed out.
pub(super) fn held(inventory: &Inventory, name: &StageName) -> Result<Held, Failure> {
    let loan = find(inventory, name)?;
    let lease = loan.lease.clone().map_err(|error| unreadable(name, &error))?;
    let Some(card) = loan.card.clone() else { return Err(unheld(&loan)) };
    Ok(Held { loan, lease, card })
}

/// Why a stage without a card that counts is nobody's.
pub(super) fn unheld(loan: &Loan) -> Failure {
    let name = &loan.name;
    let what = match (loan.broken_cards.first(), &loan.claim) {
        (Some(broken), _) => broken.to_string(),
        (None, Some(_)) => "it is being returned right now, or that was ended".to_owned(),
        (None, None) => "it is being checked out right now, or that was ended".to_owned(),
    };
    Failure::Refused(format!("{name}: {what}: see `understudy library doctor {name}`"))
}

/// The container that serves a stage.
pub(super) fn store(loan: &Loan) -> Result<String, Failure> {
    loan.store.as_ref().map(|store| store.name.clone()).ok_or_else(|| {
        let name = &loan.name;
        Failure::Refused(format!("the container of {name} is gone: see `understudy library doctor {name}`"))
    })
}

/// That a stage does not run, and what starts it.
pub(super) fn asleep(loan: &Loan) -> Failure {
    let name = &loan.name;
    let was_stopped = loan.card.as_ref().is_some_and(|card| card.stopped.is_some());
    let command = if was_stopped { format!("renew {name}") } else { format!("doctor --fix {name}") };
    Failure::Refused(format!("{name} does not run: `understudy library {command}` starts it"))
}

fn unreadable(name: &StageName, error: &InvalidLease) -> Failure {
    Failure::Refused(format!("{name}: {error}: see `understudy library doctor {name}`"))
}

/// A stage, as `--json` tells it.
#[derive(Debug, Serialize)]
pub(super) struct Told<'loan> {
    pub(super) name: &'loan StageName,
    pub(super) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) standing: Option<Standing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) renewals: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warned: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stopped: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<&'loan str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lease: Option<&'loan Lease>,
    pub(super) companions: Vec<Companion<'loan>>,
}

/// A companion, as `--json` tells it.
#[derive(Debug, Serialize)]
pub(super) struct Companion<'loan> {
    pub(super) container: &'loan str,
    pub(super) state: &'static str,
    pub(super) image: &'loan str,
    pub(super) ports: std::collections::BTreeMap<u16, std::net::SocketAddr>,
}

impl<'loan> Told<'loan> {
    /// What is told of a stage.
    pub(super) fn of(loan: &'loan Loan, now: Timestamp) -> Self {
        let card = loan.card.as_ref();
        let companion = |container: &'loan crate::library::Container| Companion {
            container: &container.name,
            state: words(container.run, container.health),
            image: &container.image,
            ports: container.published.iter().map(|port| (port.container, port.host)).collect(),
        };
        Self {
            name: &loan.name,
            state: state(loan),
            standing: card.map(|card| Standing::of(card.due, now, GRACE)),
            due: card.map(|card| card.due.iso().to_string()),
            renewals: card.map(|card| card.renewals),
            warned: card.and_then(|card| card.warned).map(|time| time.iso().to_string()),
            stopped: card.and_then(|card| card.stopped).map(|time| time.iso().to_string()),
            url: loan.address().map(|address| address.url()),
            image: loan.store.as_ref().map(|store| store.image.as_str()),
            lease: loan.lease.as_ref().ok(),
            companions: loan.companions.iter().map(companion).collect(),
        }
    }
}

/// How a stage is, in a word.
pub(super) fn state(loan: &Loan) -> &'static str {
    match &loan.store {
        _ if loan.card.is_none() => "half-made",
        None => "incomplete",
        Some(_) if loan.volume.is_none() => "incomplete",
        Some(store) => words(store.run, store.health),
    }
}

fn words(run: Run, health: HealthState) -> &'static str {
    match (run, health) {
        (Run::Running, HealthState::Healthy) => "healthy",
        (Run::Running, HealthState::Unasked) => "running",
        (Run::Running, HealthState::Starting) => "starting",
        (Run::Running, HealthState::Unhealthy) => "unhealthy",
        (Run::Restarting, _) => "restarting",
        (Run::Paused, _) => "paused",
        (Run::Created | Run::Exited, _) => "stopped",
        (Run::Dead, _) => "dead",
    }
}

/// Says so where a stage's address leads to it only from another machine.
pub(super) fn warn_of_address(loan: &Loan) {
    let Some(address) = loan.address() else { return };
    if let Some(machine) = address.only_from() {
        let (name, at) = (&loan.name, address.authority());
        complain(&format!(
            "understudy: {at} is on {machine}, and open to that machine only: forward it (ssh -L {at}:{at} \
             {machine}), or check {name} out with --publish-on 0.0.0.0"
        ));
    }
}

/// `2026-11-27 12:00`, in UTC.
pub(super) fn minute(time: Timestamp) -> String {
    time.iso().to_string().get(..16).unwrap_or_default().replace('T', " ")
}
