//! The names of a test, and the command; whatever is left of a name when it is dropped goes.

use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::engine::{docker, run};
use super::image;
use super::server::PATIENCE;

/// A template that needs no network, as a catalogue.
pub(crate) const CATALOGUE: &str = "default = 'plain'\n[template.plain]\nbuckets = ['one']\n\
     anonymous = 'read-write'\nmemory = '128 MiB'\n";

/// The name of a stage that nobody else has.
pub(crate) struct Name {
    text: String,
    /// For its catalogues.
    folder: TempDir,
    catalogues: AtomicU32,
}

impl Name {
    pub(crate) fn new(what: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let text = format!("ut-{}-{what}-{count}", std::process::id());
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { text, folder, catalogues: AtomicU32::new(0) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What its container, its volume and its network are called.
    pub(crate) fn thing(&self) -> String {
        format!("understudy-{}", self.text)
    }

    /// Everything of it that the engine has.
    pub(crate) fn things(&self) -> Vec<String> {
        let label = format!("label=org.mozilla.understudy.stage={}", self.text);
        let lists: [&[&str]; 3] = [
            &["ps", "--all", "--filter", &label, "--format", "container {{.Names}}"],
            &["network", "ls", "--filter", &label, "--format", "network {{.Name}}"],
            &["volume", "ls", "--filter", &label, "--format", "volume {{.Name}}"],
        ];
        lists.iter().flat_map(|list| docker(list).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// Its part of `library list --json`.
    pub(crate) fn listed(&self) -> Option<Value> {
        let output = done(&["list", "--json"]);
        let mut lines = output.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.find(|stage| stage["name"] == self.text.as_str())
    }

    /// Where this machine leads to it.
    pub(crate) fn address(&self) -> SocketAddr {
        let listed = self.listed().expect("it is listed");
        let url = listed["url"].as_str().expect("an address").to_owned();
        url.trim_start_matches("http://").parse().expect("an address and a port")
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        for thing in self.things() {
            let Some((kind, name)) = thing.split_once(' ') else { continue };
            match kind {
                "container" => run(&["rm", "--force", "--volumes", name]),
                kind => run(&[kind, "rm", name]),
            };
        }
        // Some tests make volumes of its name without labels.
        let filter = format!("name=^{}$|^{0}\\.", self.thing());
        for volume in docker(&["volume", "ls", "--quiet", "--filter", &filter]).lines() {
            run(&["volume", "rm", volume]);
        }
    }
}

/// `understudy library` with these arguments; without the developer's own settings.
pub(crate) fn library(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
    command.env_remove("UNDERSTUDY_CATALOGUE").env_remove("NO_COLOR").arg("library").args(arguments);
    command
}

/// Runs it to its end.
pub(crate) fn output(arguments: &[&str]) -> Output {
    library(arguments).output().expect("the understudy binary was built for this test")
}

/// What it complained of.
pub(crate) fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs it and gives what it printed; a failure fails the test.
pub(crate) fn done(arguments: &[&str]) -> String {
    let output = output(arguments);
    assert!(output.status.success(), "library {arguments:?}: {}", complaint(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The arguments of a checkout of the image under test by a catalogue.
pub(crate) fn checkout(name: &Name, catalogue: &str, more: &[&str]) -> Command {
    let number = name.catalogues.fetch_add(1, Ordering::Relaxed);
    let file = name.folder.path().join(format!("{number}.toml"));
    std::fs::write(&file, catalogue).expect("a writable folder");
    let mut command = library(&["checkout", name.as_str(), "--image", image::tag()]);
    command.arg("--catalogue").arg(file).args(more);
    command
}

/// Checks a stage out; a failure fails the test.
pub(crate) fn checked_out(name: &Name, catalogue: &str, more: &[&str]) {
    let output = checkout(name, catalogue, more).output().expect("the binary was built for this test");
    assert!(output.status.success(), "{}", complaint(&output));
}

/// Starts a checkout that somebody will end.
pub(crate) fn begun(name: &Name, catalogue: &str) -> Child {
    let mut command = checkout(name, catalogue, &[]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary was built for this test")
}

/// Looks until it is so.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "in vain: {what}");
    }
}
