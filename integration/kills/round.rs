//! One round: something is at work, somebody is killed at some moment, and everything is compared.

use std::collections::BTreeMap;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::content::{Content, Dice};
use super::desk::{Desk, told, until};
use super::http::Connection;
use super::server::PATIENCE;
use super::verify::{verify, verify_listing};
use super::writer::Writer;
use super::{returned, snapshots};

/// The stage that all rounds work on.
pub(crate) const MAIN: &str = "main";
/// The stage that is checked out, forked or returned in a round.
pub(crate) const GUEST: &str = "guest";
/// The snapshot of the main stage that rounds go back to and fork from.
pub(crate) const BASE: &str = "base";

/// What is at work, beside writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// Writers alone.
    Write,
    Snapshot,
    Reset,
    Fork,
    Checkout,
    Return,
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The command that is at work.
    Command,
    /// The server in the container that it works with.
    Server,
    /// The daemon of the engine.
    Engine,
    /// The engine and all that it runs, at once.
    Machine,
}

/// Every work with every victim that it may have.
pub(crate) const ROUNDS: [(Work, Victim); 20] = [
    (Work::Write, Victim::Server),
    (Work::Write, Victim::Engine),
    (Work::Write, Victim::Machine),
    (Work::Snapshot, Victim::Command),
    (Work::Snapshot, Victim::Server),
    (Work::Snapshot, Victim::Engine),
    (Work::Reset, Victim::Command),
    (Work::Reset, Victim::Server),
    (Work::Reset, Victim::Engine),
    (Work::Reset, Victim::Machine),
    (Work::Fork, Victim::Command),
    (Work::Fork, Victim::Server),
    (Work::Fork, Victim::Engine),
    (Work::Checkout, Victim::Command),
    (Work::Checkout, Victim::Server),
    (Work::Checkout, Victim::Engine),
    (Work::Checkout, Victim::Machine),
    (Work::Return, Victim::Command),
    (Work::Return, Victim::Server),
    (Work::Return, Victim::Engine),
];

/// The main stage, what is known of it, and how long each work takes when nobody is killed.
pub(crate) struct Scene {
    pub(crate) desk: Desk,
    pub(crate) dice: Dice,
    /// Those of the main stage.
    pub(crate) writers: Vec<Writer>,
    /// What they knew when the snapshot [`BASE`] was made.
    pub(crate) base: Vec<Writer>,
    pub(crate) durations: BTreeMap<Work, Duration>,
    /// Commands that a kill came in between.
    pub(crate) cut_short: u32,
}

impl Scene {
    /// Lets writers write into a stage, until so many acknowledgements have come.
    pub(crate) fn write(&self, name: &str, writers: &mut [Writer], acknowledgements: usize) {
        let address = self.desk.address(name);
        let (bell, rung) = mpsc::channel();
        std::thread::scope(|scope| {
            for writer in writers {
                let (bell, connection) = (bell.clone(), Connection::open(address));
                scope.spawn(move || writer.write_until_cut_off(connection, &bell));
            }
            drop(bell);
            let heard = rung.into_iter().take(acknowledgements).count();
            assert_eq!(heard, acknowledgements, "writers into {name} were cut off");
        });
    }

    /// The command of a work.
    pub(crate) fn command(&self, work: Work, round: usize) -> Option<Command> {
        let from = format!("{MAIN}@{BASE}");
        let export = self.export(round);
        Some(match work {
            Work::Write => return None,
            Work::Snapshot => self.desk.inside(MAIN, &["snapshot", "create", &snapshots::name(round)]),
            Work::Reset => self.desk.library(&["reset", MAIN, "--to", BASE]),
            Work::Fork => self.desk.library(&["checkout", GUEST, "--from", &from]),
            Work::Checkout => self.desk.library(&["checkout", GUEST, "--from", "pair"]),
            Work::Return => self.desk.library(&["return", GUEST, "--keep-export", &export]),
        })
    }

    /// Where the export of a round goes: a file in a folder of its own.
    pub(crate) fn export(&self, round: usize) -> String {
        let folder = self.desk.engine.folder().join(format!("round-{round}"));
        std::fs::create_dir_all(&folder).expect("a writable folder");
        folder.join(returned::EXPORT).display().to_string()
    }

    /// Takes one round.
    pub(crate) fn round(&mut self, number: usize, work: Work, victim: Victim) {
        let mut guests = self.before(number, work);
        let writing = work != Work::Reset;
        let acknowledgements = 20 + self.below(100);
        let moment = self.moment(work);
        let mut writers = std::mem::take(&mut self.writers);
        let address = self.desk.address(MAIN);
        let (bell, rung) = mpsc::channel();
        let ended = std::thread::scope(|scope| {
            for writer in writers.iter_mut().filter(|_| writing) {
                let (bell, connection) = (bell.clone(), Connection::open(address));
                scope.spawn(move || writer.write_until_cut_off(connection, &bell));
            }
            drop(bell);
            let heard = rung.iter().take(if writing { acknowledgements } else { 0 }).count();
            assert!(!writing || heard == acknowledgements, "writers were cut off before the kill");
            let mut command = self.command(work, number).map(begin);
            // Not for something to happen: the moment is what is random.
            std::thread::sleep(moment);
            self.kill(work, victim, command.as_mut());
            // Writers that were not cut off end when nobody listens.
            drop(rung);
            self.after_kill(victim, command)
        });
        self.writers = writers;
        self.desk.heal();
        let when = format!("round {number}, {work:?} and {victim:?}");
        if work == Work::Reset {
            if victim == Victim::Command {
                // What it has asked for goes on in the container, and would be done between two reads
                // or two rounds. This stops the container, and with it whatever runs there.
                self.desk.fsck(MAIN);
            }
            self.verify_reset(ended.as_ref(), &when);
        }
        let address = self.desk.address(MAIN);
        verify(address, &mut self.writers, &when);
        verify_listing(address, &mut self.writers, &when);
        self.check(number, work, ended.as_ref(), &mut guests, &when);
        if victim != Victim::Command {
            self.desk.fsck(MAIN);
        }
    }

    /// Makes what a work needs; gives the writers of the guest.
    fn before(&mut self, number: usize, work: Work) -> Vec<Writer> {
        if work == Work::Reset {
            // Something to take back.
            let mut writers = std::mem::take(&mut self.writers);
            self.write(MAIN, &mut writers, 30);
            self.writers = writers;
        }
        if work != Work::Return {
            return Vec::new();
        }
        self.desk.done(&["checkout", GUEST]);
        let mut guests: Vec<_> = (0..2)
            .map(|guest| 1_000 + 2 * number as u64 + guest)
            .map(|guest| Writer::new(guest, guest))
            .collect();
        self.write(GUEST, &mut guests, 40);
        guests
    }

    /// A moment within a work, or shortly after it.
    fn moment(&mut self, work: Work) -> Duration {
        let duration = self.durations.get(&work).copied().unwrap_or_default();
        let share = u32::try_from(self.dice.below(1_050)).expect("it is small");
        duration * share / 1_000
    }

    pub(crate) fn below(&mut self, bound: u64) -> usize {
        usize::try_from(self.dice.below(bound)).expect("it is small")
    }

    fn kill(&mut self, work: Work, victim: Victim, mut command: Option<&mut Child>) {
        let is_at_work = |command: &mut Option<&mut Child>| {
            command.as_mut().is_some_and(|child| child.try_wait().expect("a child can be asked").is_none())
        };
        self.cut_short += u32::from(is_at_work(&mut command));
        match victim {
            Victim::Command => {
                let child = command.expect("there is one to kill");
                child.kill().expect("a child that was not waited for can be killed");
            }
            Victim::Server => {
                let by_engine = self.dice.below(2) == 0;
                let name = match work {
                    Work::Write | Work::Snapshot | Work::Reset => MAIN,
                    Work::Checkout | Work::Return => GUEST,
                    Work::Fork => [MAIN, GUEST][self.below(2)],
                };
                // It may not be there yet, and a command may have ended or taken it away.
                until("there is a server to kill", || {
                    let ends = name == GUEST && !is_at_work(&mut command);
                    self.desk.kill_server(name, by_engine) || ends
                });
            }
            Victim::Engine => self.desk.engine.kill_daemon(),
            Victim::Machine => self.desk.engine.kill_machine(),
        }
    }

    /// Starts the engine again if it was killed, before or after the command has seen that.
    fn after_kill(&mut self, victim: Victim, command: Option<Child>) -> Option<Output> {
        let engine_is_down = matches!(victim, Victim::Engine | Victim::Machine);
        let waits = self.dice.below(2) == 0;
        if engine_is_down && !waits {
            self.desk.engine.start_again();
        }
        let ended = command.map(end);
        if engine_is_down && waits {
            self.desk.engine.start_again();
        }
        ended
    }

    /// All keys are as they were, or all are as they were at the snapshot.
    fn verify_reset(&mut self, ended: Option<&Output>, when: &str) {
        let (before, base) = (states(&mut self.writers), states(&mut self.base));
        assert!(before != base, "{when}: there was nothing to take back");
        for (key, held) in self.writers.iter_mut().flat_map(Writer::keys) {
            held.asked = base.get(key).cloned().into_iter().collect();
        }
        verify(self.desk.address(MAIN), &mut self.writers, when);
        let now = states(&mut self.writers);
        assert!(now == before || now == base, "{when}: it is neither as it was nor as it was at {BASE}");
        let done = ended.is_some_and(|output| output.status.success());
        assert!(!done || now == base, "{when}: it was said to be as it was at {BASE}, and is not");
    }

    /// What became of the command's own.
    fn check(
        &mut self,
        number: usize,
        work: Work,
        ended: Option<&Output>,
        guests: &mut [Writer],
        when: &str,
    ) {
        match work {
            Work::Write | Work::Reset => {}
            Work::Snapshot => snapshots::check(&self.desk, number, ended, when),
            Work::Fork | Work::Checkout => self.check_guest(number, work, ended, when),
            Work::Return => returned::check(self, number, ended, guests, when),
        }
        assert_eq!(self.desk.things(GUEST), Vec::<String>::new(), "{when}");
        self.desk.heal();
    }

    /// A stage that was checked out is whole; or else nothing of it is there, and it can be had again.
    fn check_guest(&mut self, number: usize, work: Work, ended: Option<&Output>, when: &str) {
        let is_there = self.desk.listed(GUEST).is_some();
        let done = ended.is_some_and(|output| output.status.success());
        assert!(!done || is_there, "{when}: it was said to be checked out, and is not there");
        if !is_there {
            assert_eq!(self.desk.things(GUEST), Vec::<String>::new(), "{when}");
            let again = self.command(work, number).expect("it has a command").output();
            let again = again.expect("the understudy binary was built for this test");
            assert!(again.status.success(), "{when}, again: {}", told(&again));
        }
        let mut held = if work == Work::Fork { self.base.clone() } else { vec![Writer::new(0, 0)] };
        verify(self.desk.address(GUEST), &mut held, when);
        self.write(GUEST, &mut held, 5);
        self.desk.done(&["return", GUEST]);
    }
}

/// What the keys of writers hold for sure.
fn states(writers: &mut [Writer]) -> BTreeMap<String, Option<Content>> {
    writers
        .iter_mut()
        .flat_map(Writer::keys)
        .map(|(key, held)| (key.clone(), held.acknowledged.clone()))
        .collect()
}

fn begin(mut command: Command) -> Child {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it can be started")
}

/// Waits for the end of a command; whoever was killed, it does not wait for ever.
fn end(mut child: Child) -> Output {
    let since = Instant::now();
    while child.try_wait().expect("a child can be asked").is_none() {
        if since.elapsed() > PATIENCE {
            child.kill().expect("a child that was not waited for can be killed");
            panic!("it does not end: {}", told(&child.wait_with_output().expect("it ends now")));
        }
    }
    child.wait_with_output().expect("it has ended")
}
