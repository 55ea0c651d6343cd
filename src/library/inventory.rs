//! What the engine has of the library, and what that makes of stages. Pure: `engine` fills it in.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::card::{Card, InvalidCard};
use super::labels::{self, Labels, Role};
use super::lease::{InvalidLease, Lease};
use super::maker::Maker;
use super::name::StageName;

/// Everything that bears labels of the library.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Containers, running or not.
    pub containers: Vec<Container>,
    /// Volumes, cards included.
    pub volumes: Vec<Volume>,
    /// Networks.
    pub networks: Vec<Network>,
    /// Volumes that are called as the library's are, hold nothing, are nobody's and bear no labels:
    /// an engine makes the folder of a volume before it writes the labels down, and may be killed in
    /// between. Only the doctor asks for them.
    pub bare: Vec<String>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its image.
    pub image: String,
    /// Whether it runs.
    pub run: Run,
    /// Whether it is well.
    pub health: HealthState,
    /// Where this machine leads to it.
    pub published: Vec<Published>,
}

/// A port of this machine that leads to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The container's port.
    pub container: u16,
    /// This machine's.
    pub host: SocketAddr,
}

/// Whether a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// It never did.
    Created,
    /// It does.
    Running,
    /// It is about to, after an end.
    Restarting,
    /// It is held.
    Paused,
    /// It did.
    Exited,
    /// It could not be removed.
    Dead,
}

/// Whether a container is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// Nobody asks.
    Unasked,
    /// It has just started.
    Starting,
    /// It is.
    Healthy,
    /// It is not.
    Unhealthy,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// What it is known by: names of networks may be there twice.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
}

/// A stage, as far as it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loan {
    /// Its name.
    pub name: StageName,
    /// Its lease, as the store or the volume says it.
    pub lease: Result<Lease, InvalidLease>,
    /// The card that counts; without one the stage is half-made.
    pub card: Option<Card>,
    /// Cards that no longer count.
    pub old_cards: Vec<String>,
    /// Cards that do not read.
    pub broken_cards: Vec<InvalidCard>,
    /// The store.
    pub store: Option<Container>,
    /// Its companions.
    pub companions: Vec<Container>,
    /// What worked for a checkout.
    pub helpers: Vec<Container>,
    /// Its volume.
    pub volume: Option<Volume>,
    /// Its networks: one.
    pub networks: Vec<Network>,
}

impl Inventory {
    /// The stages, by their names.
    pub fn loans(&self) -> Vec<Loan> {
        let mut loans: BTreeMap<StageName, Loan> = BTreeMap::new();
        for container in &self.containers {
            let Some(loan) = loan(&mut loans, &container.labels) else { continue };
            match Role::find(&container.labels) {
                Some(Role::Store) => loan.store = Some(container.clone()),
                Some(Role::Companion) => loan.companions.push(container.clone()),
                Some(Role::Helper | Role::Card) | None => loan.helpers.push(container.clone()),
            }
        }
        for volume in &self.volumes {
            let Some(loan) = loan(&mut loans, &volume.labels) else { continue };
            match Card::read(&loan.name, &volume.name, &volume.labels) {
                None => loan.volume = Some(volume.clone()),
                Some(Ok(card)) => loan.take_card(card),
                Some(Err(broken)) => loan.broken_cards.push(broken),
            }
        }
        for network in &self.networks {
            let Some(loan) = loan(&mut loans, &network.labels) else { continue };
            loan.networks.push(network.clone());
        }
        for loan in loans.values_mut() {
            loan.lease = Lease::from_label(loan.label(labels::LEASE));
            loan.companions.sort_by(|one, other| one.name.cmp(&other.name));
        }
        loans.into_values().collect()
    }

    /// One of the stages.
    pub fn loan(&self, name: &StageName) -> Option<Loan> {
        self.loans().into_iter().find(|loan| loan.name == *name)
    }
}

fn loan<'loans>(loans: &'loans mut BTreeMap<StageName, Loan>, labels: &Labels) -> Option<&'loans mut Loan> {
    let name = StageName::parse(labels.get(labels::STAGE)?).ok()?;
    Some(loans.entry(name.clone()).or_insert_with(|| Loan {
        name,
        lease: Err(InvalidLease::Missing),
        card: None,
        old_cards: Vec::new(),
        broken_cards: Vec::new(),
        store: None,
        companions: Vec::new(),
        helpers: Vec::new(),
        volume: None,
        networks: Vec::new(),
    }))
}

impl Loan {
    fn take_card(&mut self, card: Card) {
        let number = card.number;
        match &self.card {
            Some(own) if own.number >= number => self.old_cards.push(self.name.card(number)),
            _ => {
                let old = self.card.replace(card);
                self.old_cards.extend(old.map(|old| self.name.card(old.number)));
            }
        }
    }

    /// A label of the store, or of the volume where there is no store.
    fn label(&self, label: &str) -> Option<&str> {
        let of_store = self.store.as_ref().and_then(|store| store.labels.get(label));
        let of_volume = self.volume.as_ref().and_then(|volume| volume.labels.get(label));
        of_store.or(of_volume).map(String::as_str)
    }

    /// Whose it is: the number of its checkout.
    pub fn checkout(&self) -> Option<&str> {
        self.any_label(labels::CHECKOUT)
    }

    /// The process that made it.
    pub fn maker(&self) -> Option<Maker> {
        self.any_label(labels::MAKER).and_then(Maker::parse)
    }

    fn any_label(&self, label: &str) -> Option<&str> {
        let containers = self.store.iter().chain(&self.companions).chain(&self.helpers);
        let of_containers = containers.map(|container| &container.labels);
        let of_volumes = self.volume.iter().map(|volume| &volume.labels);
        let of_networks = self.networks.iter().map(|network| &network.labels);
        let mut all = of_containers.chain(of_volumes).chain(of_networks);
        all.find_map(|labels| labels.get(label)).map(String::as_str)
    }

    /// Where this machine leads to the store.
    pub fn address(&self) -> Option<SocketAddr> {
        let published = &self.store.as_ref()?.published;
        published.iter().find(|port| port.container == super::plan::PORT).map(|port| port.host)
    }

    /// Whether it was handed out, and has all that it needs.
    pub fn is_whole(&self) -> bool {
        self.card.is_some() && self.store.is_some() && self.volume.is_some()
    }

    /// Everything that it consists of, the volume last: its name is the lock, and until it is gone
    /// nobody else makes a stage of this name. Without its cards, which go first, it is half-made,
    /// so that what is left after a kill is found.
    pub fn all(&self) -> Vec<super::Remedy> {
        use super::Remedy;
        let card = self.card.iter().map(|card| self.name.card(card.number));
        let broken = self.broken_cards.iter().map(|broken| broken.volume.clone());
        let cards = card.chain(broken).chain(self.old_cards.iter().cloned()).map(Remedy::RemoveVolume);
        let containers = self.helpers.iter().chain(&self.companions).chain(&self.store);
        let containers = containers.map(|container| Remedy::RemoveContainer(container.name.clone()));
        let networks = self.networks.iter().map(|network| Remedy::RemoveNetwork(network.id.clone()));
        let volume = self.volume.iter().map(|volume| Remedy::RemoveVolume(volume.name.clone()));
        cards.chain(containers).chain(networks).chain(volume).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
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
            name: name.to_owned(),
            labels: labels_of(stage, role),
            image: "understudy".to_owned(),
            run: Run::Running,
            health: HealthState::Healthy,
            published: vec![Published {
                container: 8000,
                host: "127.0.0.1:49153".parse().expect("an address"),
            }],
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
        assert_eq!(loans[0].address().map(|address| address.to_string()).as_deref(), Some("127.0.0.1:49153"));
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
            assert_eq!(loan.old_cards, ["understudy-one.card.1"]);
        }
    }

    #[test]
    fn the_card_goes_first_and_the_volume_last() {
        let loan = whole("one").loans().remove(0);
        assert_eq!(
            loan.all(),
            [
                Remedy::RemoveVolume("understudy-one.card.1".to_owned()),
                Remedy::RemoveContainer("understudy-one".to_owned()),
                Remedy::RemoveNetwork("id-one".to_owned()),
                Remedy::RemoveVolume("understudy-one".to_owned()),
            ]
        );
    }

    #[test]
    fn a_lease_is_found_on_the_volume_where_the_store_is_gone() {
        let mut inventory = whole("one");
        inventory.containers.clear();
        assert_eq!(inventory.loans()[0].lease, Ok(lease("one")));
        inventory.volumes.clear();
        assert_eq!(inventory.loans()[0].lease, Err(InvalidLease::Missing));
    }
}
