//! The process that makes a stage, so that a killed checkout is told from one that is still at work.

use std::fmt;
use std::path::Path;

/// A process of some machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maker {
    /// The machine and the namespace of process ids on it: elsewhere the number means nothing.
    place: String,
    /// The process id.
    pid: u32,
    /// When it started, by the machine's own count: ids are used again.
    started: String,
}

impl Maker {
    /// This process; `None` where the system does not say.
    pub fn this_process() -> Option<Self> {
        let pid = std::process::id();
        Some(Self { place: place()?, pid, started: started(pid)? })
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (place, rest) = text.rsplit_once(' ')?;
        let (pid, started) = rest.split_once('/')?;
        Some(Self { place: place.to_owned(), pid: pid.parse().ok()?, started: started.to_owned() })
    }

    /// Whether it is still there; `None` where that cannot be seen from here.
    pub fn is_alive(&self) -> Option<bool> {
        (place().as_deref() == Some(self.place.as_str()))
            .then(|| started(self.pid).as_deref() == Some(self.started.as_str()))
    }
}

impl fmt::Display for Maker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}/{}", self.place, self.pid, self.started)
    }
}

fn place() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// The 22nd field of its `stat`, counted behind the name, which may hold anything.
fn started(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::Maker;

    #[test]
    fn this_process_is_alive_and_one_that_ended_is_not() {
        let Some(own) = Maker::this_process() else { return };
        let read = Maker::parse(&own.to_string()).expect("what it writes");
        assert_eq!(read, own);
        assert_eq!(read.is_alive(), Some(true));
        let reused = Maker { started: "0".to_owned(), ..own.clone() };
        assert_eq!(reused.is_alive(), Some(false));
        let elsewhere = Maker { place: "elsewhere".to_owned(), ..own };
        assert_eq!(elsewhere.is_alive(), None);
        assert_eq!(Maker::parse(""), None);
    }
}
