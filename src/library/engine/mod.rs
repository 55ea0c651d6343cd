//! Docker Engine: the only place that speaks to it.
//!
//! What is to be done comes as plans, remedies and specs; what is there goes out as an inventory.
//! Engine: API 1.41 (Docker 20.10) or later, by a unix socket or plain TCP, as `DOCKER_HOST` says.

mod checkout;
mod error;
mod exec;
mod file;
mod fork;
mod look;
mod stage;
mod translate;
mod usage;

use bollard::Docker;

pub use self::error::Error;
pub use self::exec::Ran;

/// A connection to the engine.
#[derive(Debug)]
pub struct Engine {
    docker: Docker,
    /// As people know it.
    address: String,
}

/// Where the engine is if nobody says.
const ADDRESS: &str = "unix:///var/run/docker.sock";
/// For one answer; stopping a container takes a while.
const PATIENCE_S: u64 = 120;

impl Engine {
    /// Connects to the engine at `host`, as `DOCKER_HOST` has it, and agrees on a version with it.
    pub async fn connect(host: Option<&str>) -> Result<Self, Error> {
        let address = host.filter(|host| !host.is_empty()).unwrap_or(ADDRESS).to_owned();
        let version = bollard::API_DEFAULT_VERSION;
        let connected = match address.split_once("://") {
            Some(("unix", path)) => Docker::connect_with_unix(path, PATIENCE_S, version),
            Some(("tcp" | "http", _)) => Docker::connect_with_http(&address, PATIENCE_S, version),
            _ => return Err(Error::Address(address)),
        };
        let unconnected = |error| error::unconnected(&address, error);
        let docker = connected.map_err(unconnected)?.negotiate_version().await.map_err(unconnected)?;
        Ok(Self { docker, address })
    }

    /// Whether it is of this version of the API or a later one.
    fn speaks(&self, major: usize, minor: usize) -> bool {
        let own = self.docker.client_version();
        (own.major_version, own.minor_version) >= (major, minor)
    }

    fn failed<D: Into<String>>(&self, doing: D) -> impl FnOnce(bollard::errors::Error) -> Error + use<'_, D> {
        move |error| error::failed(&self.address, doing.into(), error)
    }
}

/// Filters by one label.
fn labelled(label: &str) -> std::collections::HashMap<String, Vec<String>> {
    [("label".to_owned(), vec![label.to_owned()])].into()
}
