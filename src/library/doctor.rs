//! What is wrong with what the engine has of the library, and what mends it. Pure.
//!
//! What a lease covers is never removed: only what was left behind by a checkout or a return that
//! did not end.

use std::time::Duration;

use serde::Serialize;

use super::inventory::{Container, HealthState, Inventory, Loan, Run};
use super::lease::InvalidLease;
use super::maker::Maker;
use super::name::StageName;
use crate::model::Timestamp;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The stage.
    pub name: StageName,
    /// What is wrong.
    pub patient: Patient,
    /// What is said.
    pub words: String,
    /// What mends it, in this order; nothing where a person has to decide.
    pub remedies: Vec<Remedy>,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Patient {
    /// A checkout or a return is at work.
    InProgress,
    /// A checkout or a return did not end.
    HalfMade,
    /// Something worked for a checkout and is still there.
    LeftHelper,
    /// A card that no longer counts.
    OldCard,
    /// A volume that the engine did not make to the end.
    BareVolume,
    /// A card or a lease that cannot be read.
    Unreadable,
    /// It was handed out, and something of it is gone.
    Incomplete,
    /// It does not run, although nobody stopped it.
    Down,
    /// It runs and is not well.
    Unhealthy,
}

/// What mends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// A container goes. By its id: when that happens its name may be that of another checkout.
    RemoveContainer {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
    /// A network goes.
    RemoveNetwork {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
    /// A volume goes, if it is still this checkout's: volumes have no ids.
    RemoveVolume {
        /// Its name.
        name: String,
        /// Whose it is.
        checkout: Option<String>,
    },
    /// A container is started.
    StartContainer {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
}

impl Remedy {
    /// A container goes.
    pub fn removal(container: &Container) -> Self {
        Self::RemoveContainer { name: container.name.clone(), id: container.id.clone() }
    }

    /// A container is started.
    pub fn start(container: &Container) -> Self {
        Self::StartContainer { name: container.name.clone(), id: container.id.clone() }
    }
}

/// Longer than any checkout or return; where its process cannot be looked for, this says that it has
/// ended.
const PATIENCE: Duration = Duration::from_mins(30);
/// The same of a checkout that copies content in, which may be a lot.
const PATIENCE_SEEDED: Duration = Duration::from_hours(24);

/// Everything that is wrong. `alive` says whether a process is still there, if that can be seen.
pub fn findings(
    inventory: &Inventory,
    now: Timestamp,
    alive: impl Fn(&Maker) -> Option<bool>,
) -> Vec<Finding> {
    let bare = inventory.bare.iter().filter_map(|volume| {
        let words = format!(
            "the volume {volume} is empty and bears no labels: an engine leaves that if it is killed while it \
             makes one"
        );
        // It is no checkout's.
        let removal = Remedy::RemoveVolume { name: volume.clone(), checkout: None };
        let (name, remedies) = (StageName::of_volume(volume)?, vec![removal]);
        Some(Finding { name, patient: Patient::BareVolume, words, remedies })
    });
    inventory.loans().iter().flat_map(|loan| of(loan, now, &alive)).chain(bare).collect()
}

fn of(loan: &Loan, now: Timestamp, alive: impl Fn(&Maker) -> Option<bool>) -> Vec<Finding> {
    let found =
        |patient, words: String, remedies| Finding { name: loan.name.clone(), patient, words, remedies };
    let newer = matches!(loan.lease, Err(InvalidLease::Newer(_)));
    if !loan.broken_cards.is_empty() || newer {
        let mut words: Vec<_> = loan.broken_cards.iter().map(ToString::to_string).collect();
        words.extend(loan.lease.as_ref().err().filter(|_| newer).map(ToString::to_string));
        return vec![found(Patient::Unreadable, words.join("; "), Vec::new())];
    }
    if loan.card.is_none() {
        let (doing, done) = if loan.claim.is_some() { ("returned", "return") } else { ("made", "checkout") };
        return vec![if is_at_work(loan, now, alive) {
            found(Patient::InProgress, format!("it is being {doing} right now"), Vec::new())
        } else {
            found(Patient::HalfMade, format!("its {done} did not end"), loan.all())
        }];
    }
    let mut all: Vec<Finding> = Vec::new();
    all.extend(loan.helpers.iter().map(|helper| {
        let words = format!("{} has done its work", helper.name);
        found(Patient::LeftHelper, words, vec![Remedy::removal(helper)])
    }));
    all.extend(loan.old_cards.iter().map(|card| {
        found(Patient::OldCard, format!("{} no longer counts", card.name), vec![card.removal()])
    }));
    if !loan.is_whole() {
        let gone = match (&loan.store, &loan.volume) {
            (None, None) => "its container and its volume are gone",
            (None, Some(_)) => "its container is gone; its volume still has everything",
            (Some(_), _) => "its volume is gone",
        };
        let advice = format!("{gone}: `understudy library return {}` clears the rest away", loan.name);
        all.push(found(Patient::Incomplete, advice, Vec::new()));
        return all;
    }
    let was_stopped = loan.card.as_ref().is_some_and(|card| card.stopped.is_some());
    for container in loan.store.iter().chain(&loan.companions) {
        let name = &container.name;
        match (container.run, container.health) {
            (Run::Created | Run::Exited, _) if !was_stopped => {
                let remedy = Remedy::start(container);
                all.push(found(Patient::Down, format!("{name} does not run"), vec![remedy]));
            }
            // Nobody pauses a container but on purpose; the engine would not start it either.
            (Run::Paused, _) => {
                let words = format!("{name} is paused: `docker unpause {name}` wakes it");
                all.push(found(Patient::Down, words, Vec::new()));
            }
            (Run::Dead | Run::Restarting, _) => {
                let words =
                    format!("{name} ends again and again: see `understudy library logs {}`", loan.name);
                all.push(found(Patient::Down, words, Vec::new()));
            }
            (Run::Running, HealthState::Unhealthy) => {
                let words = format!("{name} is not well: see `understudy library logs {}`", loan.name);
                all.push(found(Patient::Unhealthy, words, Vec::new()));
            }
            (Run::Created | Run::Exited | Run::Running, _) => {}
        }
    }
    all
}

/// Whether somebody works on it: a process that is there, or one that cannot be seen and may be.
fn is_at_work(loan: &Loan, now: Timestamp, alive: impl Fn(&Maker) -> Option<bool>) -> bool {
    loan.maker().and_then(|maker| alive(&maker)).unwrap_or_else(|| {
        let lease = loan.lease.as_ref().ok();
        let patience = if lease.is_some_and(|lease| lease.seeded) { PATIENCE_SEEDED } else { PATIENCE };
        let began = loan.claim.as_ref().and_then(|claim| claim.card.returned);
        let began = began.or(lease.map(|lease| lease.created));
        began.is_some_and(|began| now < super::lease::after(began, patience))
    })
}

#[cfg(test)]
mod tests {
    use super::{Finding, Patient, Remedy, findings};
    use crate::library::card::Card;
    use crate::library::inventory::tests::{card, container, whole};
    use crate::library::inventory::{HealthState, Inventory, Run};
    use crate::library::labels::{self, Role};
    use crate::library::lease::tests::lease;
    use crate::model::Timestamp;

    fn of(inventory: &Inventory, now: &str, alive: Option<bool>) -> Vec<(Patient, usize)> {
        let now = Timestamp::parse_iso(now).expect("a time");
        let found = findings(inventory, now, |_| alive);
        found.iter().map(|Finding { patient, remedies, .. }| (*patient, remedies.len())).collect()
    }

    const LATER: &str = "2026-11-20T13:00:00Z";

    #[test]
    fn a_whole_stage_has_nothing() {
        assert_eq!(of(&whole("one"), LATER, None), []);
    }

    #[test]
    fn a_stage_without_a_card_is_half_made_once_nobody_works_on_it() {
        let mut inventory = whole("one");
        inventory.volumes.pop();
        for (now, alive, expected) in [
            ("2026-11-20T12:00:01Z", Some(true), (Patient::InProgress, 0)),
            ("2026-11-20T12:00:01Z", Some(false), (Patient::HalfMade, 3)),
            ("2026-11-20T12:00:01Z", None, (Patient::InProgress, 0)),
            ("2026-11-20T12:29:59Z", None, (Patient::InProgress, 0)),
            (LATER, None, (Patient::HalfMade, 3)),
            (LATER, Some(true), (Patient::InProgress, 0)),
        ] {
            assert_eq!(of(&inventory, now, alive), [expected], "{now} {alive:?}");
        }
        // Of a checkout that was killed at once there is a volume and nothing else.
        inventory.containers.clear();
        inventory.networks.clear();
        assert_eq!(of(&inventory, LATER, Some(false)), [(Patient::HalfMade, 1)]);
    }

    #[test]
    fn a_checkout_that_copies_content_in_is_given_a_day() {
        let mut inventory = whole("one");
        inventory.volumes.pop();
        let seeded = crate::library::Lease { seeded: true, ..lease("one") }.to_label();
        inventory.containers[0].labels.insert(labels::LEASE.to_owned(), seeded);
        for (now, expected) in [
            ("2026-11-21T11:59:59Z", (Patient::InProgress, 0)),
            ("2026-11-21T12:00:00Z", (Patient::HalfMade, 3)),
        ] {
            assert_eq!(of(&inventory, now, None), [expected], "{now}");
        }
    }

    #[test]
    fn a_return_is_at_work_for_as_long_as_the_process_that_returns_it() {
        let mut inventory = whole("one");
        let first = Card::first(lease("one").due);
        let began = Timestamp::parse_iso("2026-11-26T12:00:00Z").expect("a time");
        inventory.volumes.push(card("one", &first.claimed(began)));
        for (now, alive, expected) in [
            ("2026-11-26T12:00:01Z", Some(true), (Patient::InProgress, 0)),
            ("2026-11-26T12:00:01Z", Some(false), (Patient::HalfMade, 5)),
            ("2026-11-26T12:29:59Z", None, (Patient::InProgress, 0)),
            ("2026-11-26T12:30:00Z", None, (Patient::HalfMade, 5)),
        ] {
            assert_eq!(of(&inventory, now, alive), [expected], "{now} {alive:?}");
        }
    }

    #[test]
    fn what_a_lease_covers_is_left_to_people() {
        let mut inventory = whole("one");
        inventory.containers.clear();
        assert_eq!(of(&inventory, LATER, Some(false)), [(Patient::Incomplete, 0)]);
        let mut inventory = whole("one");
        inventory.volumes.remove(0);
        assert_eq!(of(&inventory, LATER, Some(false)), [(Patient::Incomplete, 0)]);
    }

    #[test]
    fn leftovers_beside_a_whole_stage_go() {
        let mut inventory = whole("one");
        let next = Card::first(lease("one").due).renewed(lease("one").due);
        inventory.volumes.push(card("one", &next));
        inventory.containers.push(container("understudy-one.helper.fork", "one", Role::Helper));
        let now = Timestamp::parse_iso(LATER).expect("a time");
        let remedies: Vec<_> =
            findings(&inventory, now, |_| None).into_iter().flat_map(|finding| finding.remedies).collect();
        assert_eq!(
            remedies,
            [
                Remedy::RemoveContainer {
                    name: "understudy-one.helper.fork".to_owned(),
                    id: "id-understudy-one.helper.fork".to_owned(),
                },
                Remedy::RemoveVolume {
                    name: "understudy-one.card.1".to_owned(),
                    checkout: Some("0123".to_owned()),
                },
            ]
        );
    }

    #[test]
    fn containers_that_do_not_run_are_started_unless_a_sweep_stopped_them() {
        for (run, health, stopped, expected) in [
            (Run::Exited, HealthState::Unhealthy, false, Some((Patient::Down, 1))),
            (Run::Created, HealthState::Unasked, false, Some((Patient::Down, 1))),
            (Run::Exited, HealthState::Unhealthy, true, None),
            (Run::Restarting, HealthState::Starting, false, Some((Patient::Down, 0))),
            (Run::Paused, HealthState::Healthy, false, Some((Patient::Down, 0))),
            (Run::Running, HealthState::Unhealthy, false, Some((Patient::Unhealthy, 0))),
            (Run::Running, HealthState::Starting, false, None),
        ] {
            let mut inventory = whole("one");
            inventory.containers[0].run = run;
            inventory.containers[0].health = health;
            if stopped {
                let now = Timestamp::parse_iso(LATER).expect("a time");
                let first = Card::first(lease("one").due);
                inventory.volumes[1] = card("one", &first.with_stop(now));
            }
            assert_eq!(of(&inventory, LATER, None), Vec::from_iter(expected), "{run:?} {health:?} {stopped}");
        }
    }

    #[test]
    fn volumes_that_were_not_made_to_the_end_go_whatever_else_there_is_of_the_stage() {
        let mut inventory = whole("one");
        inventory.bare = vec!["understudy-one.card.2".to_owned(), "understudy-two".to_owned()];
        assert_eq!(of(&inventory, LATER, None), [(Patient::BareVolume, 1), (Patient::BareVolume, 1)]);
    }

    #[test]
    fn what_cannot_be_read_is_not_touched() {
        let mut inventory = whole("one");
        inventory.volumes[1].labels.remove(labels::CARD);
        assert_eq!(of(&inventory, LATER, Some(false)), [(Patient::Unreadable, 0)]);
        let mut inventory = whole("one");
        let newer = lease("one").to_label().replace("\"version\":1", "\"version\":9");
        inventory.containers[0].labels.insert(labels::LEASE.to_owned(), newer);
        inventory.volumes.pop();
        assert_eq!(of(&inventory, LATER, Some(false)), [(Patient::Unreadable, 0)]);
    }
}
