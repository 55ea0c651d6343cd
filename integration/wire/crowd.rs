//! One client that opens many connections, or is slow on many: others are answered all the same, and
//! memory stays bounded. Nothing here asserts how quickly.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::BUCKET;
use super::http::{Connection, exchange, get};
use super::server::{PATIENCE, Server, Setup};
use super::sigv4::{EMPTY_SHA256, Signed};

const MIB: usize = 1 << 20;

/// Lets this process have the connections of these tests.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("the soft limit may be raised to the hard one");
}

/// A stage with these limits, and a small object.
fn stage(limits: &str) -> Server {
    raise_open_files();
    let mut setup = Setup::with_buckets(&[BUCKET]);
    setup.args.extend(["--anonymous".into(), "read-write".into()]);
    setup.config = Some(format!("[limits]\n{limits}"));
    let server = Server::start(&setup);
    put(&server, "small", b"hello");
    server
}

fn put(server: &Server, key: &str, body: &[u8]) {
    let head = format!("PUT /{BUCKET}/{key} HTTP/1.1\r\n");
    let answer = exchange(server.address(), &head, body).expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Others are answered.
fn answers_others(server: &Server) {
    for path in ["/__lbheartbeat__", "/__heartbeat__"] {
        let answer = get(server.address(), path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    let answer = get(server.address(), &format!("/{BUCKET}/small"));
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"), "{answer:?}");
}

/// Begins an upload of `announced` bytes and sends some.
fn begin_upload(server: &Server, number: usize, announced: usize, sent: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).expect("the server listens");
    stream.set_write_timeout(Some(PATIENCE)).expect("a time-out can be set");
    let head =
        format!("PUT /{BUCKET}/slow-{number} HTTP/1.1\r\nHost: a\r\nContent-Length: {announced}\r\n\r\n");
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent)).expect("the server reads");
    stream
}

/// Waits until `done`.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}

/// A number of the metrics.
fn metric(server: &Server, name: &str) -> u64 {
    let signed = Signed::new(server.address(), "GET", "/-/metrics", &[], EMPTY_SHA256);
    let text = exchange(server.address(), &signed.head, b"").expect("an answer").text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

#[test]
fn idle_connections_keep_nobody_waiting() {
    let server = stage("");
    let idle: Vec<_> =
        (0..1400).map(|_| TcpStream::connect(server.address()).expect("the server listens")).collect();
    answers_others(&server);
    assert!(metric(&server, "understudy_connections_shed_total") > 0, "some of {} went", idle.len());
}

#[test]
fn slow_uploads_keep_nobody_else_waiting() {
    let server = stage("");
    let slow: Vec<_> = (0..1024).map(|number| begin_upload(&server, number, MIB, b"x")).collect();
    // One more is the request that asks.
    wait_until("the uploads are under way", || {
        metric(&server, "understudy_connections_busy") > slow.len() as u64
    });
    answers_others(&server);
}

#[test]
fn slow_readers_keep_nobody_else_waiting() {
    let server = stage("connections = 64");
    put(&server, "large", &vec![b'x'; 32 * MIB]);
    let request = format!("GET /{BUCKET}/large HTTP/1.1\r\nHost: a\r\n\r\n");
    let slow: Vec<_> = (0..64)
        .map(|_| {
            let mut client = Connection::open(server.address());
            client.send(request.as_bytes()).expect("the server reads");
            assert_eq!(client.head().expect("a head").status, 200);
            client
        })
        .collect();
    answers_others(&server);
    let refused = get(server.address(), &format!("/{BUCKET}/large"));
    assert_eq!((refused.status, refused.code().as_str()), (503, "SlowDown"), "{refused:?}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    drop(slow);
}

/// A byte now and then is progress, so that only the rate ends it.
#[test]
fn an_upload_below_the_lowest_rate_is_ended() {
    let server = stage("slow_rate = \"1 MiB\"\nslow_grace = \"300ms\"");
    let mut stream = begin_upload(&server, 0, MIB, b"x");
    stream.set_read_timeout(Some(Duration::from_millis(10))).expect("a time-out can be set");
    let mut answer = Vec::new();
    wait_until("an answer", || {
        let mut piece = [0; 4096];
        match stream.read(&mut piece) {
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            // It may have hung up already: the answer is still to be read.
            Err(_) => drop(stream.write_all(b"x")),
        }
        answer.windows(7).any(|bytes| bytes == b"</Code>")
    });
    let text = String::from_utf8_lossy(&answer);
    assert!(text.contains("<Code>RequestTimeout</Code>"), "{text}");
    answers_others(&server);
}

#[test]
fn a_reader_below_the_lowest_rate_is_cut_off() {
    let server = stage("slow_rate = \"1 MiB\"\nslow_grace = \"300ms\"\nstall_timeout = \"1h\"");
    put(&server, "large", &vec![b'x'; 32 * MIB]);
    let mut client = Connection::open(server.address());
    client.send(format!("GET /{BUCKET}/large HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).expect("sent");
    assert_eq!(client.head().expect("a head").status, 200);
    let is_it = |line: &String| line.contains("\"large\"") && line.contains("\"aborted\":true");
    let noticed = server.journal().wait_for(|lines, _| lines.iter().any(is_it).then_some(()));
    assert!(noticed.is_some(), "the reader was cut off");
}

/// The bytes of all files below a folder.
fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
            Ok(kind) => kind.len(),
            Err(_) => 0,
        })
        .sum()
}

fn memory_peak_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells the peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn stalled_uploads_hold_next_to_no_memory() {
    const UPLOADS: usize = 900;
    let server = stage("");
    let sent = vec![b'x'; 700 << 10];
    let slow: Vec<_> = (0..UPLOADS).map(|number| begin_upload(&server, number, 2 * MIB, &sent)).collect();
    let staging = server.data_dir().join("staging");
    // Each may keep a small piece.
    let in_files = UPLOADS * (sent.len() - (16 << 10));
    wait_until("next to everything is in files", || bytes_below(&staging) >= in_files as u64);
    let peak = memory_peak_kib(&server);
    assert!(peak < 128 << 10, "{} stalled uploads took {peak} KiB", slow.len());
    answers_others(&server);
}

/// Small enough to be kept in memory until they are whole, if they came in time.
#[test]
fn small_uploads_that_stall_go_to_files() {
    let server = stage("");
    let sent = vec![b'x'; 60 << 10];
    let mut slow: Vec<_> = (0..4).map(|number| begin_upload(&server, number, 64 << 10, &sent)).collect();
    let staging = server.data_dir().join("staging");
    wait_until("everything is in files", || bytes_below(&staging) >= (slow.len() * sent.len()) as u64);
    for stream in &mut slow {
        stream.write_all(&[b'y'; 4 << 10]).expect("the server reads");
    }
    wait_until("all are stored", || {
        (0..slow.len()).all(|number| {
            let found = get(server.address(), &format!("/{BUCKET}/slow-{number}"));
            found.status == 200 && found.body == [vec![b'x'; 60 << 10], vec![b'y'; 4 << 10]].concat()
        })
    });
    super::serves_on(&server, "small uploads that stalled");
}
