//! `DATA/serving.json`: how to reach the server that has a data folder.
//!
//! It is written when the server listens and removed when it stops. One that was left behind is known
//! by the folder's lock, which no process holds then, or one with another process id.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::config::Settings;

/// The file's name in the data folder.
const FILE: &str = "serving.json";

/// What is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Serving {
    /// Where this machine reaches the server.
    pub(super) url: String,
    /// Which process it is.
    pub(super) pid: u32,
    /// The certificate to know it by, if it speaks TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) certificate: Option<PathBuf>,
}

/// Says that a folder is served; dropped, it no longer does.
#[derive(Debug)]
pub(super) struct Announced(PathBuf);

impl Serving {
    /// Writes it down, whole or not at all.
    pub(super) fn announce(&self, data_dir: &Path) -> io::Result<Announced> {
        let path = data_dir.join(FILE);
        let mut file = tempfile::NamedTempFile::new_in(data_dir)?;
        file.write_all(serde_json::to_string(self)?.as_bytes())?;
        file.write_all(b"\n")?;
        file.persist(&path)?;
        Ok(Announced(path))
    }

    /// The server that has the folder of these settings, or else the one that `serve` would be.
    ///
    /// One that was killed leaves its file behind; its process is gone.
    pub(super) fn of(settings: &Settings) -> Self {
        let runs = |serving: &Self| {
            let pid = i32::try_from(serving.pid).ok().and_then(Pid::from_raw);
            // A process of another user refuses the signal, which it could not if it were gone.
            pid.is_some_and(|pid| !matches!(test_kill_process(pid), Err(Errno::SRCH)))
        };
        let found = (!settings.ephemeral()).then(|| Self::find(&settings.store.data_dir)).flatten();
        found.filter(runs).unwrap_or_else(|| Self {
            url: settings.local_url(),
            pid: 0,
            certificate: settings.server.tls.as_ref().map(|tls| tls.certificate.clone()),
        })
    }

    /// What was written down, if it can be parsed.
    pub(super) fn find(data_dir: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(data_dir.join(FILE)).ok()?;
        serde_json::from_str(&text).ok()
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        // Left behind, it does no harm: nobody holds the lock.
        drop(std::fs::remove_file(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::Serving;
    use crate::config::{Environment, Flags, Settings};

    #[test]
    fn the_folders_running_server_is_asked_and_a_dead_one_is_not() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data_dir = folder.path().to_str().expect("UTF-8").to_owned();
        let flags = Flags { data_dir: Some(data_dir), ..Flags::default() };
        let settings = Settings::load(&flags, &Environment::default()).expect("valid settings");
        assert_eq!(Serving::of(&settings).url, "http://127.0.0.1:8000", "what serve would be");
        let serving = |pid| Serving { url: "http://127.0.0.1:41234".to_owned(), pid, certificate: None };
        let _alive = serving(std::process::id()).announce(folder.path()).expect("a writable folder");
        assert_eq!(Serving::of(&settings).url, "http://127.0.0.1:41234");
        // Linux numbers no process so high.
        let _dead = serving(u32::try_from(i32::MAX).expect("positive")).announce(folder.path());
        assert_eq!(Serving::of(&settings).url, "http://127.0.0.1:8000");
    }

    #[test]
    fn what_is_announced_is_found_until_it_is_dropped() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(Serving::find(folder.path()), None);
        let serving = Serving { url: "http://127.0.0.1:1".to_owned(), pid: 7, certificate: None };
        let announced = serving.announce(folder.path()).expect("a writable folder");
        assert_eq!(Serving::find(folder.path()), Some(serving.clone()));
        let again = Serving { pid: 8, ..serving };
        let later = again.announce(folder.path()).expect("an older one is replaced");
        assert_eq!(Serving::find(folder.path()), Some(again));
        drop(later);
        assert_eq!(Serving::find(folder.path()), None);
        drop(announced);
        std::fs::write(folder.path().join("serving.json"), "{").expect("a writable folder");
        assert_eq!(Serving::find(folder.path()), None, "half a file says nothing");
    }
}
