//! What the engine's things become, and the things that other tests are made of.

use super::{Container, HealthState, Inventory, Network, Published, Run, Volume};
use crate::library::card::Card;
use crate::library::labels::{self, Labels, Role};
use crate::library::lease::tests::lease;
use crate::library::name::StageName;
use crate::library::{InvalidLease, Remedy};

pub(in crate::library) fn labels_of(name: &str, role: Role) -> Labels {
    let stage = StageName::parse(name).expect("a name");
    let mut labels = labels::of(&stage, role, "0123", "elsewhere 1/2");
    labels.insert(labels::LEASE.to_owned(), lease(name).to_label());
    labels
}

pub(in crate::library) fn container(name: &str, stage: &str, role: Role) -> Container {
    Container {
        id: format!("id-{name}"),
        name: name.to_owned(),
        labels: labels_of(stage, role),
        image: "understudy".to_owned(),
        run: Run::Running,
        health: HealthState::Healthy,
        published: vec![Published { container: 8000, host: "127.0.0.1:49153".parse().expect("an address") }],
    }
}

pub(in crate::library) fn volume(name: &str, stage: &str) -> Volume {
    Volume { name: name.to_owned(), labels: labels_of(stage, Role::Store) }
}

pub(in crate::library) fn card(stage: &str, card: &Card) -> Volume {
    let name = StageName::parse(stage).expect("a name");
    let mut labels = labels_of(stage, Role::Card);
    labels.insert(labels::CARD.to_owned(), card.to_label());
    Volume { name: name.card(card.number), labels }
}

/// A stage as a checkout leaves it.
pub(in crate::library) fn whole(stage: &str) -> Inventory {
    let thing = format!("understudy-{stage}");
    Inventory {
        machine: None,
        containers: vec![container(&thing, stage, Role::Store)],
        volumes: vec![volume(&thing, stage), card(stage, &Card::first(lease(stage).due))],
        networks: vec![Network {
            id: format!("id-{stage}"),
            name: thing,
            labels: labels_of(stage, Role::Store),
        }],
        bare: Vec::new(),
    }
}

#[test]
fn things_become_stages_by_their_labels() {
    let mut inventory = whole("two");
    let one = whole("one");
    inventory.containers.extend(one.containers);
    inventory.volumes.extend(one.volumes);
    inventory.networks.extend(one.networks);
    let stranger = Volume { name: "understudy-three".to_owned(), labels: Labels::new() };
    inventory.volumes.push(stranger);
    let loans = inventory.loans();
    let names: Vec<_> = loans.iter().map(|loan| loan.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    assert!(loans.iter().all(super::Loan::is_whole));
    assert_eq!(loans[0].lease.as_ref(), Ok(&lease("one")));
    let address = loans[0].address().map(|address| address.url());
    assert_eq!(address.as_deref(), Some("http://127.0.0.1:49153"));
    assert_eq!(loans[0].checkout(), Some("0123"));
}

#[test]
fn the_highest_card_counts() {
    let first = Card::first(lease("one").due);
    let mut later = first.renewed(first.due);
    later.number = 10;
    for order in [[&first, &later], [&later, &first]] {
        let volumes = order.map(|of| card("one", of)).to_vec();
        let loan = Inventory { volumes, ..whole("one") }.loans().remove(0);
        assert_eq!(loan.card.as_ref(), Some(&later));
        assert_eq!(loan.old_cards, [card("one", &first)]);
    }
}

fn names(remedies: &[Remedy]) -> Vec<&str> {
    let name = |remedy| match remedy {
        &Remedy::RemoveContainer { ref name, .. }
        | &Remedy::RemoveNetwork { ref name, .. }
        | &Remedy::RemoveVolume { ref name, .. }
        | &Remedy::StartContainer { ref name, .. } => name.as_str(),
    };
    remedies.iter().map(name).collect()
}

#[test]
fn the_volume_goes_last_and_a_claim_right_before_it() {
    let mut inventory = whole("one");
    let thing = "understudy-one";
    assert_eq!(
        names(&inventory.loans()[0].all()),
        ["understudy-one.card.1", thing, thing, thing],
        "a card, the container, the network, the volume"
    );
    let first = Card::first(lease("one").due);
    inventory.volumes.push(card("one", &first.claimed(first.due)));
    let loan = inventory.loans().remove(0);
    assert_eq!(loan.card, None, "a stage that is returned is nobody's any more");
    assert_eq!(loan.claim.as_ref().map(|claim| claim.card.number), Some(2));
    let all = loan.all();
    assert_eq!(names(&all), ["understudy-one.card.1", thing, thing, "understudy-one.card.2", thing],);
    assert_eq!(
        all.last(),
        Some(&Remedy::RemoveVolume { name: thing.to_owned(), checkout: Some("0123".to_owned()) })
    );
}

#[test]
fn what_only_bears_the_labels_is_no_part_of_a_stage() {
    let mut inventory = whole("one");
    let mut stray = vec![
        container("of-an-image-made-of-it", "one", Role::Store),
        container("understudy-one2", "one", Role::Companion),
        container("understudy-two", "one", Role::Helper),
    ];
    let mut later = container("understudy-one.scanner", "one", Role::Helper);
    later.labels.insert(labels::ROLE.to_owned(), "scanner".to_owned());
    stray.push(later);
    inventory.containers.extend(stray);
    inventory.volumes.extend([volume("somebodys-copy", "one"), volume("understudy-one.card.9", "one")]);
    inventory.networks.push(Network {
        id: "other".to_owned(),
        name: "other".to_owned(),
        labels: labels_of("one", Role::Store),
    });
    assert_eq!(inventory.loans(), whole("one").loans());
    let alone = Inventory { volumes: vec![volume("somebodys-copy", "one")], ..Inventory::default() };
    assert_eq!(alone.loans(), []);
}

#[test]
fn a_card_of_an_earlier_stage_of_this_name_does_not_count() {
    let mut inventory = whole("one");
    let first = Card::first(lease("one").due);
    let mut late = card("one", &first.renewed(first.due));
    late.labels.insert(labels::CHECKOUT.to_owned(), "earlier".to_owned());
    inventory.volumes.push(late.clone());
    let loan = inventory.loans().remove(0);
    assert_eq!((loan.card, loan.old_cards), (Some(first), vec![late]));
}

#[test]
fn companions_are_in_the_order_of_their_start() {
    let mut inventory = whole("one");
    for (name, order) in [("a", "2"), ("b", "1"), ("c", "10")] {
        let mut companion = container(&format!("understudy-one.{name}"), "one", Role::Companion);
        companion.labels.insert(labels::ORDER.to_owned(), order.to_owned());
        inventory.containers.push(companion);
    }
    let loan = inventory.loans().remove(0);
    let names: Vec<_> = loan.companions.iter().map(|companion| companion.name.as_str()).collect();
    assert_eq!(names, ["understudy-one.b", "understudy-one.a", "understudy-one.c"]);
}

#[test]
fn a_lease_is_found_on_the_volume_where_the_store_is_gone() {
    let mut inventory = whole("one");
    inventory.containers.clear();
    assert_eq!(inventory.loans()[0].lease, Ok(lease("one")));
    inventory.volumes.clear();
    assert_eq!(inventory.loans()[0].lease, Err(InvalidLease::Missing));
}
