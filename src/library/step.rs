//! The steps of a checkout, and what takes each back. Pure.

use super::catalogue::Seed;
use super::labels::Labels;
use super::name::StageName;
use super::spec::ContainerSpec;

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The image has to be there.
    FindImage(String),
    /// A volume; as the first thing it is the lock.
    MakeVolume {
        /// Its name.
        name: String,
        /// Its labels.
        labels: Labels,
    },
    /// The network.
    MakeNetwork {
        /// Its name.
        name: String,
        /// Its labels.
        labels: Labels,
    },
    /// A container, not started yet.
    MakeContainer(Box<ContainerSpec>),
    /// The content of another stage, by hard links.
    Fork {
        /// The container that does it, but for what only the engine knows: where volumes are.
        helper: Box<ContainerSpec>,
        /// The other stage.
        stage: StageName,
        /// Its snapshot.
        snapshot: String,
        /// The volume that it goes to.
        volume: String,
    },
    /// A file in a container that does not run yet.
    PutFile {
        /// The container.
        container: String,
        /// The folder.
        folder: String,
        /// The file's name.
        file: String,
        /// What is in it.
        text: String,
    },
    /// A container starts.
    Start {
        /// The container.
        container: String,
    },
    /// A container is well.
    AwaitHealth {
        /// The container.
        container: String,
    },
    /// Content is copied in.
    Seed {
        /// The store's container.
        container: String,
        /// What.
        seed: Seed,
    },
    /// The key file of a service account, for clients of Google Cloud Storage.
    MakeAccount {
        /// The store's container.
        container: String,
        /// The file, in the container.
        file: String,
    },
    /// The snapshot that `reset` goes back to.
    Snapshot {
        /// The store's container.
        container: String,
        /// Its name.
        snapshot: String,
    },
    /// The card: the stage is ready.
    MakeCard {
        /// The volume.
        name: String,
        /// Its labels.
        labels: Labels,
    },
}

/// What takes a step back, if the thing is this checkout's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// A container goes, running or not.
    Container(String),
    /// A volume goes.
    Volume(String),
    /// A network goes.
    Network(String),
}

impl Undo {
    /// The name of what goes.
    pub fn name(&self) -> &str {
        match self {
            Self::Container(name) | Self::Volume(name) | Self::Network(name) => name,
        }
    }
}

impl Step {
    /// What takes it back, done or half done.
    pub fn undo(&self) -> Option<Undo> {
        match self {
            Self::FindImage(_)
            | Self::PutFile { .. }
            | Self::Start { .. }
            | Self::AwaitHealth { .. }
            | Self::Seed { .. }
            | Self::MakeAccount { .. }
            | Self::Snapshot { .. } => None,
            Self::MakeVolume { name, .. } | Self::MakeCard { name, .. } => Some(Undo::Volume(name.clone())),
            Self::MakeNetwork { name, .. } => Some(Undo::Network(name.clone())),
            Self::MakeContainer(spec) => Some(Undo::Container(spec.name.clone())),
            Self::Fork { helper, .. } => Some(Undo::Container(helper.name.clone())),
        }
    }

    /// What it does, for people who wait for it.
    pub fn words(&self) -> String {
        match self {
            Self::FindImage(image) => format!("find the image {image}"),
            Self::MakeVolume { name, .. } => format!("make the volume {name}"),
            Self::MakeNetwork { name, .. } => format!("make the network {name}"),
            Self::MakeContainer(spec) => format!("make the container {}", spec.name),
            Self::Fork { stage, snapshot, .. } => format!("fork {stage} at {snapshot}"),
            Self::PutFile { file, .. } => format!("put {file} into it"),
            Self::Start { container } => format!("start {container}"),
            Self::AwaitHealth { container } => format!("wait until {container} is healthy"),
            Self::Seed { seed, .. } => format!("copy {} to {}", seed.from, seed.bucket),
            Self::MakeAccount { .. } => "make a service account".to_owned(),
            Self::Snapshot { snapshot, .. } => format!("make the snapshot {snapshot}"),
            Self::MakeCard { name, .. } => format!("write the card {name}"),
        }
    }
}
