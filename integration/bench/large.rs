//! One large object: up by a single PUT, up by parts, down in one stream and in four.

use std::net::SocketAddr;
use std::time::Instant;

use super::http::{Answer, Connection};
use super::{BUCKET, memory_mib, say, serve};

/// Bytes sent and compared at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// Bytes of a part.
const PART_BYTES: u64 = 128 << 20;
/// Streams at a time, for parts and for ranges.
const STREAMS: u64 = 4;

/// Moves an object of so many GiB and says how fast it went and how much memory it took.
pub(crate) fn measure(gib: u64) {
    let temporary = tempfile::tempdir().expect("a temporary folder can be made");
    let server = serve(&temporary.path().join("data"));
    let address = server.address();
    let size = gib << 30;
    let report = |what: &str, started: Instant| {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let rate = size as f64 / f64::from(1 << 20) / started.elapsed().as_secs_f64();
        let (now, peak) = (memory_mib(&server, "VmRSS"), memory_mib(&server, "VmHWM"));
        say(&format!("{what:<32} {rate:>7.0} MiB/s   resident {now:>5.1} MiB, peak so far {peak:>5.1} MiB"));
    };
    say(&format!("an object of {gib} GiB; resident before: {:.1} MiB", memory_mib(&server, "VmRSS")));

    let started = Instant::now();
    put(address, "single", size);
    report("up by a single PUT", started);
    let started = Instant::now();
    get(address, "single", 0, size);
    report("down in one stream", started);
    let started = Instant::now();
    put_in_parts(address, "parts", size);
    report("up by parts, four at a time", started);
    let started = Instant::now();
    let quarter = size / STREAMS;
    std::thread::scope(|scope| {
        for number in 0..STREAMS {
            scope.spawn(move || get(address, "parts", number * quarter, quarter));
        }
    });
    report("down in four ranges at a time", started);
}

/// The block that every object here repeats.
fn block() -> Vec<u8> {
    (0_u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).take(BLOCK_BYTES).collect()
}

/// Sends a request whose body is `size` bytes of blocks; gives back the answer, a success.
fn send(address: SocketAddr, line: &str, size: u64) -> Answer {
    let mut connection = Connection::open(address);
    let head = format!("{line} HTTP/1.1\r\nHost: stage\r\nContent-Length: {size}\r\n\r\n");
    connection.send(head.as_bytes()).expect("the server reads");
    let block = block();
    for _ in 0..size / (1 << 20) {
        connection.send(&block).expect("the server reads");
    }
    let answer = connection.answer(true).expect("an answer");
    assert_eq!(answer.status, 200, "{line}: {answer:?}");
    answer
}

/// Stores an object of so many bytes by one PUT.
pub(crate) fn put(address: SocketAddr, key: &str, size: u64) {
    send(address, &format!("PUT /{BUCKET}/{key}"), size);
}

fn put_in_parts(address: SocketAddr, key: &str, size: u64) {
    let answer = send(address, &format!("POST /{BUCKET}/{key}?uploads"), 0);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let id = text.split_once("<UploadId>").and_then(|(_, rest)| rest.split_once("</UploadId>"));
    let id = id.expect("an upload id").0;
    let count = size / PART_BYTES;
    let upload = |number: u64| {
        let line = format!("PUT /{BUCKET}/{key}?partNumber={number}&uploadId={id}");
        let answer = send(address, &line, PART_BYTES);
        let etag = answer.header("etag").expect("an ETag").to_owned();
        (number, format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"))
    };
    let mut parts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..STREAMS)
            .map(|first| {
                let numbers = (1..=count).skip(usize::try_from(first).expect("four")).step_by(4);
                scope.spawn(move || numbers.map(upload).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("every part went up")).collect()
    });
    parts.sort_unstable();
    let parts: Vec<_> = parts.into_iter().map(|(_, part)| part).collect();
    let body = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.concat());
    let mut connection = Connection::open(address);
    let length = body.len();
    let head = format!(
        "POST /{BUCKET}/{key}?uploadId={id} HTTP/1.1\r\nHost: stage\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    connection.send(head.as_bytes()).expect("the server reads");
    let answer = connection.answer(true).expect("an answer");
    assert!(answer.status == 200 && !String::from_utf8_lossy(&answer.body).contains("<Error>"), "{answer:?}");
}

/// Reads a range that starts and ends with a block, and compares it.
fn get(address: SocketAddr, key: &str, start: u64, size: u64) {
    let mut connection = Connection::open(address);
    let end = start + size - 1;
    let head = format!("GET /{BUCKET}/{key} HTTP/1.1\r\nHost: stage\r\nRange: bytes={start}-{end}\r\n\r\n");
    connection.send(head.as_bytes()).expect("the server reads");
    let answer = connection.head().expect("an answer");
    assert_eq!(
        (answer.status, answer.header("content-length")),
        (206, Some(&size.to_string()[..])),
        "{answer:?}"
    );
    let (wanted, mut got) = (block(), vec![0; BLOCK_BYTES]);
    for number in 0..size / (1 << 20) {
        connection.read_exact(&mut got).expect("a whole body");
        assert!(got == wanted, "block {number} of {key} from {start} is another");
    }
}
