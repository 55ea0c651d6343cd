//! What people do to a folder after a crash: they remove the index, or its log, or put an older copy back.
//! A server refuses each by name and touches no blob; once the files are back, nothing is lost.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::server::{PATIENCE, forget_environment};

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    NoIndex,
    NoLog,
    OlderIndex,
    /// Beside the log of the right one.
    OlderIndexWithLog,
}

impl Mistake {
    pub(crate) const ALL: [Self; 4] = [Self::NoIndex, Self::NoLog, Self::OlderIndex, Self::OlderIndexWithLog];

    /// What the refusal says.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::NoIndex => &["holds blobs and no index"],
            Self::NoLog => &["index.sqlite-wal is missing"],
            Self::OlderIndex => &["older copy"],
            Self::OlderIndexWithLog => &["older copy than its log"],
        }
    }
}

/// Makes a mistake with the folder of a server that was killed, and puts everything back.
pub(crate) fn make(mistake: Mistake, folder: &Path, older: &[u8], aside: &Path, when: &str) {
    let names: &[&str] = match mistake {
        Mistake::NoLog => &["index.sqlite-wal"],
        Mistake::OlderIndexWithLog => &["index.sqlite"],
        Mistake::NoIndex | Mistake::OlderIndex => &["index.sqlite", "index.sqlite-wal"],
    };
    for name in names {
        fs::rename(folder.join(name), aside.join(name)).expect("a killed server leaves it");
    }
    let is_older = matches!(mistake, Mistake::OlderIndex | Mistake::OlderIndexWithLog);
    if is_older {
        fs::write(folder.join("index.sqlite"), older).expect("a writable folder");
    }
    let before = blobs(folder);
    for command in ["serve", "fsck"] {
        let told = refusal(command, folder, when);
        let is_named = mistake.words().iter().all(|words| told.contains(words)) || command == "fsck";
        assert!(is_named, "{when}, {mistake:?}, {command}: {told}");
    }
    assert_eq!(blobs(folder), before, "{when}, {mistake:?}: blobs are gone");
    for name in names {
        fs::rename(aside.join(name), folder.join(name)).expect("it was put aside");
    }
}

/// Runs a command that must fail, and gives what it said.
fn refusal(command: &str, folder: &Path, when: &str) -> String {
    let mut process = Command::new(env!("CARGO_BIN_EXE_understudy"));
    forget_environment(&mut process);
    process.arg(command).arg("--data-dir").arg(folder).stdin(Stdio::null());
    if command == "serve" {
        process.args(["--listen", "127.0.0.1:0"]);
    }
    let child = process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the understudy binary was built for this test");
    let since = Instant::now();
    while child.try_wait().expect("a child can be asked").is_none() {
        if since.elapsed() > PATIENCE {
            drop(child.kill());
            panic!("{when}: {command} goes on: {:?}", child.wait_with_output());
        }
        std::thread::yield_now();
    }
    let output = child.wait_with_output().expect("it has ended");
    assert!(!output.status.success(), "{when}: {command} takes it: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The files of all blobs.
fn blobs(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    entries(&folder.join("blobs")).flat_map(|shelf| entries(&shelf).collect::<Vec<_>>()).collect()
}
