//! A Docker Engine of a test's own, which may be killed. The machine's engine is not touched.
//!
//! It runs in namespaces of its own: processes, mounts and network. So its bridges, its proxies and
//! its ports are in nobody's way, and all of it (the daemon, containerd, shims, containers) is gone
//! as soon as the first process of the namespace ends. That one waits for the end of a pipe, which
//! this process holds: nothing outlives the test, however it ends.
//!
//! Its API is a socket in a temporary folder. Ports of its containers are reached from threads that
//! have entered its network.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use rustix::process::geteuid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use super::server::PATIENCE;

/// The first process of the namespaces. `/run` is its own, as after a boot: a process id in a file
/// there means nothing to those who come later. It reaps whatever loses its parent.
const FIRST: &str = "mount -t tmpfs tmpfs /run && { ip link set lo up || busybox ip link set lo up; } && \
                     echo ready && exec 3<&0 </dev/null && { read end <&3 & wait; }";
/// Where the daemon says its process id.
const PID_FILE: &str = "/run/engine.pid";

/// An engine.
pub(crate) struct EngineOfOwn {
    folder: TempDir,
    world: World,
    daemon: Option<Child>,
}

/// The namespaces, for as long as the pipe to their first process is open.
struct World(Child);

impl EngineOfOwn {
    /// Starts one; where none can be had, says why.
    pub(crate) fn start() -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err("only root can start an engine".to_owned());
        }
        for program in ["dockerd", "unshare", "nsenter"] {
            let asked = Command::new(program).arg("--version").output();
            if !asked.is_ok_and(|output| output.status.success()) {
                return Err(format!("there is no {program}"));
            }
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        // The machine's own settings are not for this one.
        fs::write(folder.path().join("daemon.json"), "{}").map_err(|error| error.to_string())?;
        let mut engine = Self { folder, world: World::begin()?, daemon: None };
        engine.start_daemon()?;
        Ok(engine)
    }

    /// Where it answers, as `DOCKER_HOST` has it.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("sock").display())
    }

    /// A folder that lasts as long as the engine.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `docker` for this engine.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", self.host()).env_remove("DOCKER_CONTEXT").args(arguments);
        command
    }

    /// Runs `docker`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("docker is there, as it was asked before")
    }

    /// Runs `docker` and gives what it printed; a failure fails the test.
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Has this thread, and all that it starts from now on, see the network of the engine.
    pub(crate) fn enter_network(&self) {
        let file = File::open(format!("/proc/{}/ns/net", self.world.0.id())).expect("its network");
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may enter it");
    }

    /// Kills a process by the id that the engine knows it by.
    pub(crate) fn kill_inside(&self, pid: u32) -> bool {
        self.shell(&format!("kill -9 {pid}"))
    }

    /// Kills the daemon; its containerd goes with it, and its containers run on.
    pub(crate) fn kill_daemon(&mut self) {
        assert!(self.shell(&format!("kill -9 $(cat {PID_FILE})")), "the daemon can be killed");
        self.reap_daemon();
    }

    /// Kills all at once, as the end of a machine does. The network is another one afterwards.
    pub(crate) fn kill_machine(&mut self) {
        self.world.end();
        self.reap_daemon();
    }

    /// Starts what was killed, and waits until it answers.
    pub(crate) fn start_again(&mut self) {
        if self.world.has_ended() {
            self.world = World::begin().expect("it could be had before");
            self.enter_network();
        }
        self.start_daemon().expect("it could be had before");
    }

    fn start_daemon(&mut self) -> Result<(), String> {
        let log = self.folder.path().join("log");
        let opened = File::options().create(true).append(true).open(&log);
        let opened = opened.and_then(|file| Ok((file.try_clone()?, file)));
        let (output, errors) = opened.map_err(|error| error.to_string())?;
        let below = |name: &str| self.folder.path().join(name);
        let mut command = self.world.enter();
        command.args(["dockerd", "--exec-root", "/run/engine", "--pidfile", PID_FILE]);
        command.arg("--config-file").arg(below("daemon.json")).arg("--data-root").arg(below("data"));
        command.args(["--host", &self.host(), "--cgroup-parent", &cgroup()]);
        command.args(["--exec-opt", "native.cgroupdriver=cgroupfs"]);
        // Proxies lead to its containers, and nothing leads out of its network.
        command.args(["--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-masq=false"]);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        self.daemon = Some(command.spawn().map_err(|error| error.to_string())?);
        let since = Instant::now();
        while !self.run(&["version"]).status.success() {
            let ended = self.daemon.as_mut().map(Child::try_wait);
            if since.elapsed() > PATIENCE || matches!(ended, Some(Ok(Some(_)))) {
                let text = fs::read_to_string(&log).unwrap_or_default();
                let lines: Vec<_> = text.lines().rev().take(5).collect();
                return Err(format!(
                    "dockerd does not answer; the end of its log, last line first: {lines:#?}"
                ));
            }
        }
        Ok(())
    }

    fn reap_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.wait().expect("a child can be waited for");
        }
    }

    fn shell(&self, script: &str) -> bool {
        let output = self.world.enter().args(["sh", "-c", script]).output();
        output.is_ok_and(|output| output.status.success())
    }
}

impl World {
    fn begin() -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("unshare: {error}");
        let mut child = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", FIRST])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).map_err(failed)?;
        let mut world = Self(child);
        if line == "ready\n" {
            return Ok(world);
        }
        world.end();
        Err("namespaces of its own, with a network and a /run, are not allowed here".to_owned())
    }

    /// What begins a command in the namespaces.
    fn enter(&self) -> Command {
        let pid = self.0.id();
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid.to_string(), "--mount", "--net"]);
        command.arg(format!("--pid=/proc/{pid}/ns/pid_for_children"));
        command
    }

    /// Ends everything in them, and waits until it has ended.
    fn end(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("a child can be waited for");
    }

    fn has_ended(&self) -> bool {
        self.0.stdin.is_none()
    }
}

impl Drop for EngineOfOwn {
    fn drop(&mut self) {
        self.world.end();
        self.reap_daemon();
        // Groups of processes stay when all processes are killed at once.
        let Ok(hierarchies) = fs::read_dir("/sys/fs/cgroup") else { return };
        let below = hierarchies.flatten().map(|entry| entry.path());
        for hierarchy in below.chain(["/sys/fs/cgroup".into()]) {
            remove_groups(&hierarchy.join(cgroup().trim_start_matches('/')));
        }
    }
}

/// The parent of its containers' groups of processes.
fn cgroup() -> String {
    format!("/understudy-test-{}", std::process::id())
}

/// Removes empty groups, those below first.
fn remove_groups(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        remove_groups(&entry.path());
    }
    // One that is in use is not removed; nothing of ours is.
    drop(fs::remove_dir(folder));
}
