//! What others notice of one client's largest requests: how long a small GET and a health check take beside
//! each of them, and how long the store's one writer was held.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use md5::{Digest as _, Md5};

use super::http::{Answer, Connection};
use super::snapshot::ask_admin;
use super::{BUCKET, say, serve, start};

/// S3's least part, also of those that are copies.
const PART_BYTES: u64 = 5 << 20;
/// Of so many pieces are the objects that are composed, the most that one request may name.
const PIECES: u64 = 32;
/// Connections that prepare at once.
const STREAMS: u64 = 8;
/// Objects that are listed with a pattern.
const LISTED: u64 = 20_000;
/// How long others are watched after an answer: what it left behind is swept meanwhile.
const AFTER: Duration = Duration::from_secs(3);

/// Makes the largest requests that there are, one kind after the other.
pub(crate) fn measure(parts: u64) {
    let temporary = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = temporary.path().join("data");
    let server = serve(&folder);
    let address = server.address();
    start::fill(address, LISTED, 100);
    put(address, "small", b"small");
    put(address, "five", &vec![7; usize::try_from(PART_BYTES).expect("a few MiB")]);
    put(address, "piece", &vec![7; usize::try_from(PART_BYTES / PIECES).expect("a few KiB")]);
    compose(address, "piece", "thirty-two");
    let plain = upload(address, "plain", "five", parts);
    let pieces = upload(address, "pieces", "thirty-two", parts);
    let aborted = upload(address, "aborted", "five", parts);
    drop(server);
    say(&format!(
        "{:<44} {:>9} {:>24} {:>24}   longest hold",
        "", "took", "GET p50/p99/max", "health p50/p99/max"
    ));
    let attack = |name: &str, work: &(dyn Fn(SocketAddr) + Sync)| beside(&folder, name, work);
    attack("nothing else", &|_| std::thread::sleep(Duration::from_secs(2)));
    attack(&format!("complete of {parts} parts"), &|address| complete(address, "plain", &plain));
    attack(&format!("complete of {parts} parts of {PIECES} pieces"), &|address| {
        complete(address, "pieces", &pieces);
    });
    attack("abort of as many parts", &|address| {
        succeed(address, &format!("DELETE /{BUCKET}/aborted?uploadId={}", aborted.0), b"");
    });
    attack("a part that is a copy of all of that", &|address| {
        let begun = begin(address, "again");
        copy_part(&mut Connection::open(address), "again", "pieces", 1, &begun);
    });
    attack("copies of it, 64 in a row", &|address| {
        for number in 0..64 {
            succeed_with(address, &format!("PUT /{BUCKET}/copy/{number}"), &copied_from("pieces"), b"");
        }
    });
    attack("compose upon compose, five levels", &|address| {
        put(address, "level-0", b"x");
        for level in 0..5 {
            compose(address, &format!("level-{level}"), &format!("level-{}", level + 1));
        }
    });
    attack("deletes of all that, and of 1,000 keys", &|address| {
        let levels = (0..6).map(|level| format!("level-{level}"));
        let copies = (0..64).map(|number| format!("copy/{number}"));
        delete(address, levels.chain(copies).chain(["plain", "pieces"].map(str::to_owned)));
        delete(
            address,
            (0..1000).map(|number| format!("pub/firefox/candidates/00001/{number:03}.checksums")),
        );
    });
    for clients in [2, 8] {
        attack(&format!("{clients} listings by a pattern"), &|address| {
            std::thread::scope(|scope| {
                for _ in 0..clients {
                    scope.spawn(move || {
                        let pattern = "**e**e**e**e**e**e**e**e**e**zzz";
                        let target = format!("/storage/v1/b/{BUCKET}/o?matchGlob={pattern}");
                        let mut connection = Connection::open(address);
                        let head = format!("GET {target} HTTP/1.1\r\nHost: stage\r\n\r\n");
                        connection.send(head.as_bytes()).expect("the server reads");
                        // A pattern that is refused costs nobody anything.
                        connection.answer(true).expect("an answer");
                    });
                }
            });
        });
    }
}

/// Does something while small requests go on, and says what they noticed.
fn beside(folder: &Path, name: &str, work: &(dyn Fn(SocketAddr) + Sync)) {
    // The longest hold is that since the start.
    let server = serve(folder);
    let address = server.address();
    let done = AtomicBool::new(false);
    let (took, gets, checks) = std::thread::scope(|scope| {
        let gets = scope.spawn(|| repeat(address, &format!("/{BUCKET}/small"), &done));
        let checks = scope.spawn(|| repeat(address, "/__heartbeat__", &done));
        let started = Instant::now();
        work(address);
        let took = started.elapsed();
        std::thread::sleep(AFTER);
        done.store(true, Ordering::Release);
        (took, gets.join().expect("every GET succeeds"), checks.join().expect("every check succeeds"))
    });
    say(&format!("{name:<44} {:>6.0} ms {gets:>24} {checks:>24}   {}", milliseconds(took), longest(address)));
}

/// Asks for the same again and again; says how long it took: the middle, the worst of a hundred, the worst.
fn repeat(address: SocketAddr, target: &str, done: &AtomicBool) -> String {
    let mut connection = Connection::open(address);
    let mut times = Vec::new();
    while !done.load(Ordering::Acquire) {
        let started = Instant::now();
        let head = format!("GET {target} HTTP/1.1\r\nHost: stage\r\n\r\n");
        connection.send(head.as_bytes()).expect("the server reads");
        let answer = connection.answer(true).expect("an answer");
        times.push(started.elapsed());
        assert_eq!(answer.status, 200, "{answer:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    times.sort_unstable();
    let at = |percent: usize| milliseconds(times[(times.len() - 1) * percent / 100]);
    format!("{:.1}/{:.1}/{:.1} ms", at(50), at(99), at(100))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The longest transaction, and the longest of what is no end of one.
fn longest(address: SocketAddr) -> String {
    let text = ask_admin(address, "GET", "/metrics", "").text();
    let held = text.lines().filter_map(|line| {
        let line = line.strip_prefix("understudy_writer_longest_hold_seconds{by=\"")?;
        let (by, seconds) = line.split_once("\"} ")?;
        Some((by, seconds.parse::<f64>().ok()? * 1000.0))
    });
    let held: Vec<_> = held.collect();
    let of = |name: &str| held.iter().find(|(by, _)| *by == name).map_or(0.0, |(_, held)| *held);
    let jobs = held.iter().filter(|(by, _)| !["transaction", "commit", "checkpoint"].contains(by));
    let job = jobs.max_by(|one, other| one.1.total_cmp(&other.1));
    let job = job.map(|(by, held)| format!("{by} {held:.1} ms")).unwrap_or_default();
    format!(
        "{:.1} ms (commit {:.1}, checkpoint {:.1}; {job})",
        of("transaction"),
        of("commit"),
        of("checkpoint")
    )
}

fn succeed(address: SocketAddr, line: &str, body: &[u8]) -> Answer {
    succeed_with(address, line, "", body)
}

fn succeed_with(address: SocketAddr, line: &str, headers: &str, body: &[u8]) -> Answer {
    let mut connection = Connection::open(address);
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nHost: stage\r\n{headers}Content-Length: {length}\r\n\r\n");
    connection.send(&[head.as_bytes(), body].concat()).expect("the server reads");
    let answer = connection.answer(true).expect("an answer");
    let succeeded = (200..300).contains(&answer.status) && !answer.text().contains("<Error>");
    assert!(succeeded, "{line}: {} {}", answer.status, answer.text());
    answer
}

fn put(address: SocketAddr, key: &str, body: &[u8]) {
    succeed(address, &format!("PUT /{BUCKET}/{key}"), body);
}

fn copied_from(key: &str) -> String {
    format!("x-amz-copy-source: /{BUCKET}/{key}\r\n")
}

/// Makes an object of another one as often as one request may name it.
fn compose(address: SocketAddr, from: &str, to: &str) {
    let sources: Vec<_> = (0..PIECES).map(|_| format!("{{\"name\":\"{from}\"}}")).collect();
    let body = format!("{{\"sourceObjects\":[{}]}}", sources.join(","));
    let line = format!("POST /storage/v1/b/{BUCKET}/o/{to}/compose");
    succeed_with(address, &line, "Content-Type: application/json\r\n", body.as_bytes());
}

fn begin(address: SocketAddr, key: &str) -> String {
    let answer = succeed(address, &format!("POST /{BUCKET}/{key}?uploads"), b"").text();
    let id = answer.split_once("<UploadId>").and_then(|(_, rest)| rest.split_once("</UploadId>"));
    id.expect("an upload id").0.to_owned()
}

/// Makes a part of a whole object; gives the tag of the part.
fn copy_part(connection: &mut Connection, key: &str, from: &str, number: u64, id: &str) -> String {
    let head = format!(
        "PUT /{BUCKET}/{key}?partNumber={number}&uploadId={id} HTTP/1.1\r\nHost: stage\r\n{}\
         Content-Length: 0\r\n\r\n",
        copied_from(from)
    );
    connection.send(head.as_bytes()).expect("the server reads");
    let answer = connection.answer(true).expect("an answer").text();
    let tag = answer.split_once("<ETag>").and_then(|(_, rest)| rest.split_once("</ETag>"));
    tag.unwrap_or_else(|| panic!("no tag: {answer}")).0.to_owned()
}

/// An upload whose parts are copies of an object: its id, and the list that completes it.
fn upload(address: SocketAddr, key: &str, from: &str, parts: u64) -> (String, String) {
    let id = begin(address, key);
    let copy = |first: u64| {
        let mut connection = Connection::open(address);
        let numbers = (1..=parts).filter(|number| number % STREAMS == first);
        let part = |number| (number, copy_part(&mut connection, key, from, number, &id));
        numbers.map(part).collect::<Vec<_>>()
    };
    let mut listed: Vec<_> = std::thread::scope(|scope| {
        let copy = &copy;
        let threads: Vec<_> = (0..STREAMS).map(|first| scope.spawn(move || copy(first))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("every part is copied")).collect()
    });
    listed.sort_unstable();
    let listed = listed.into_iter();
    let listed = listed
        .map(|(number, tag)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"));
    let listed: Vec<_> = listed.collect();
    let body = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", listed.concat());
    (id, body)
}

fn complete(address: SocketAddr, key: &str, (id, body): &(String, String)) {
    succeed(address, &format!("POST /{BUCKET}/{key}?uploadId={id}"), body.as_bytes());
}

fn delete(address: SocketAddr, keys: impl Iterator<Item = String>) {
    let keys: Vec<_> = keys.map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
    let body = format!("<Delete><Quiet>true</Quiet>{}</Delete>", keys.concat());
    let md5 = BASE64_STANDARD.encode(Md5::digest(body.as_bytes()));
    succeed_with(
        address,
        &format!("POST /{BUCKET}?delete"),
        &format!("Content-MD5: {md5}\r\n"),
        body.as_bytes(),
    );
}
