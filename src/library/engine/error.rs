//! What the engine refuses, in words that say what to do about it.

use std::io;

use bollard::errors::Error as Bollard;

use crate::library::name::StageName;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is of a kind that is not spoken to.
    #[error(
        "DOCKER_HOST={0}: the engine is reached by unix:///… or tcp://…; for ssh, forward its socket (ssh -L) and name that"
    )]
    Address(String),
    /// Nothing answers.
    #[error(
        "no Docker Engine answers at {address} ({reason}): start it (systemctl start docker), or say where it is with DOCKER_HOST"
    )]
    Down {
        /// Where it should be.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The socket is not for this user.
    #[error(
        "{0} is not open to this user: become a member of its group (sudo usermod -aG docker \"$USER\", then log in again), or use sudo"
    )]
    Forbidden(String),
    /// There is no such image, and none is pulled.
    #[error(
        "there is no image {0} on this engine: build it (docker build -f docker/Dockerfile -t {0} .) or pull it (docker pull {0}), or name another with --image"
    )]
    NoImage(String),
    /// The lock is somebody else's.
    #[error("the name {0} is taken")]
    NameTaken(StageName),
    /// Something of this name is there that is not the library's.
    #[error(
        "there is a {what} {name} already that the library did not make: remove it, or give the stage another name (what an engine has left that was killed, `understudy library doctor --fix` clears away)"
    )]
    Alien {
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The port of the machine is in use.
    #[error("port {0} of this machine is in use: give another with --port, or none and the engine chooses")]
    PortTaken(String),
    /// There is no space.
    #[error(
        "the engine's disk is full ({0}): return stages that are not needed (understudy library list), or make space (docker system df)"
    )]
    DiskFull(String),
    /// It cannot limit processors.
    #[error(
        "this engine has no CPU quotas ({0}): it cannot give a stage `cpus`. Leave `cpus` out of the template in library.toml, or start an engine whose kernel has them (CONFIG_CFS_BANDWIDTH)"
    )]
    NoCpuQuota(String),
    /// There is no network left.
    #[error(
        "the engine has no network left to give: return stages that are not needed, or widen default-address-pools in its daemon.json"
    )]
    NoNetwork,
    /// A container did not get well.
    #[error("{container} {what}; the end of its log:\n{log}")]
    NotWell {
        /// The container.
        container: String,
        /// What became of it.
        what: &'static str,
        /// The end of its log.
        log: String,
    },
    /// A command in a container failed.
    #[error("{command} in {container} failed with exit code {code}: {text}")]
    Command {
        /// The command.
        command: String,
        /// The container.
        container: String,
        /// Its exit code.
        code: i64,
        /// What it said.
        text: String,
    },
    /// A volume that is not a folder of this machine.
    #[error("the volume {0} is kept by the driver {1}: only stages with local volumes can be forked")]
    Driver(String, String),
    /// Two volumes without a folder in common.
    #[error("the volumes {0} and {1} have no folder in common: they cannot share files")]
    Apart(String, String),
    /// Somebody else wrote a card at the same time.
    #[error("somebody else has just changed the lease of {0}: look at it again")]
    Raced(StageName),
    /// Somebody else's containers have its volume.
    #[error(
        "the volume {0} is used by {1}, which the library did not make: remove that first (docker rm --force {1})"
    )]
    InUse(String, String),
    /// It was ended by a signal.
    #[error("interrupted")]
    Interrupted,
    /// It failed, and not all of it could be taken back.
    #[error("{cause}; and this is left behind: {left}. `understudy library doctor --fix` clears it away")]
    LeftBehind {
        /// Why it failed.
        cause: Box<Error>,
        /// What is left.
        left: String,
    },
    /// A file of this machine.
    #[error("{what}: {source}")]
    Io {
        /// What was done.
        what: String,
        /// What happened.
        source: io::Error,
    },
    /// What the engine says otherwise.
    #[error("cannot {doing}: {reason}")]
    Engine {
        /// What was to be done.
        doing: String,
        /// What it says.
        reason: String,
    },
}

/// Why there is no connection.
pub(super) fn unconnected(address: &str, error: Bollard) -> Error {
    failed(address, "ask the engine for its version".to_owned(), error)
}

/// Why something was not done.
pub(super) fn failed(address: &str, doing: String, error: Bollard) -> Error {
    let down = |reason: String| Error::Down { address: address.to_owned(), reason };
    if let Bollard::DockerResponseServerError { message, .. } = error {
        return refused(doing, message);
    }
    if matches!(error, Bollard::SocketNotFoundError(_)) {
        return down("there is no such socket".to_owned());
    }
    if matches!(error, Bollard::RequestTimeoutError) {
        return down("it does not answer in time".to_owned());
    }
    // This one hides that it is an error of the system itself.
    let kind = if let Bollard::IOError { err } = &error { Some(err.kind()) } else { io_kind(&error) };
    match kind {
        Some(io::ErrorKind::PermissionDenied) => Error::Forbidden(address.to_owned()),
        Some(_) => down(innermost(&error)),
        None => Error::Engine { doing, reason: innermost(&error) },
    }
}

/// The engine has one status for many things, so its words decide; they have been these for years.
fn refused(doing: String, message: String) -> Error {
    let lower = message.to_lowercase();
    if lower.contains("no space left on device") {
        Error::DiskFull(message)
    } else if let Some(port) = taken_port(&lower) {
        Error::PortTaken(port)
    } else if lower.contains("nanocpus can not be set") || lower.contains("cpu.cfs_quota_us") {
        Error::NoCpuQuota(message)
    } else if lower.contains("non-overlapping") || lower.contains("fully subnetted") {
        Error::NoNetwork
    } else if lower.contains("no such image") {
        let image = message.rsplit_once("image: ").map_or("", |(_, image)| image);
        Error::NoImage(image.to_owned())
    } else {
        Error::Engine { doing, reason: message }
    }
}

/// `Bind for 127.0.0.1:8000 failed: port is already allocated`,
/// `listen tcp4 127.0.0.1:8000: bind: address already in use`.
fn taken_port(message: &str) -> Option<String> {
    let before = message
        .split_once(" failed: port is already allocated")
        .or_else(|| message.split_once(": bind: address already in use"))?
        .0;
    let digits: String = before.chars().rev().take_while(char::is_ascii_digit).collect();
    Some(digits.chars().rev().collect())
}

fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use std::io;

    use bollard::errors::Error as Bollard;

    use super::{Error, failed};

    fn said(message: &str) -> Error {
        let error = Bollard::DockerResponseServerError { status_code: 500, message: message.to_owned() };
        failed("unix:///x", "try".to_owned(), error)
    }

    #[test]
    fn what_the_engine_says_becomes_what_to_do() {
        for (message, told) in [
            (
                "driver failed programming external connectivity on endpoint a (0): Bind for 127.0.0.1:8000 failed: port is already allocated",
                "port 8000 of this machine is in use",
            ),
            (
                "Error starting userland proxy: listen tcp4 127.0.0.1:81: bind: address already in use",
                "port 81 of this machine is in use",
            ),
            ("mkdir /var/lib/docker/x: no space left on device", "disk is full"),
            (
                "could not find an available, non-overlapping IPv4 address pool among the defaults",
                "no network left",
            ),
            (
                "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted",
                "Leave `cpus` out of the template",
            ),
            (
                "NanoCPUs can not be set, as your kernel does not support CPU cfs period/quota or the cgroup is not mounted",
                "CPU quotas",
            ),
            ("No such image: mine:1", "docker build -f docker/Dockerfile -t mine:1 ."),
            ("something else", "cannot try: something else"),
        ] {
            let error = said(message).to_string();
            assert!(error.contains(told), "{message}: {error}");
        }
    }

    #[test]
    fn an_engine_that_does_not_answer_is_told_from_one_that_may_not_be_asked() {
        let of = |kind| failed("unix:///x", String::new(), Bollard::from(io::Error::from(kind)));
        assert!(matches!(of(io::ErrorKind::PermissionDenied), Error::Forbidden(_)));
        assert!(matches!(of(io::ErrorKind::ConnectionRefused), Error::Down { .. }));
        let gone = failed("unix:///x", String::new(), Bollard::SocketNotFoundError("/x".to_owned()));
        assert!(gone.to_string().contains("systemctl start docker"), "{gone}");
    }
}
