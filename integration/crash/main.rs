//! kill -9 under load, again and again on the same folder: what was acknowledged is there and
//! whole, what was not is there as a whole or not at all, and `understudy fsck` is clean.
//!
//! Each writer owns its keys, so it knows what every one of them may hold: the state that the
//! server acknowledged last, or the one that it was asked for when it was killed.

#[expect(
    dead_code,
    reason = "bodies are compared as bytes here, codes and single requests are not looked at"
)]
#[path = "../harness/http.rs"]
mod http;
#[expect(dead_code, reason = "the log and the scratch folder are for the other tests")]
#[path = "../harness/server.rs"]
mod server;

mod content;
mod verify;
mod writer;

use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Instant;

use rustix::process::Signal;

use self::content::Dice;
use self::http::Connection;
use self::server::{PATIENCE, Server, Setup};
use self::verify::{verify, verify_listing};
use self::writer::Writer;

/// The bucket that is written to.
const BUCKET: &str = "crash";
/// Times that the server is killed.
const ROUNDS: u64 = 20;
/// Writers at a time.
const WRITERS: u64 = 8;
/// The only thing that `fsck` may find after a crash: a file that no row names.
const ORPHAN: &str = "\"orphaned-file\"";

/// A server on the folder of all rounds.
fn start(folder: &Path) -> Server {
    let mut setup = Setup::with_buckets(&[BUCKET]);
    setup.args.extend(["--anonymous".into(), "read-write".into()]);
    setup.data_dir = Some(folder.to_path_buf());
    Server::start(&setup)
}

/// Lets the writers write until `acknowledgements` have come, then kills the server under them.
fn write_until_killed(server: &mut Server, writers: &mut [Writer], acknowledgements: u64) {
    let address = server.address();
    let (bell, rung) = mpsc::channel();
    std::thread::scope(|scope| {
        for writer in writers {
            let (bell, connection) = (bell.clone(), Connection::open(address));
            scope.spawn(move || writer.write_until_cut_off(connection, &bell));
        }
        drop(bell);
        let heard = rung.iter().take(usize::try_from(acknowledgements).unwrap_or(usize::MAX)).count();
        assert_eq!(
            u64::try_from(heard),
            Ok(acknowledgements),
            "writers stopped before the server was killed"
        );
        server.kill();
    });
}

/// What `understudy fsck` finds in the folder, which no server has open: the kinds of its findings.
fn fsck(folder: &Path) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
    server::forget_environment(&mut command);
    let output = command.args(["fsck", "--json"]).env("UNDERSTUDY_DATA_DIR", folder).output();
    let output = output.expect("fsck can be started");
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let findings = report["findings"].as_array().unwrap_or_else(|| panic!("no findings in {report}"));
    let kinds: Vec<_> = findings.iter().map(|finding| finding["finding"].to_string()).collect();
    assert_eq!(output.status.success(), kinds.is_empty(), "{output:?}");
    assert!(kinds.iter().all(|kind| kind == ORPHAN), "{report:#}");
    kinds
}

/// Starts a server on what a crash has left, compares everything, and stops it; then `fsck` is
/// clean. Files without a row are no damage, and swept in the background while it runs.
fn recover(folder: &Path, writers: &mut [Writer], round: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut server = start(folder);
        let present = verify(server.address(), writers, &format!("round {round}"));
        assert!(round == 0 || present > 0, "round {round}: every object is gone");
        verify_listing(server.address(), writers, &format!("round {round}"));
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0), "round {round}");
        if fsck(folder).is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "round {round}: files without a row are not swept");
    }
}

#[test]
fn no_acknowledged_object_is_lost_or_torn_in_twenty_crashes() {
    let temporary = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = temporary.path().join("data");
    let mut writers: Vec<_> = (0..WRITERS).map(Writer::new).collect();
    let mut dice = Dice::new(2026);
    recover(&folder, &mut writers, 0);
    for round in 1..=ROUNDS {
        let mut server = start(&folder);
        // Early kills meet the first writes after a start, late ones a sweep and a checkpoint.
        write_until_killed(&mut server, &mut writers, 20 + dice.below(250));
        drop(server);
        fsck(&folder);
        recover(&folder, &mut writers, round);
    }
}
