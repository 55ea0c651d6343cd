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

    /// The machine that it runs on, where that is another one as far as its address tells.
    fn machine(&self) -> Option<&str> {
        machine(&self.address)
    }

    fn failed<D: Into<String>>(&self, doing: D) -> impl FnOnce(bollard::errors::Error) -> Error + use<'_, D> {
        move |error| error::failed(&self.address, doing.into(), error)
    }
}

fn machine(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://").filter(|(scheme, _)| *scheme != "unix")?;
    let authority = rest.split('/').next().unwrap_or_default();
    let bracketed = authority.find(']').map(|end| &authority[..=end]);
    let host = bracketed.or_else(|| authority.split(':').next()).filter(|host| !host.is_empty())?;
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let is_here = host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback());
    (!is_here).then_some(host)
}

/// Filters by one label.
fn labelled(label: &str) -> std::collections::HashMap<String, Vec<String>> {
    [("label".to_owned(), vec![label.to_owned()])].into()
}

#[cfg(test)]
mod tests {
    use super::machine;

    #[test]
    fn another_machine_is_known_by_the_address_of_its_engine() {
        for (address, expected) in [
            ("unix:///var/run/docker.sock", None),
            ("tcp://127.0.0.1:2375", None),
            ("tcp://localhost:2375", None),
            ("tcp://[::1]:2375", None),
            ("tcp://docker:2375", Some("docker")),
            ("tcp://10.0.0.7:2375/", Some("10.0.0.7")),
            ("tcp://[fd00::7]:2375", Some("[fd00::7]")),
            ("http://build.example", Some("build.example")),
        ] {
            assert_eq!(machine(address), expected, "{address}");
        }
    }
}
