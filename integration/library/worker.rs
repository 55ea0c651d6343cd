//! A beetmover worker at a stage: `rehearsal.py`, with the variables of `library env` and no others.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::hostile::Hostile;
use super::python;
use super::server::{PATIENCE, forget_environment};
use super::shelf::{Name, complaint, done};

/// For one command, which may be a dozen processes that share this machine with other tests.
const LONG_PATIENCE: Duration = PATIENCE.saturating_mul(10);

/// The bucket that the worker's S3 side writes Firefox to.
pub(crate) const FIREFOX: &str = "net-mozaws-stage-delivery-firefox";

/// Objects as the worker tells them: bucket and key, size and MD5.
pub(crate) type Objects = BTreeMap<String, (u64, String)>;

/// Mozilla's buckets and rules as they are built in, but for where production is; and the settings that
/// `more` adds.
pub(crate) fn catalogue(production: &Hostile, more: &str) -> String {
    let preset = include_str!("../../docker/mozilla.toml")
        .replace("https://archive.mozilla.org/", &production.url())
        .replace("https://maven.mozilla.org/", &production.url());
    format!(
        "default = 'rehearsal'\n[template.rehearsal]\nmemory = '128 MiB'\nconfig = '''\n{preset}\n{more}'''\n\
         [template.rehearsal.environment]\nUNDERSTUDY_LOG_FORMAT = 'mozlog'\n"
    )
}

/// The variables of a stage.
pub(crate) fn variables(name: &Name) -> BTreeMap<String, String> {
    serde_json::from_str(&done(&["env", name.as_str(), "--json"])).expect("a JSON object of texts")
}

/// A command of understudy about a running stage, with its variables: as a person types it.
pub(crate) fn understudy(name: &Name, arguments: &[&str]) -> String {
    let variables = variables(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
    forget_environment(&mut command);
    command.args(arguments).args(["--endpoint", &variables["AWS_ENDPOINT_URL"]]);
    let output = command.envs(variables).output().expect("the understudy binary was built for this test");
    assert!(output.status.success(), "{arguments:?}: {}", complaint(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// One worker, which takes one command after the other.
pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    answers: Receiver<String>,
    folder: TempDir,
}

impl Worker {
    /// Starts one.
    pub(crate) fn at(name: &Name) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = File::create(folder.path().join("log")).expect("a writable folder");
        let mut command = python::started("rehearsal.py");
        // Nothing of the machine's own settings is left.
        command.env_clear().env("HOME", folder.path()).env("TMPDIR", folder.path());
        python::with_programs(&mut command);
        command.env("AWS_EC2_METADATA_DISABLED", "true").envs(variables(name));
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = started.expect("python can be started");
        let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let input = child.stdin.take().expect("standard input is piped");
        Self { child, input, answers, folder }
    }

    /// Begins a command.
    pub(crate) fn begin(&mut self, command: &Value) {
        // One that has ended is told of where its answer is waited for.
        drop(writeln!(self.input, "{command}"));
    }

    /// Waits for the answer to a command; one that failed fails the test.
    pub(crate) fn answer(&mut self) -> Value {
        let line = self.answers.recv_timeout(LONG_PATIENCE).unwrap_or_else(|error| {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            panic!("rehearsal.py: {error}\n{log}")
        });
        serde_json::from_str(&line).expect("JSON")
    }

    /// Does a command.
    pub(crate) fn told(&mut self, command: &Value) -> Value {
        self.begin(command);
        self.answer()
    }

    /// Every object of the stage.
    pub(crate) fn inventory(&mut self) -> Objects {
        objects(&self.told(&serde_json::json!({ "do": "inventory" })))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Already dead is as good as killed.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Commands that each of these workers does at the same time: all have begun before one is waited for.
pub(crate) fn together<const N: usize>(workers: [&mut Worker; N], commands: &[Value; N]) -> [Value; N] {
    let mut begun = workers;
    for (worker, command) in begun.iter_mut().zip(commands) {
        worker.begin(command);
    }
    begun.map(Worker::answer)
}

/// The objects of an answer, or of a part of one.
pub(crate) fn objects(value: &Value) -> Objects {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}
