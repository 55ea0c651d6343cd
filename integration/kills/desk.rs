//! The library at the engine of this test: its commands, what the engine has, and the doctor.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Instant;

use serde_json::Value;

use super::engine_of_own::EngineOfOwn;
use super::server::{PATIENCE, forget_environment};

/// The image, as this test's engine knows it.
const IMAGE: &str = "understudy:kills";
/// A store, and one with a companion: a second store, whose health check needs no shell.
const CATALOGUE: &str = "default = 'plain'\n[template.plain]\nbuckets = ['kills']\n\
     anonymous = 'read-write'\nmemory = '128 MiB'\n\
     [template.pair]\nbuckets = ['kills']\nanonymous = 'read-write'\nmemory = '128 MiB'\n\
     [template.pair.companion.second]\nimage = 'understudy:kills'\ncommand = ['serve', '--ephemeral']\n\
     health = { command = ['/app/understudy', 'check', '--url', '${store.url}'], interval = '200ms', start = '2s' }\n";

/// The engine, and what is needed to ask it for stages.
pub(crate) struct Desk {
    pub(crate) engine: EngineOfOwn,
    catalogue: PathBuf,
}

impl Desk {
    /// Brings the image to the engine. From then on this thread is in the engine's network.
    pub(crate) fn open(engine: EngineOfOwn, image: &str) -> Self {
        let (archive, catalogue) = (engine.folder().join("image.tar"), engine.folder().join("library.toml"));
        let path = archive.to_str().expect("UTF-8");
        super::engine::docker(&["save", "--output", path, image]);
        engine.docker(&["load", "--input", path]);
        engine.docker(&["tag", image, IMAGE]);
        std::fs::remove_file(&archive).expect("it was just written");
        std::fs::write(&catalogue, CATALOGUE).expect("a writable folder");
        engine.enter_network();
        Self { engine, catalogue }
    }

    /// `understudy library` with these arguments.
    pub(crate) fn library(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
        forget_environment(&mut command);
        command.env("DOCKER_HOST", self.engine.host()).arg("library").args(arguments);
        if arguments.first() == Some(&"checkout") {
            command.args(["--image", IMAGE, "--catalogue"]).arg(&self.catalogue);
        }
        command
    }

    /// Runs it to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.library(arguments).output().expect("the understudy binary was built for this test")
    }

    /// Runs it and gives what it printed; a failure fails the test.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "library {arguments:?}: {}", told(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `understudy` in the container of a stage.
    pub(crate) fn inside(&self, name: &str, arguments: &[&str]) -> Command {
        let container = thing(name);
        self.engine.command(&[&["exec", &container, "/app/understudy"], arguments].concat())
    }

    /// Everything of a stage that the engine has: whatever has its name, with labels or without.
    pub(crate) fn things(&self, name: &str) -> Vec<String> {
        let filter = format!("name={}", thing(name));
        let lists: [&[&str]; 3] = [
            &["ps", "--all", "--filter", &filter, "--format", "container {{.Names}}"],
            &["network", "ls", "--filter", &filter, "--format", "network {{.Name}}"],
            &["volume", "ls", "--filter", &filter, "--format", "volume {{.Name}}"],
        ];
        let text = lists.map(|list| self.engine.docker(list)).join("\n");
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// A stage's part of `library list --json`.
    pub(crate) fn listed(&self, name: &str) -> Option<Value> {
        let output = self.done(&["list", "--json"]);
        let mut lines = output.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.find(|stage| stage["name"] == name)
    }

    /// Where a stage that is well is reached.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        let mut url = None;
        until(&format!("{name} is healthy"), || {
            let listed = self.listed(name).unwrap_or_else(|| panic!("{name} is not there"));
            url = listed["url"].as_str().map(str::to_owned).filter(|_| listed["state"] == "healthy");
            url.is_some()
        });
        let url = url.expect("it was just found");
        url.trim_start_matches("http://").parse().expect("an address and a port")
    }

    /// Kills a stage's server, by the engine or behind its back; says whether it ran.
    pub(crate) fn kill_server(&self, name: &str, by_engine: bool) -> bool {
        let container = thing(name);
        if by_engine {
            return self.engine.run(&["kill", &container]).status.success();
        }
        let inspect = ["inspect", "--format", "{{.State.Pid}}", &container];
        let looked = self.engine.run(&inspect);
        let pid = |output: &Output| String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0);
        let before = pid(&looked);
        let killed = before != 0 && self.engine.kill_inside(before);
        if killed {
            until("the engine has seen that a server was killed", || {
                pid(&self.engine.run(&inspect)) != before
            });
        }
        killed
    }

    /// Asks the doctor, and lets it mend, until it has nothing to say. Containers that the engine is
    /// about to start again are waited for.
    pub(crate) fn heal(&self) {
        let mut said = String::new();
        let since = Instant::now();
        loop {
            let looked = self.output(&["doctor"]);
            if looked.status.success() && looked.stdout == b"all is well\n" {
                return;
            }
            said += &told(&looked);
            assert!(since.elapsed() < PATIENCE, "the doctor does not come to an end:\n{said}");
            said += &told(&self.output(&["doctor", "--fix"]));
        }
    }

    /// What `understudy fsck` finds in the volume of a stage that is stopped: the kinds of it.
    fn findings(&self, name: &str) -> Vec<String> {
        let (container, folder) = (thing(name), "UNDERSTUDY_DATA_DIR=/data/stage");
        let run = ["run", "--rm", "--network", "none", "--volumes-from", &container, "--env", folder];
        let output = self.engine.run(&[&run[..], &[IMAGE, "fsck", "--json"]].concat());
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("fsck of {name}: {error}: {}", told(&output)));
        let findings = report["findings"].as_array().unwrap_or_else(|| panic!("no findings in {report}"));
        let kinds: Vec<_> = findings.iter().map(|finding| finding["finding"].to_string()).collect();
        // A file that no row names is no damage, and swept in the background while the server runs.
        assert!(kinds.iter().all(|kind| kind == "\"orphaned-file\""), "fsck of {name}: {report:#}");
        assert_eq!(output.status.success(), kinds.is_empty(), "fsck of {name}: {}", told(&output));
        kinds
    }

    /// Stops a stage, and starts it again when `understudy fsck` has found it clean.
    pub(crate) fn fsck(&self, name: &str) {
        until(&format!("{name} has no files without a row"), || {
            self.engine.docker(&["stop", &thing(name)]);
            let is_clean = self.findings(name).is_empty();
            self.engine.docker(&["start", &thing(name)]);
            self.address(name);
            is_clean
        });
    }
}

/// What the container, the volume and the network of a stage are called.
pub(crate) fn thing(name: &str) -> String {
    format!("understudy-{name}")
}

/// What a command has printed.
pub(crate) fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}: {}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// Looks until it is so.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "in vain: {what}");
    }
}
