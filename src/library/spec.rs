//! A container as a plan says it, in our own words; `engine` puts it into the engine's.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::labels::Labels;

/// A container that is to be made.
#[derive(Clone, PartialEq)]
pub struct ContainerSpec {
    /// Its name.
    pub name: String,
    /// The image.
    pub image: String,
    /// What is run; the image's own if it is empty.
    pub command: Vec<String>,
    /// Variables; they hold secrets.
    pub environment: Vec<(String, String)>,
    /// Its labels.
    pub labels: Labels,
    /// The network and the names that it has there.
    pub network: Option<(String, Vec<String>)>,
    /// Volumes and folders.
    pub mounts: Vec<Mounted>,
    /// Ports that the machine is given.
    pub ports: Vec<Port>,
    /// The user; the image's own if it is none.
    pub user: Option<String>,
    /// Whether it gets nothing that it does not need: a read-only root, no capabilities.
    pub confined: bool,
    /// The most memory that it may have.
    pub memory_bytes: Option<u64>,
    /// The most processors that it may use, in thousandths.
    pub cpu_thousandths: Option<u32>,
    /// When the engine starts it again.
    pub restart: Restart,
    /// How the engine knows that it is well; the image's own way if it is none.
    pub health: Option<Probe>,
    /// How long it may take to end before it is killed.
    pub stop_timeout: Duration,
}

/// Variables that only one command in a container gets: they stand in no label and in no container.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(pub Vec<(String, String)>);

impl fmt::Debug for Secrets {
    /// Without what they hold.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// How the engine knows that a container is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is run; 0 is well.
    pub command: Vec<String>,
    /// How often.
    pub interval: Duration,
    /// How long it may take.
    pub timeout: Duration,
    /// How long the start may take.
    pub start_period: Duration,
}

/// What a container finds at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mounted {
    /// A volume.
    Volume {
        /// Its name.
        name: String,
        /// Where.
        at: String,
    },
    /// A folder of the machine.
    Folder {
        /// The folder.
        path: String,
        /// Where.
        at: String,
    },
}

/// A port that the machine is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The container's.
    pub container: u16,
    /// The machine's address.
    pub address: IpAddr,
    /// The machine's; the engine chooses if it is none.
    pub host: Option<u16>,
}

/// When the engine starts a container again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Never.
    No,
    /// When it failed.
    OnFailure,
    /// Whenever it ended.
    Always,
    /// Whenever it ended, but not if it was stopped.
    #[default]
    UnlessStopped,
}

impl fmt::Debug for ContainerSpec {
    /// Without what its variables hold.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        formatter
            .debug_struct("ContainerSpec")
            .field("name", &self.name)
            .field("image", &self.image)
            .field("command", &self.command)
            .field("environment", &variables)
            .field("network", &self.network)
            .field("mounts", &self.mounts)
            .field("ports", &self.ports)
            .finish_non_exhaustive()
    }
}
