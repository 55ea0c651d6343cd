//! The folder of all rounds, who works on it, and what is known of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::aimed::{self, Aim, Kind, Made};
use super::content::{Content, Dice};
use super::http::Connection;
use super::mistakes::{self, Mistake};
use super::server::{ACCESS_KEY_ID, PATIENCE, SECRET_ACCESS_KEY, Server, Setup, forget_environment};
use super::verify::{verify, verify_listing};
use super::writer::Writer;
use super::{BUCKET, field};

/// Writers at a time.
const WRITERS: u64 = 8;
/// The only thing that `fsck` may find after a crash: a file that no row names.
const ORPHAN: &str = "\"orphaned-file\"";
/// The snapshot that is gone back to.
const BASE: &str = "base";

/// What the server is killed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// Writers alone.
    Write,
    /// Going back to a snapshot.
    Restore,
    /// Writers, and an object that is composed.
    Compose,
    /// Writers, and an upload that is completed.
    Complete,
}

/// What everything holds: every key of the writers, what was composed and completed, and the field.
type State = (BTreeMap<String, Option<Content>>, Vec<Option<Made>>, bool);

/// A restore that was cut short, or not.
struct TakenBack {
    before: State,
    is_done: bool,
}

/// All that is known.
pub(crate) struct World {
    temporary: tempfile::TempDir,
    dice: Dice,
    writers: Vec<Writer>,
    aims: Vec<Aim>,
    field: bool,
    base: State,
    /// What the last restore was to take back.
    taken_back: Option<TakenBack>,
    /// How long a restore takes when nobody is killed.
    restore: Duration,
    /// How long the last answers to what is aimed at took.
    answers: BTreeMap<Work, Duration>,
    /// The index as it was at earlier stops, the earliest first.
    earlier: Vec<Vec<u8>>,
    /// How often was killed.
    pub(crate) kills: BTreeMap<Work, u64>,
    /// How often before the work was answered.
    pub(crate) cut_short: BTreeMap<Work, u64>,
    /// How many mistakes were made.
    pub(crate) mistakes: u64,
}

impl World {
    /// A folder with something of everything, and a snapshot of it.
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let aims = [Kind::Compose, Kind::Complete].map(|kind| Aim::new(kind, dice.next()));
        let mut world = Self {
            temporary: tempfile::tempdir().expect("a temporary folder can be made"),
            writers: (0..WRITERS).map(|number| Writer::new(number, dice.next())).collect(),
            aims: aims.to_vec(),
            field: true,
            base: State::default(),
            taken_back: None,
            restore: Duration::ZERO,
            answers: BTreeMap::new(),
            earlier: Vec::new(),
            kills: BTreeMap::new(),
            cut_short: BTreeMap::new(),
            mistakes: 0,
            dice,
        };
        let mut server = world.start();
        aimed::put_sources(server.address());
        field::sow(server.address());
        world.write(&server, 60);
        world.done(&["snapshot", "create", BASE]);
        world.base = world.state();
        world.write(&server, 30);
        let since = Instant::now();
        world.done(&["snapshot", "restore", BASE]);
        world.restore = since.elapsed();
        world.allow(&world.base.clone());
        world.verify(&server, "a restore without a kill");
        assert!(world.state() == world.base, "a restore without a kill");
        world.stop(&mut server);
        world
    }

    fn folder(&self) -> PathBuf {
        self.temporary.path().join("data")
    }

    /// A server on the folder of all rounds.
    fn start(&self) -> Server {
        let mut setup = Setup::with_buckets(&[BUCKET, aimed::BUCKET]);
        setup.args.extend(["--anonymous".into(), "read-write".into()]);
        setup.data_dir = Some(self.folder());
        Server::start(&setup)
    }

    fn stop(&mut self, server: &mut Server) {
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0));
        self.earlier.push(std::fs::read(self.folder().join("index.sqlite")).expect("an index"));
        if self.earlier.len() > 3 {
            self.earlier.remove(0);
        }
    }

    /// Takes one round.
    pub(crate) fn round(&mut self, round: u64, work: Work, mistake: Option<Mistake>) {
        let when = format!("round {round}, {work:?}");
        let mut server = self.start();
        let is_cut_short = match work {
            Work::Write => {
                // Early kills meet the first writes after a start, late ones a sweep and a checkpoint.
                let acknowledgements = 20 + self.dice.below(250);
                self.write_until(&mut server, None, acknowledgements, &when)
            }
            Work::Compose => self.write_until(&mut server, Some(0), 2, &when),
            Work::Complete => self.write_until(&mut server, Some(1), 2, &when),
            Work::Restore => self.restore(&mut server, &when),
        };
        drop(server);
        *self.kills.entry(work).or_default() += 1;
        *self.cut_short.entry(work).or_default() += u64::from(is_cut_short);
        if let (Some(mistake), Some(older)) = (mistake, self.earlier.first()) {
            mistakes::make(mistake, &self.folder(), older, self.temporary.path(), &when);
            self.mistakes += 1;
        }
        self.recover(&when);
    }

    /// Lets the writers write until so many acknowledgements have come.
    fn write(&mut self, server: &Server, acknowledgements: usize) {
        let address = server.address();
        let (bell, rung) = mpsc::channel();
        std::thread::scope(|scope| {
            for writer in &mut self.writers {
                let (bell, connection) = (bell.clone(), Connection::open(address));
                scope.spawn(move || writer.write_until_cut_off(connection, &bell));
            }
            drop(bell);
            assert_eq!(rung.into_iter().take(acknowledgements).count(), acknowledgements);
        });
    }

    /// Lets the writers write, and one object be made if there is an aim, then kills the server under them:
    /// after so many acknowledgements to writers; with an aim, within the answer to its second request or a
    /// later one. Says whether that was not answered.
    fn write_until(&mut self, server: &mut Server, aim: Option<usize>, count: u64, when: &str) -> bool {
        let address = server.address();
        let (bell, rung) = mpsc::channel();
        let (aimed, struck) = mpsc::channel();
        let share = u32::try_from(self.dice.below(1_000)).expect("it is small");
        let work = if aim == Some(0) { Work::Compose } else { Work::Complete };
        let answers = &mut self.answers;
        let (writers, aims) = (&mut self.writers, &mut self.aims);
        std::thread::scope(|scope| {
            for writer in writers {
                let (bell, connection) = (bell.clone(), Connection::open(address));
                scope.spawn(move || writer.write_until_cut_off(connection, &bell));
            }
            drop(bell);
            if let Some(aim) = aim.and_then(|aim| aims.get_mut(aim)) {
                let connection = Connection::open(address);
                scope.spawn(move || aim.make_until_cut_off(connection, &aimed));
                for _ in 1..count {
                    struck.recv().unwrap_or_else(|_| panic!("{when}: cut off before the kill"));
                    let since = Instant::now();
                    struck.recv().unwrap_or_else(|_| panic!("{when}: cut off before the kill"));
                    answers.insert(work, since.elapsed());
                }
                struck.recv().unwrap_or_else(|_| panic!("{when}: cut off before the kill"));
                // Not for something to happen: the moment is what is random.
                std::thread::sleep(answers.get(&work).copied().unwrap_or_default() * share / 1_000);
            } else {
                let heard = rung.iter().take(usize::try_from(count).unwrap_or(usize::MAX)).count() as u64;
                assert_eq!(heard, count, "{when}: writers stopped before the server was killed");
            }
            server.kill();
        });
        match aim {
            Some(aim) => self.aims[aim].asked.is_some(),
            None => self.writers.iter_mut().flat_map(Writer::keys).any(|(_, held)| !held.asked.is_empty()),
        }
    }

    /// Kills the server while it goes back to the snapshot. Says whether that was not done.
    fn restore(&mut self, server: &mut Server, when: &str) -> bool {
        self.write(server, 30);
        if self.field {
            field::clear(server.address());
            self.field = false;
        }
        let before = self.state();
        let base = self.base.clone();
        assert!(before != base, "{when}: there is nothing to take back");
        let share = u32::try_from(200 + self.dice.below(850)).expect("it is small");
        let command = self.command(&["snapshot", "restore", BASE]);
        let mut command = begin(command);
        std::thread::sleep(self.restore * share / 1_000);
        server.kill();
        let is_cut_short = command.try_wait().expect("a child can be asked").is_none();
        let is_done = end(command).status.success();
        self.allow(&base);
        self.taken_back = Some(TakenBack { before, is_done });
        is_cut_short
    }

    /// After a kill within a restore, all is as it was before or all is as it was at the snapshot.
    fn check_restore(&mut self, when: &str) {
        let Some(TakenBack { before, is_done }) = self.taken_back.take() else { return };
        let now = self.state();
        assert!(now == before || now == self.base, "{when}: it is neither as it was nor as it was at {BASE}");
        assert!(!is_done || now == self.base, "{when}: it was said to be done, and is not");
    }

    /// What is known may be as in this state instead.
    fn allow(&mut self, state: &State) {
        for (key, held) in self.writers.iter_mut().flat_map(Writer::keys) {
            held.asked = state.0.get(key).cloned().into_iter().collect();
        }
        for (aim, made) in self.aims.iter_mut().zip(&state.1) {
            aim.asked = Some(made.clone());
        }
    }

    /// What is acknowledged.
    fn state(&mut self) -> State {
        let keys = self.writers.iter_mut().flat_map(Writer::keys);
        let keys = keys.map(|(key, held)| (key.clone(), held.acknowledged.clone())).collect();
        (keys, self.aims.iter().map(|aim| aim.acknowledged.clone()).collect(), self.field)
    }

    /// Compares every byte of everything with what is known.
    fn verify(&mut self, server: &Server, when: &str) {
        let address: SocketAddr = server.address();
        verify(address, &mut self.writers, when);
        verify_listing(address, &mut self.writers, when);
        for aim in &mut self.aims {
            aim.verify(address, when);
        }
        let is_whole = self.taken_back.is_some();
        let is_there = field::is_there(address, is_whole, when);
        let may_be_back = self.base.2 && self.state().0 == self.base.0;
        assert!(is_there == self.field || may_be_back, "{when}: the field is there: {is_there}");
        self.field = is_there;
    }

    /// Starts a server on what a crash has left, compares everything, and stops it; then `fsck` is
    /// clean. Files without a row are no damage, and swept in the background while it runs.
    fn recover(&mut self, when: &str) {
        self.fsck(when);
        let mut server = self.start();
        self.verify(&server, when);
        self.check_restore(when);
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.stop(&mut server);
            if self.fsck(when).is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "{when}: files without a row are not swept");
            server = self.start();
        }
    }

    /// What `understudy fsck` finds in the folder, which no server has open: the kinds of its findings.
    fn fsck(&self, when: &str) -> Vec<String> {
        let output = self.command(&["fsck", "--json"]).output().expect("fsck can be started");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{when}: {error}: {output:?}"));
        let findings = report["findings"].as_array().unwrap_or_else(|| panic!("no findings in {report}"));
        let kinds: Vec<_> = findings.iter().map(|finding| finding["finding"].to_string()).collect();
        assert_eq!(output.status.success(), kinds.is_empty(), "{when}: {output:?}");
        assert!(kinds.iter().all(|kind| kind == ORPHAN), "{when}: {report:#}");
        assert_eq!(report["quarantined"], serde_json::json!([]), "{when}: what a crash leaves is known");
        kinds
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
        forget_environment(&mut command);
        command.env("UNDERSTUDY_ACCESS_KEY_ID", ACCESS_KEY_ID);
        command.env("UNDERSTUDY_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
        command.args(arguments).env("UNDERSTUDY_DATA_DIR", self.folder());
        command
    }

    fn done(&self, arguments: &[&str]) {
        let output = self.command(arguments).output().expect("the understudy binary was built for this test");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
}

fn begin(mut command: Command) -> Child {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it can be started")
}

/// Waits for the end of a command; with its server killed, it does not wait for ever.
fn end(mut child: Child) -> Output {
    let since = Instant::now();
    while child.try_wait().expect("a child can be asked").is_none() {
        assert!(since.elapsed() < PATIENCE, "a command whose server was killed does not end");
        std::thread::yield_now();
    }
    child.wait_with_output().expect("it has ended")
}
