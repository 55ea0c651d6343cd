//! A real `understudy serve` of this test's own: started on a free port, killed when dropped.
//!
//! It says what the server wrote to standard error when the test that owns it fails. Reading the
//! request log is `request_log.rs`; speaking to the server by hand is `http.rs`.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The credential that every server of these tests knows (AWS's own example).
pub(crate) const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
/// Its secret: a slash and a plus, which clients must escape.
pub(crate) const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// Longest wait for anything the server is known to do; only a failing test ever waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// How a server is started.
#[derive(Default)]
pub(crate) struct Setup {
    /// Arguments after `serve --listen … --data-dir …`.
    pub(crate) args: Vec<OsString>,
    /// Content of a configuration file, if one is to be given.
    pub(crate) config: Option<String>,
    /// The folder to use instead of a fresh temporary one.
    pub(crate) data_dir: Option<PathBuf>,
    /// Whether the server is to make a credential of its own instead of knowing the one above.
    pub(crate) makes_credential: bool,
    /// Where it is to listen; a free port of 127.0.0.1 unless it says otherwise.
    pub(crate) address: Option<String>,
    /// Variables besides the credential.
    pub(crate) environment: Vec<(&'static str, OsString)>,
    /// What it is run by, such as `nsenter`, which must become it.
    pub(crate) run_by: Vec<OsString>,
}

impl Setup {
    /// A server with these buckets.
    pub(crate) fn with_buckets(names: &[&str]) -> Self {
        let args = names.iter().flat_map(|name| ["--bucket".into(), OsString::from(name)]).collect();
        Self { args, ..Self::default() }
    }
}

/// What the server has written to one of its outputs so far, and a bell for each new line.
#[derive(Default)]
pub(crate) struct Journal {
    /// The lines, and whether there will be no more.
    lines: Mutex<(Vec<String>, bool)>,
    bell: Condvar,
}

impl Journal {
    /// Follows an output to its end, on a thread of its own.
    fn of(output: impl Read + Send + 'static) -> Arc<Self> {
        let journal = Arc::new(Self::default());
        let pen = Arc::clone(&journal);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                pen.lock().0.push(line);
                pen.bell.notify_all();
            }
            pen.lock().1 = true;
            pen.bell.notify_all();
        });
        journal
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<String>, bool)> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `find` sees what it wants: the lines so far, and whether there will be no more.
    pub(crate) fn wait_for<T>(&self, mut find: impl FnMut(&[String], bool) -> Option<T>) -> Option<T> {
        let mut found = None;
        let waited = self.bell.wait_timeout_while(self.lock(), PATIENCE, |(lines, ended)| {
            found = find(lines, *ended);
            found.is_none()
        });
        drop(waited);
        found
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        self.lock().0.join("\n")
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    journal: Arc<Journal>,
    printed: Arc<Journal>,
    folder: PathBuf,
    scratch: tempfile::TempDir,
}

impl Server {
    /// Starts a server and waits until it listens.
    pub(crate) fn start(setup: &Setup) -> Self {
        let scratch = tempfile::tempdir().expect("a temporary folder can be made");
        let folder = setup.data_dir.clone().unwrap_or_else(|| scratch.path().join("data"));
        let mut words = setup.run_by.iter().cloned().chain([env!("CARGO_BIN_EXE_understudy").into()]);
        let mut command = Command::new(words.next().expect("the last one at least"));
        command.args(words);
        forget_environment(&mut command);
        let listen = setup.address.as_deref().unwrap_or("127.0.0.1:0");
        command.args(["serve", "--listen", listen]).args(&setup.args);
        if !setup.args.iter().any(|argument| argument == "--ephemeral") {
            command.arg("--data-dir").arg(&folder);
        }
        if let Some(config) = &setup.config {
            let path = scratch.path().join("understudy.toml");
            std::fs::write(&path, config).expect("the temporary folder is writable");
            command.arg("--config").arg(path);
        }
        if !setup.makes_credential {
            command.env("UNDERSTUDY_ACCESS_KEY_ID", ACCESS_KEY_ID);
            command.env("UNDERSTUDY_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
        }
        command.env("UNDERSTUDY_LOG_FORMAT", "mozlog").envs(setup.environment.iter().cloned());
        command.current_dir(scratch.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the understudy binary was built for this test");
        let journal = Journal::of(child.stderr.take().expect("standard error is piped"));
        let printed = Journal::of(child.stdout.take().expect("standard output is piped"));

        let first = printed.wait_for(|lines, ended| match lines.first() {
            Some(line) => Some(line.clone()),
            None => ended.then(String::new),
        });
        let first = first.unwrap_or_default();
        let address = first.strip_prefix("understudy listening on http://");
        let Some(address) = address.and_then(|text| text.parse().ok()) else {
            let status = child.kill().and_then(|()| child.wait());
            journal.wait_for(|_, ended| ended.then_some(()));
            panic!("the first line was {first:?} ({status:?}); standard error:\n{}", journal.text());
        };
        Self { child, address, journal, printed, folder, scratch }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its data folder.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.folder
    }

    /// A folder that lasts as long as the server.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// What it has printed.
    pub(crate) fn printed(&self) -> &Journal {
        &self.printed
    }

    /// Its log.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Asks it to stop.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a child that was not waited for has its pid");
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child can be waited for")
    }

    /// Kills it with SIGKILL and waits for its end.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        self.child.kill().expect("a child that was not waited for can be killed");
        self.wait()
    }
}

impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "a failed test says what its server said")]
    fn drop(&mut self) {
        // Already dead is as good as killed.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
        if std::thread::panicking() {
            eprintln!("--- standard error of understudy {}\n{}\n---", self.address, self.journal.text());
        }
    }
}

/// Removes what the person who runs the tests has set for their own understudy and its clients.
pub(crate) fn forget_environment(command: &mut Command) {
    let inherited = std::env::vars_os().map(|(name, _)| name);
    for name in inherited.filter(|name| {
        let name = name.to_string_lossy();
        let prefixes = ["UNDERSTUDY_", "AWS_", "PYTHON"];
        prefixes.iter().any(|prefix| name.starts_with(prefix))
            || ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "PORT"].contains(&&*name.to_uppercase())
    }) {
        command.env_remove(name);
    }
}
