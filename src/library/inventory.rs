//! What the engine has of the library, and what that makes of stages. Pure: `engine` fills it in.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::card::{Card, InvalidCard};
use super::labels::{self, Labels, Role};
use super::lease::{InvalidLease, Lease};
use super::maker::Maker;
use super::name::StageName;
use super::{Address, Remedy};

/// Everything that bears labels of the library.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The engine's machine, if it is not this one.
    pub machine: Option<String>,
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
    /// What it is known by: its name may be another one's later.
    pub id: String,
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
    /// All of its cards.
    pub cards: Vec<Volume>,
    /// The card that counts; without one the stage is half-made.
    pub card: Option<Card>,
    /// The card that says that somebody gives it back: it is half-made from then on.
    pub claim: Option<Claim>,
    /// Cards that no longer count.
    pub old_cards: Vec<Volume>,
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
    /// The engine's machine, if it is not this one.
    pub machine: Option<String>,
}

/// A return that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its card.
    pub card: Card,
    /// The process that returns it.
    pub maker: Option<Maker>,
}

impl Inventory {
    /// The stages, by their names.
    ///
    /// What bears labels but not a name that a checkout gives is no part of a stage: images made of
    /// a container bear its labels, and so does whatever runs them.
    pub fn loans(&self) -> Vec<Loan> {
        let mut loans: BTreeMap<StageName, Loan> = BTreeMap::new();
        for container in &self.containers {
            let Some((name, role)) = part(&container.labels) else { continue };
            let below = container.name.strip_prefix(&name.thing());
            match (role, below) {
                (Role::Store, Some("")) => of(&mut loans, name).store = Some(container.clone()),
                (Role::Companion, Some(below)) if below.starts_with('.') => {
                    of(&mut loans, name).companions.push(container.clone());
                }
                (Role::Helper, Some(below)) if below.starts_with('.') => {
                    of(&mut loans, name).helpers.push(container.clone());
                }
                (Role::Store | Role::Companion | Role::Helper | Role::Card, _) => {}
            }
        }
        for volume in &self.volumes {
            let Some((name, role)) = part(&volume.labels) else { continue };
            match role {
                Role::Store if volume.name == name.thing() => {
                    of(&mut loans, name).volume = Some(volume.clone());
                }
                Role::Card if name.card_number(&volume.name).is_some() => {
                    of(&mut loans, name).cards.push(volume.clone());
                }
                Role::Store | Role::Companion | Role::Helper | Role::Card => {}
            }
        }
        for network in &self.networks {
            let Some((name, Role::Store)) = part(&network.labels) else { continue };
            if network.name == name.thing() {
                of(&mut loans, name).networks.push(network.clone());
            }
        }
        let mut loans: Vec<_> = loans.into_values().collect();
        for loan in &mut loans {
            loan.lease = Lease::from_label(loan.label(labels::LEASE));
            loan.companions.sort_by_cached_key(|container| (container.order(), container.name.clone()));
            loan.machine.clone_from(&self.machine);
            loan.read_cards();
        }
        loans
    }

    /// One of the stages.
    pub fn loan(&self, name: &StageName) -> Option<Loan> {
        self.loans().into_iter().find(|loan| loan.name == *name)
    }
}

/// Which stage a thing is a part of, and as what.
fn part(labels: &Labels) -> Option<(StageName, Role)> {
    Some((StageName::parse(labels.get(labels::STAGE)?).ok()?, Role::find(labels)?))
}

fn of(loans: &mut BTreeMap<StageName, Loan>, name: StageName) -> &mut Loan {
    loans.entry(name.clone()).or_insert_with(|| Loan {
        name,
        lease: Err(InvalidLease::Missing),
        cards: Vec::new(),
        card: None,
        claim: None,
        old_cards: Vec::new(),
        broken_cards: Vec::new(),
        store: None,
        companions: Vec::new(),
        helpers: Vec::new(),
        volume: None,
        networks: Vec::new(),
        machine: None,
    })
}

impl Container {
    /// Which of the companions it is, in the order in which they start.
    fn order(&self) -> u32 {
        self.labels.get(labels::ORDER).and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

impl Volume {
    /// Whose it is: the number of its checkout.
    pub fn checkout(&self) -> Option<&str> {
        self.labels.get(labels::CHECKOUT).map(String::as_str)
    }

    /// What removes it.
    pub fn removal(&self) -> Remedy {
        let checkout = self.checkout().map(str::to_owned);
        Remedy::RemoveVolume { name: self.name.clone(), checkout }
    }
}

impl Loan {
    fn read_cards(&mut self) {
        let mut cards = Vec::new();
        for volume in &self.cards {
            // A card that a slow hand wrote for an earlier stage of this name says nothing of this one.
            if self.volume.as_ref().is_some_and(|own| own.checkout() != volume.checkout()) {
                self.old_cards.push(volume.clone());
                continue;
            }
            match Card::read(&self.name, &volume.name, &volume.labels) {
                Some(Ok(card)) => cards.push((card, volume)),
                Some(Err(broken)) => self.broken_cards.push(broken),
                None => {}
            }
        }
        cards.sort_by_key(|(card, _)| card.number);
        let newest = cards.pop();
        self.old_cards.extend(cards.into_iter().map(|(_, volume)| volume.clone()));
        match newest {
            Some((card, volume)) if card.returned.is_some() => {
                let maker = volume.labels.get(labels::MAKER).and_then(|text| Maker::parse(text));
                self.claim = Some(Claim { card, maker });
            }
            newest => self.card = newest.map(|(card, _)| card),
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

    /// The process that is at work on it, if any is: the one that made it, or that returns it.
    pub fn maker(&self) -> Option<Maker> {
        match &self.claim {
            Some(claim) => claim.maker.clone(),
            None => self.any_label(labels::MAKER).and_then(Maker::parse),
        }
    }

    /// All of its containers.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.store.iter().chain(&self.companions).chain(&self.helpers)
    }

    fn any_label(&self, label: &str) -> Option<&str> {
        let of_containers = self.containers().map(|container| &container.labels);
        let of_volumes = self.volume.iter().map(|volume| &volume.labels);
        let of_networks = self.networks.iter().map(|network| &network.labels);
        let mut all = of_containers.chain(of_volumes).chain(of_networks);
        all.find_map(|labels| labels.get(label)).map(String::as_str)
    }

    /// Where machines reach the store, if it runs.
    pub fn address(&self) -> Option<Address> {
        let published = &self.store.as_ref()?.published;
        let port = published.iter().find(|port| port.container == super::plan::PORT)?;
        Some(Address::Machine { published: port.host, engine: self.machine.clone() })
    }

    /// Whether it was handed out, and has all that it needs.
    pub fn is_whole(&self) -> bool {
        self.card.is_some() && self.store.is_some() && self.volume.is_some()
    }

    /// Everything that it consists of, the volume last: its name is the lock, and until it is gone
    /// nobody else makes a stage of this name. The card that says that it is returned stays nearly as
    /// long, so that what is left after a kill is known for half-made.
    pub fn all(&self) -> Vec<Remedy> {
        let claim = self.claim.as_ref().map(|claim| self.name.card(claim.card.number));
        let (claim, cards): (Vec<_>, Vec<_>) =
            self.cards.iter().partition(|volume| claim.as_ref() == Some(&volume.name));
        let containers = self.helpers.iter().chain(&self.companions).chain(&self.store);
        let containers = containers.map(Remedy::removal);
        let networks = self
            .networks
            .iter()
            .map(|network| Remedy::RemoveNetwork { name: network.name.clone(), id: network.id.clone() });
        let cards = cards.into_iter().map(Volume::removal);
        let last = claim.into_iter().chain(&self.volume).map(Volume::removal);
        cards.chain(containers).chain(networks).chain(last).collect()
    }
}

#[cfg(test)]
pub(super) mod tests;
