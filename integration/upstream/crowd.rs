//! Two hundred clients at once for one large file that only production has, and a kill in the middle.

use std::path::Path;
use std::sync::mpsc::{Sender, channel};

use super::hostile::{File, Gate, Hostile, Trick};
use super::http::Connection;
use super::proxy::memory_peak_kib;
use super::server::{PATIENCE, Server};
use super::stage::{content, get, path, setup, stage, succeed, to};

const CLIENTS: usize = 200;
const SIZE: usize = 64 << 20;
/// What the server may have held at most.
const MEMORY_MAX_KIB: u64 = 96 * 1024;
const KEY: &str = "pub/firefox/releases/82.0/win64/de/firefox-82.0.complete.mar";

/// Reads the whole file along, and compares every byte. Rings once the first bytes have come.
fn read_along(server: &Server, bytes: &[u8], bell: &Sender<()>) {
    let mut client = Connection::open(server.address());
    let request = format!("GET {} HTTP/1.1\r\nHost: stage\r\n\r\n", path(KEY));
    client.send(request.as_bytes()).expect("the server reads");
    let head = client.head().expect("a head");
    assert_eq!((head.status, head.header("content-length")), (200, Some(&*SIZE.to_string())), "{head:?}");
    let mut piece = vec![0; 256 * 1024];
    for (number, wanted) in bytes.chunks(piece.len()).enumerate() {
        client.read_exact(&mut piece[..wanted.len()]).expect("a whole body");
        assert!(piece[..wanted.len()] == *wanted, "another's bytes in piece {number}");
        if number == 0 {
            bell.send(()).expect("the test counts");
        }
    }
}

/// Every client has bytes of the file before half of it has come: all of them follow one fetch.
#[test]
fn two_hundred_cold_readers_make_one_fetch_in_bounded_memory() {
    let bytes = content(200, SIZE);
    let upstream = Hostile::start();
    upstream.put(KEY, File::new(bytes.clone()));
    let gate = Gate::default();
    upstream.always(KEY, Trick::HoldAfter(SIZE / 2, gate.clone()));
    let server = stage(&to(&upstream, "cache"));
    std::thread::scope(|scope| {
        let (bell, rung) = channel();
        for _ in 0..CLIENTS {
            let (bell, server, bytes) = (bell.clone(), &server, &bytes);
            scope.spawn(move || read_along(server, bytes, &bell));
        }
        let reading = (0..CLIENTS).take_while(|_| rung.recv_timeout(PATIENCE).is_ok()).count();
        gate.open();
        assert_eq!(reading, CLIENTS, "clients that read before half of the file has come");
    });
    assert_eq!(upstream.take_lines(), [format!("GET {KEY}")], "what production was asked");
    let peak = memory_peak_kib(&server);
    assert!(peak < MEMORY_MAX_KIB, "the server held {peak} KiB");
    upstream.go_down();
    assert!(get(&server, KEY).body == bytes, "what was kept");
}

/// The names of the files below a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path()),
            _ => vec![entry.path().display().to_string()],
        })
        .collect()
}

#[test]
fn a_kill_in_the_middle_of_a_fetch_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    let bytes = content(201, SIZE);
    let upstream = Hostile::start();
    upstream.put(KEY, File::new(bytes.clone()));
    let gate = Gate::default();
    upstream.next(KEY, [Trick::HoldAfter(SIZE / 2, gate.clone())]);
    let rules = to(&upstream, "cache");
    let mut server = Server::start(&setup(&rules, "[upstream]\nretries = 0", Some(&data)));
    let mut client = Connection::open(server.address());
    client.send(format!("GET {} HTTP/1.1\r\nHost: stage\r\n\r\n", path(KEY)).as_bytes()).expect("sent");
    client.head().expect("a head");
    for wanted in bytes[..SIZE / 2].chunks(SIZE / 16).take(7) {
        let mut piece = vec![0; wanted.len()];
        client.read_exact(&mut piece).expect("the first half");
        assert!(piece == wanted);
    }
    assert!(!files(&data).is_empty(), "the fetch is on its way to a file");
    server.kill();
    gate.open();
    assert!(client.read_exact(&mut vec![0; SIZE]).is_err(), "a whole body from a server that was killed");

    // A start sweeps what the kill left; a stop lets the folder be looked at.
    upstream.go_down();
    let mut server = Server::start(&setup(&rules, "[upstream]\nretries = 0", Some(&data)));
    assert_eq!(get(&server, KEY).status, 502, "nothing of it may be here");
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let data_dir = data.to_str().expect("temporary folders have names of plain text");
    let report = succeed(&["fsck", "--json", "--data-dir", data_dir]);
    let report: serde_json::Value = serde_json::from_str(&report).expect("a report");
    assert_eq!(report["findings"], serde_json::json!([]), "{report:#}");
    assert_eq!(files(&data.join("staging")), Vec::<String>::new(), "staging");
    assert_eq!(files(&data.join("blobs")), Vec::<String>::new(), "blobs");

    upstream.come_back();
    upstream.take_seen();
    let server = Server::start(&setup(&rules, "", Some(&data)));
    assert!(get(&server, KEY).body == bytes, "a new fetch");
    upstream.go_down();
    assert!(get(&server, KEY).body == bytes, "what was kept");
    assert_eq!(upstream.take_lines(), [format!("GET {KEY}")]);
}
