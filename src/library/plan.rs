//! A checkout as a list of steps, each with what takes it back. Pure: `engine` takes the steps.
//!
//! The order is what makes a checkout safe to kill: the volume comes first, since its name is the
//! lock between two checkouts, and the card last, since a stage without one is half-made.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::FIRST_SNAPSHOT;
use super::card::Card;
use super::catalogue::{Companion, Health, STORE, Seed, Template};
use super::labels::{self, Labels, Role};
use super::lease::Lease;
use super::name::StageName;
use super::placeholder::{self, InvalidPlaceholder, Values};
use super::spec::{ContainerSpec, Mounted, Port, Probe, Secrets};
use super::step::Step;
use crate::config::{Size, Span};
use crate::model::{AccessKeyId, SecretKey, Timestamp};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// The stage.
    pub name: StageName,
    /// Who will have it.
    pub person: String,
    /// What for.
    pub purpose: Option<String>,
    /// The release under test; several with commas between them, `none` for none on purpose. What a fork is
    /// not told is that of the stage it is forked from, or else what the snapshot holds.
    pub release: Option<String>,
    /// Its template's name.
    pub template_name: String,
    /// Its template.
    pub template: Template,
    /// Where its content comes from.
    pub source: Source,
    /// Now.
    pub now: Timestamp,
    /// When it is to be back.
    pub due: Timestamp,
    /// Who types this, and where.
    pub owner: String,
    /// The image of the store, before the template's.
    pub image: Option<String>,
    /// The machine's port; the engine chooses if it is none.
    pub port: Option<u16>,
    /// The machine's address.
    pub publish_on: IpAddr,
    /// Its own key pair.
    pub access_key_id: AccessKeyId,
    /// Its own key pair.
    pub secret_key: SecretKey,
    /// With what buckets are read that content is copied from.
    pub source_keys: Secrets,
    /// A number that no two checkouts share.
    pub checkout: String,
    /// The process that does it.
    pub maker: String,
}

/// Where the content of a stage comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Its template.
    Template,
    /// A snapshot of another stage.
    Fork {
        /// The other stage.
        stage: StageName,
        /// Its snapshot.
        snapshot: String,
    },
}

/// Everything that a checkout does.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The stage.
    pub name: StageName,
    /// Whose the things are that it makes: what takes steps back touches nothing else.
    pub checkout: String,
    /// The lease that it gives.
    pub lease: Lease,
    /// The steps in order.
    pub steps: Vec<Step>,
    /// With what buckets are read that content is copied from.
    pub source_keys: Secrets,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unplannable {
    /// A text of the catalogue cannot be filled in.
    #[error(transparent)]
    Placeholder(#[from] InvalidPlaceholder),
    /// On the network a name would stand for two containers.
    #[error("{0} is the name of a companion of this template: give the stage another name")]
    NameTaken(StageName),
    /// Companions wait for each other.
    #[error("these companions wait for each other: {0}")]
    Circle(String),
    /// A template is used twice.
    #[error("{0} cannot be forked from itself")]
    FromItself(StageName),
}

/// What is said where nothing is under test on purpose: `[release] under_test`.
const NO_RELEASE: &str = "none";
/// The image of a template that names none.
pub(super) const IMAGE: &str = "understudy:latest";
/// The port of every store, in its container.
pub(super) const PORT: u16 = 8000;
/// Where a store's volume is in its container.
pub(super) const VOLUME_AT: &str = "/data";
/// Where a store's data folder is in its volume.
pub(super) const DATA_FOLDER: &str = "stage";
/// Where the key file of a stage's service account is: beside its data folder, so that it is neither
/// forked nor exported.
pub const ACCOUNT_FILE: &str = "/data/gcs-account.json";
/// Where a template's configuration is in its volume.
const CONFIG_FILE: &str = "understudy.toml";
/// The user of the image.
pub(super) const USER: &str = "10001:10001";
/// The region that stores say they are in.
pub(super) const REGION: &str = "us-east-1";
/// Longer than the server's own `stop_timeout`, so that requests in flight can end.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

impl Checkout {
    /// The lease that it will give.
    pub fn lease(&self) -> Lease {
        let from = match &self.source {
            Source::Template => None,
            Source::Fork { stage, snapshot } => Some(format!("{stage}@{snapshot}")),
        };
        Lease {
            version: Lease::VERSION,
            name: self.name.clone(),
            person: self.person.clone(),
            purpose: self.purpose.clone(),
            release: self.release.clone(),
            template: self.template_name.clone(),
            from,
            created: self.now,
            due: self.due,
            owner: self.owner.clone(),
            seeded: !self.seeds().is_empty(),
        }
    }

    /// What is copied in. A fork has the content of its snapshot: what was deleted or changed there
    /// must not come back.
    fn seeds(&self) -> &[Seed] {
        match &self.source {
            Source::Template => &self.template.seed,
            Source::Fork { .. } => &[],
        }
    }

    /// The steps.
    pub fn plan(&self) -> Result<Plan, Unplannable> {
        if self.template.companions.contains_key(self.name.as_str()) {
            return Err(Unplannable::NameTaken(self.name.clone()));
        }
        let (lease, store) = (self.lease(), self.name.thing());
        let with_lease = |mut labels: Labels| {
            labels.insert(labels::LEASE.to_owned(), lease.to_label());
            labels
        };
        let companions = self
            .template
            .in_order()
            .map_err(|names| Unplannable::Circle(names.join(", ")))?
            .into_iter()
            .zip(1_u32..)
            .map(|((name, companion), order)| Ok((self.companion(name, companion, order)?, companion)))
            .collect::<Result<Vec<_>, Unplannable>>()?;

        let mut steps = vec![Step::FindImage(self.store_image())];
        steps.extend(companions.iter().map(|(spec, _)| Step::FindImage(spec.image.clone())));
        let volume_labels = with_lease(self.labels(Role::Store));
        steps.push(Step::MakeVolume { name: store.clone(), labels: volume_labels });
        steps.push(Step::MakeNetwork { name: store.clone(), labels: self.labels(Role::Store) });
        let mut spec = self.store()?;
        spec.labels = with_lease(spec.labels);
        steps.push(Step::MakeContainer(Box::new(spec)));
        steps.extend(self.fork()?);
        steps.extend(self.template.config.as_ref().map(|text| Step::PutFile {
            container: store.clone(),
            folder: VOLUME_AT.to_owned(),
            file: CONFIG_FILE.to_owned(),
            text: text.clone(),
        }));
        steps.push(Step::Start { container: store.clone() });
        steps.push(Step::AwaitHealth { container: store.clone() });
        let seeds = self.seeds().iter().cloned();
        steps.extend(seeds.map(|seed| Step::Seed { container: store.clone(), seed }));
        let file = ACCOUNT_FILE.to_owned();
        steps.push(Step::MakeAccount { container: store.clone(), file });
        for (spec, companion) in companions {
            let container = spec.name.clone();
            steps.push(Step::MakeContainer(Box::new(spec)));
            steps.push(Step::Start { container: container.clone() });
            // One that says nothing of its health is well when it runs.
            if companion.health.is_some() {
                steps.push(Step::AwaitHealth { container });
            }
        }
        steps.push(Step::Snapshot { container: store, snapshot: FIRST_SNAPSHOT.to_owned() });
        steps.push(self.card(&Card::first(self.due)));
        Ok(Plan {
            name: self.name.clone(),
            checkout: self.checkout.clone(),
            lease,
            steps,
            source_keys: self.source_keys.clone(),
        })
    }

    fn labels(&self, role: Role) -> Labels {
        labels::of(&self.name, role, &self.checkout, &self.maker)
    }

    fn card(&self, card: &Card) -> Step {
        let mut labels = self.labels(Role::Card);
        labels.insert(labels::CARD.to_owned(), card.to_label());
        Step::MakeCard { name: self.name.card(card.number), labels }
    }

    fn store_image(&self) -> String {
        let image = self.image.as_ref().or(self.template.image.as_ref());
        image.map_or_else(|| IMAGE.to_owned(), String::clone)
    }

    fn store(&self) -> Result<ContainerSpec, Unplannable> {
        let template = &self.template;
        let buckets: Vec<_> = template.buckets.iter().map(crate::model::BucketName::as_str).collect();
        let data_dir = format!("{VOLUME_AT}/{DATA_FOLDER}");
        let config = template.config.as_ref().map(|_| format!("{VOLUME_AT}/{CONFIG_FILE}"));
        let own = [
            ("UNDERSTUDY_ACCESS_KEY_ID", Some(self.access_key_id.as_str())),
            ("UNDERSTUDY_SECRET_ACCESS_KEY", Some(self.secret_key.expose())),
            ("UNDERSTUDY_DATA_DIR", Some(data_dir.as_str())),
            ("UNDERSTUDY_PRESET", template.preset.as_deref()),
            ("UNDERSTUDY_CONFIG", config.as_deref()),
            ("UNDERSTUDY_BUCKETS", Some(buckets.join(",")).as_deref().filter(|list| !list.is_empty())),
            ("UNDERSTUDY_ANONYMOUS", template.anonymous.as_deref()),
            ("UNDERSTUDY_UNDER_TEST", self.release.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect::<Vec<_>>();
        let mut environment = self.filled(&template.environment)?;
        environment.retain(|(name, _)| own.iter().all(|(taken, _)| taken != name));
        environment.extend(own);
        Ok(ContainerSpec {
            name: self.name.thing(),
            image: self.store_image(),
            command: Vec::new(),
            environment,
            labels: self.labels(Role::Store),
            network: Some((self.name.thing(), vec![STORE.to_owned(), self.name.to_string()])),
            mounts: vec![Mounted::Volume { name: self.name.thing(), at: VOLUME_AT.to_owned() }],
            ports: vec![Port { container: PORT, address: self.publish_on, host: self.port }],
            user: Some(USER.to_owned()),
            confined: true,
            memory_bytes: template.memory.map(Size::bytes),
            cpu_thousandths: template.cpus.map(|cpus| cpus.0),
            restart: template.restart,
            health: Some(Probe {
                command: vec!["/app/understudy".to_owned(), "check".to_owned()],
                interval: Duration::from_millis(500),
                timeout: Duration::from_secs(4),
                start_period: Duration::from_secs(30),
            }),
            stop_timeout: STOP_TIMEOUT,
        })
    }

    fn companion(&self, name: &str, companion: &Companion, order: u32) -> Result<ContainerSpec, Unplannable> {
        let span = |span: Option<Span>, default| span.map_or(Duration::from_secs(default), Span::duration);
        let mut labels = self.labels(Role::Companion);
        labels.insert(labels::COMPANION.to_owned(), name.to_owned());
        labels.insert(labels::ORDER.to_owned(), order.to_string());
        let command = |parts: &[String]| -> Result<Vec<String>, InvalidPlaceholder> {
            parts.iter().map(|part| placeholder::filled(part, &self.values())).collect()
        };
        let probe = |health: &Health| -> Result<Probe, InvalidPlaceholder> {
            Ok(Probe {
                command: command(&health.command)?,
                interval: span(health.interval, 1),
                timeout: span(health.timeout, 5),
                start_period: span(health.start, 30),
            })
        };
        let port = |port: &u16| Port { container: *port, address: Ipv4Addr::LOCALHOST.into(), host: None };
        Ok(ContainerSpec {
            name: self.name.companion(name),
            image: companion.image.clone(),
            command: command(&companion.command)?,
            environment: self.filled(&companion.environment)?,
            labels,
            network: Some((self.name.thing(), vec![name.to_owned()])),
            mounts: Vec::new(),
            ports: companion.ports.iter().map(port).collect(),
            user: companion.user.clone(),
            confined: false,
            memory_bytes: companion.memory.map(Size::bytes),
            cpu_thousandths: companion.cpus.map(|cpus| cpus.0),
            restart: companion.restart,
            health: companion.health.as_ref().map(probe).transpose()?,
            stop_timeout: STOP_TIMEOUT,
        })
    }

    fn fork(&self) -> Result<Option<Step>, Unplannable> {
        let Source::Fork { stage, snapshot } = &self.source else { return Ok(None) };
        if *stage == self.name {
            return Err(Unplannable::FromItself(stage.clone()));
        }
        let helper = ContainerSpec {
            name: format!("{}.helper.fork", self.name.thing()),
            command: Vec::new(),
            environment: Vec::new(),
            labels: self.labels(Role::Helper),
            network: None,
            mounts: Vec::new(),
            ports: Vec::new(),
            restart: super::spec::Restart::No,
            health: None,
            ..self.store()?
        };
        Ok(Some(Step::Fork {
            helper: Box::new(helper),
            stage: stage.clone(),
            snapshot: snapshot.clone(),
            volume: self.name.thing(),
        }))
    }

    fn values(&self) -> Values {
        Values::from([
            ("store.url", format!("http://{STORE}:{PORT}")),
            ("store.host", STORE.to_owned()),
            ("store.port", PORT.to_string()),
            ("access_key_id", self.access_key_id.to_string()),
            ("secret_access_key", self.secret_key.expose().to_owned()),
            ("region", REGION.to_owned()),
            ("stage", self.name.to_string()),
            ("release", self.release.clone().filter(|release| release != NO_RELEASE).unwrap_or_default()),
            ("person", self.person.clone()),
        ])
    }

    fn filled(
        &self,
        environment: &std::collections::BTreeMap<String, String>,
    ) -> Result<Vec<(String, String)>, InvalidPlaceholder> {
        let values = self.values();
        environment
            .iter()
            .map(|(name, value)| Ok((name.clone(), placeholder::filled(value, &values)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests;
