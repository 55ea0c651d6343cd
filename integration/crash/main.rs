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
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Instant;

use rustix::process::Signal;

use self::content::{Content, Dice};
use self::http::Connection;
use self::server::{PATIENCE, Server, Setup};
use self::writer::{Held, Writer};

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
            let bell = bell.clone();
            scope.spawn(move || writer.write_until_cut_off(address, &bell));
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

/// Reads every key and compares it with what it may hold; then nothing is in doubt any more.
fn verify(server: &Server, writers: &mut [Writer], round: u64) -> usize {
    let mut connection = Connection::open(server.address());
    let mut present = 0;
    for (key, held) in writers.iter_mut().flat_map(Writer::keys) {
        let request = format!("GET /{BUCKET}/{key} HTTP/1.1\r\nHost: stage\r\n\r\n");
        connection.send(request.as_bytes()).expect("the server reads");
        let answer = connection.answer(true).expect("an answer");
        let fits = |state: &Option<Content>| match (answer.status, state) {
            (404, None) => true,
            (200, Some(content)) => {
                answer.body == content.bytes() && answer.header("etag") == Some(&content.etag())
            }
            _ => false,
        };
        let states: Vec<_> = std::iter::once(&held.acknowledged).chain(&held.asked).collect();
        let Some(state) = states.iter().find(|state| fits(state)) else {
            let got = (answer.status, answer.body.len(), answer.header("etag"));
            panic!("round {round}: {key} is {got:?}, and may be one of {states:?}");
        };
        present += usize::from(state.is_some());
        *held = Held { acknowledged: (*state).clone(), asked: Vec::new() };
    }
    present
}

/// Compares the listing with what the writers hold, key by key.
fn verify_listing(server: &Server, writers: &mut [Writer], round: u64) {
    let answer = http::get(server.address(), &format!("/{BUCKET}?list-type=2"));
    let text = String::from_utf8_lossy(&answer.body);
    let element = |entry: &str, name: &str| -> Option<String> {
        let (_, rest) = entry.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.replace("&quot;", "\""))
    };
    let listed: BTreeMap<_, _> = text
        .split("<Contents>")
        .skip(1)
        .filter_map(|entry| {
            Some((element(entry, "Key")?, (element(entry, "Size")?, element(entry, "ETag")?)))
        })
        .collect();
    let held: BTreeMap<_, _> = writers
        .iter_mut()
        .flat_map(Writer::keys)
        .filter_map(|(key, held)| Some((key.clone(), held.acknowledged.as_ref()?)))
        .map(|(key, content)| (key, (content.size.to_string(), content.etag())))
        .collect();
    assert_eq!(listed, held, "round {round}");
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
        let present = verify(&server, writers, round);
        assert!(round == 0 || present > 0, "round {round}: every object is gone");
        verify_listing(&server, writers, round);
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
