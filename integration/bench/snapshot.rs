//! Snapshots of a stage in use: how long taking one and going back take, what writers notice of it, and
//! what it costs on disk.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::http::{Answer, Connection};
use super::server::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use super::{BUCKET, large, memory_mib, say, serve, start};

/// The size of the objects that are many, and of those that are written meanwhile.
const SMALL_BYTES: usize = 1024;
/// The large ones: copies of one, as candidates and releases are. Together they have 20 GiB.
const LARGE_BYTES: u64 = 256 << 20;
const LARGE: u64 = 80;
/// Rounds of taking and going back.
const ROUNDS: usize = 5;

/// Fills a stage and measures.
pub(crate) fn measure(objects: u64) {
    let temporary = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = temporary.path().join("data");
    let server = serve(&folder);
    let address = server.address();
    start::fill(address, objects.saturating_sub(LARGE), SMALL_BYTES);
    large::put(address, "large/0", LARGE_BYTES);
    for number in 1..LARGE {
        let head = format!(
            "PUT /{BUCKET}/large/{number} HTTP/1.1\r\nHost: stage\r\nContent-Length: 0\r\n\
             x-amz-copy-source: /{BUCKET}/large/0\r\n\r\n"
        );
        succeed(&head, address);
    }
    report_disk("filled", &folder);
    let (_, quiet) = while_writing(address, || std::thread::sleep(Duration::from_secs(2)));
    say(&format!("1 KiB PUTs one by one, nothing else: {quiet}"));
    for round in 0..ROUNDS {
        let name = format!("round-{round}");
        let (took, put) =
            while_writing(address, || admin(address, "POST", "", &format!("{{\"name\":\"{name}\"}}")));
        say(&format!("create {:>6.0} ms, meanwhile {put}", took.as_secs_f64() * 1000.0));
        let (took, put) = while_writing(address, || admin(address, "POST", &format!("/{name}/restore"), ""));
        say(&format!("restore {:>5.0} ms, meanwhile {put}", took.as_secs_f64() * 1000.0));
    }
    report_disk(&format!("with {ROUNDS} snapshots"), &folder);
    start::fill(address, objects.saturating_sub(LARGE), SMALL_BYTES / 2);
    report_disk("and every small object overwritten", &folder);
    let (took, put) = while_writing(address, || admin(address, "POST", "/round-0/restore", ""));
    say(&format!(
        "restore of all that was overwritten {:.0} ms, meanwhile {put}",
        took.as_secs_f64() * 1000.0
    ));
    say(&format!(
        "resident {:.1} MiB, peak {:.1} MiB",
        memory_mib(&server, "VmRSS"),
        memory_mib(&server, "VmHWM")
    ));
}

/// How long each of some PUTs took.
struct Pauses(Vec<Duration>);

impl std::fmt::Display for Pauses {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let milliseconds = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
        let longest = milliseconds(self.0.last());
        let middle = milliseconds(self.0.get(self.0.len() / 2));
        write!(formatter, "{} PUTs, the middle one {middle:.1} ms, the longest {longest:.1} ms", self.0.len())
    }
}

/// Does something while 1 KiB objects are written; says how long it took, and how long each of them.
fn while_writing(address: SocketAddr, work: impl FnOnce()) -> (Duration, Pauses) {
    let (running, done) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut connection = Connection::open(address);
            let mut times = Vec::new();
            let mut number = 0_u64;
            while !done.load(Ordering::Acquire) {
                let mut request = format!(
                    "PUT /{BUCKET}/meanwhile/{number} HTTP/1.1\r\nHost: stage\r\nContent-Length: {SMALL_BYTES}\r\n\r\n"
                );
                write!(request, "{number:0SMALL_BYTES$}").expect("in memory");
                let started = Instant::now();
                connection.send(request.as_bytes()).expect("the server reads");
                let answer = connection.answer(true).expect("an answer");
                times.push(started.elapsed());
                assert_eq!(answer.status, 200, "{answer:?}");
                running.store(true, Ordering::Release);
                number += 1;
            }
            times.sort_unstable();
            Pauses(times)
        });
        while !running.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        let started = Instant::now();
        work();
        let took = started.elapsed();
        done.store(true, Ordering::Release);
        (took, writer.join().expect("every PUT succeeds"))
    })
}

/// Asks the admin API about snapshots.
fn admin(address: SocketAddr, method: &str, path: &str, body: &str) {
    ask_admin(address, method, &format!("/api/v1/snapshots{path}"), body);
}

/// Asks for what is below the admin's door.
pub(crate) fn ask_admin(address: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    let credentials = BASE64_STANDARD.encode(format!("{ACCESS_KEY_ID}:{SECRET_ACCESS_KEY}"));
    let length = body.len();
    succeed(
        &format!(
            "{method} /-{path} HTTP/1.1\r\nHost: stage\r\nAuthorization: Basic {credentials}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ),
        address,
    )
}

fn succeed(request: &str, address: SocketAddr) -> Answer {
    let mut connection = Connection::open(address);
    connection.send(request.as_bytes()).expect("the server reads");
    let answer = connection.answer(true).expect("an answer");
    assert!((200..300).contains(&answer.status), "{answer:?}");
    answer
}

fn report_disk(when: &str, folder: &Path) {
    let mib = |bytes: u64| bytes >> 20;
    say(&format!(
        "{when}: on disk {} MiB of blobs, {} MiB of snapshots, {} MiB in all",
        mib(disk_bytes(&folder.join("blobs"))),
        mib(disk_bytes(&folder.join("snapshots"))),
        mib(disk_bytes(folder))
    ));
}

/// What a folder takes on disk; nothing if it is not there.
fn disk_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |path: &Path| match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => disk_bytes(path),
        Ok(found) => found.blocks() * 512,
        // Removed meanwhile.
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(|entry| size(&entry.path())).sum()
}
