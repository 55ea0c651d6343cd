//! Blobs whose file is gone, too short, replaced or flipped: no answer says that all is well.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::http::{Connection, exchange, get};
use super::server::{PATIENCE, Server, Setup};

const SIZE: usize = 300_000;

fn start(verify_reads: &str) -> Server {
    let mut setup = Setup::with_buckets(&["stage"]);
    setup.args.extend(["--anonymous".into(), "read-write".into()]);
    setup.environment.push(("UNDERSTUDY_VERIFY_READS", verify_reads.into()));
    setup.config = Some("[[archive]]\npath = \"/pub/\"\nbuckets = [\"stage\"]\n".to_owned());
    Server::start(&setup)
}

fn put(server: &Server, key: &str, body: &[u8]) {
    let answer =
        exchange(server.address(), &format!("PUT /stage/{key} HTTP/1.1\r\n"), body).expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// The files of all blobs.
fn blobs(data_dir: &Path) -> Vec<PathBuf> {
    let below = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    };
    below(&data_dir.join("blobs")).iter().flat_map(|shelf| below(shelf)).collect()
}

/// The one blob that an object made.
fn blob_of(server: &Server, key: &str, body: &[u8]) -> PathBuf {
    let before = blobs(server.data_dir());
    put(server, key, body);
    let mut new: Vec<_> =
        blobs(server.data_dir()).into_iter().filter(|path| !before.contains(path)).collect();
    assert_eq!(new.len(), 1, "{new:?}");
    new.remove(0)
}

/// The ways in which a file can be lost.
type Loss = (&'static str, fn(&Path));

const LOSSES: [Loss; 3] = [
    ("gone", |path| fs::remove_file(path).expect("removed")),
    ("cut", |path| {
        File::options().write(true).open(path).and_then(|file| file.set_len(1000)).expect("cut");
    }),
    ("a pipe", |path| {
        fs::remove_file(path).expect("removed");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let made = rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0);
        made.expect("a pipe can be made");
    }),
];

#[test]
fn an_object_whose_file_is_lost_is_a_failure_before_the_head_on_every_face() {
    let server = start("off");
    for (index, (loss, lose)) in LOSSES.into_iter().enumerate() {
        let key = format!("pub/lost{index}");
        lose(&blob_of(&server, &key, &vec![b'x'; SIZE]));
        let escaped = key.replace('/', "%2F");
        let copy = format!("PUT /stage/copy{index} HTTP/1.1\r\nx-amz-copy-source: /stage/{key}\r\n");
        let rewrite =
            format!("POST /storage/v1/b/stage/o/{escaped}/rewriteTo/b/stage/o/copy{index} HTTP/1.1\r\n");
        let compose = format!(
            "POST /storage/v1/b/stage/o/copy{index}/compose HTTP/1.1\r\nContent-Type: application/json\r\n"
        );
        let sources = format!("{{\"sourceObjects\":[{{\"name\":\"{key}\"}}]}}");
        for (head, body, status, code) in [
            (format!("GET /stage/{key} HTTP/1.1\r\n"), "", 500, "InternalError"),
            (format!("GET /stage/{key} HTTP/1.1\r\nRange: bytes=5-9\r\n"), "", 500, "InternalError"),
            (format!("HEAD /stage/{key} HTTP/1.1\r\n"), "", 500, ""),
            (copy, "", 500, "InternalError"),
            (format!("GET /storage/v1/b/stage/o/{escaped}?alt=media HTTP/1.1\r\n"), "", 503, "backendError"),
            (format!("GET /storage/v1/b/stage/o/{escaped} HTTP/1.1\r\n"), "", 503, "backendError"),
            (rewrite, "", 503, "backendError"),
            (compose, &sources, 503, "backendError"),
            (format!("GET /{key} HTTP/1.1\r\n"), "", 500, "The store failed"),
            (format!("HEAD /{key} HTTP/1.1\r\n"), "", 500, ""),
        ] {
            let answer = exchange(server.address(), &head, body.as_bytes()).expect("an answer");
            assert_eq!(answer.status, status, "{loss}: {head}{answer:?}");
            assert!(answer.text().contains(code), "{loss}: {head}{answer:?}");
            let paths = server.data_dir().to_string_lossy().into_owned();
            assert!(!answer.text().contains(&paths), "a path was told: {answer:?}");
        }
        let missing = get(server.address(), &format!("/stage/copy{index}"));
        assert_eq!(missing.status, 404, "{loss}: nothing was copied");
    }
    let health = get(server.address(), "/__heartbeat__");
    assert!(health.text().contains("\"blobs\":\"warning\""), "{health:?}");
    let log = server.journal().text();
    assert!(log.contains("blobs/"), "the log names the file: {log}");
}

/// An object of parts of 5 MiB: its upload answers 200.
fn put_parts(server: &Server, key: &str, parts: usize) {
    let begun = exchange(server.address(), &format!("POST /stage/{key}?uploads HTTP/1.1\r\n"), b"")
        .expect("an answer");
    let id = begun.text();
    let id = id
        .split_once("<UploadId>")
        .and_then(|(_, rest)| rest.split_once("</UploadId>"))
        .expect("an id")
        .0
        .to_owned();
    let mut document = "<CompleteMultipartUpload>".to_owned();
    for number in 1..=parts {
        let head = format!("PUT /stage/{key}?partNumber={number}&uploadId={id} HTTP/1.1\r\n");
        let answer = exchange(server.address(), &head, &vec![b'x'; 5 << 20]).expect("an answer");
        let etag = answer.header("etag").expect("a tag").replace('"', "&quot;");
        document.extend([
            "<Part><PartNumber>",
            &number.to_string(),
            "</PartNumber><ETag>",
            &etag,
            "</ETag></Part>",
        ]);
    }
    document += "</CompleteMultipartUpload>";
    let head = format!("POST /stage/{key}?uploadId={id} HTTP/1.1\r\n");
    let answer = exchange(server.address(), &head, document.as_bytes()).expect("an answer");
    assert!(answer.status == 200 && answer.text().contains("ETag"), "{answer:?}");
}

#[test]
fn a_lost_file_of_a_later_part_is_found_before_the_head() {
    let server = start("off");
    put_parts(&server, "parts", 3);
    let whole = exchange(server.address(), "HEAD /stage/parts HTTP/1.1\r\n", b"").expect("an answer");
    assert_eq!(whole.status, 200, "{whole:?}");
    let mut newest = blobs(server.data_dir());
    newest.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    fs::remove_file(newest.last().expect("three")).expect("removed");
    for (head, status) in [
        ("GET /stage/parts HTTP/1.1\r\n", 500),
        ("HEAD /stage/parts HTTP/1.1\r\n", 500),
        ("PUT /stage/copy HTTP/1.1\r\nx-amz-copy-source: /stage/parts\r\n", 500),
        // What is not asked for is not looked for.
        ("GET /stage/parts HTTP/1.1\r\nRange: bytes=0-99\r\n", 206),
    ] {
        let answer = exchange(server.address(), head, b"").expect("an answer");
        assert_eq!(answer.status, status, "{head}{answer:?}");
    }
}

#[test]
fn a_body_that_breaks_off_ends_the_connection() {
    let server = start("off");
    put_parts(&server, "parts", 12);
    let mut newest = blobs(server.data_dir());
    newest.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    let request = format!("GET /stage/parts HTTP/1.1\r\nHost: {}\r\n\r\n", server.address());
    stream.write_all(request.as_bytes()).expect("sent");
    let mut first = [0; 12];
    stream.read_exact(&mut first).expect("a head");
    assert_eq!(&first, b"HTTP/1.1 200");
    // 60 MiB do not fit into the sockets: the last file is not open yet.
    fs::remove_file(newest.last().expect("twelve")).expect("removed");
    let mut rest = Vec::new();
    // Ended or reset: either tells the client that this is not all.
    drop(stream.read_to_end(&mut rest));
    assert!(rest.len() < 12 * (5 << 20), "{} bytes", rest.len());
}

#[test]
fn a_flipped_bit_is_found_by_a_verified_read_which_lacks_its_last_bytes() {
    let server = start("all");
    let body: Vec<u8> = (0..SIZE).map(|at| u8::try_from(at % 251).expect("small")).collect();
    let blob = blob_of(&server, "flipped", &body);
    assert!(get(server.address(), "/stage/flipped").body == body);
    File::options().write(true).open(&blob).and_then(|file| file.write_all_at(&[255], 10)).expect("flipped");
    let mut connection = Connection::open(server.address());
    let request = format!("GET /stage/flipped HTTP/1.1\r\nHost: {}\r\n\r\n", server.address());
    connection.send(request.as_bytes()).expect("sent");
    let head = connection.head().expect("a head");
    assert_eq!(head.status, 200);
    let mut bytes = vec![0; SIZE];
    connection.read_exact(&mut bytes).expect_err("the last bytes are held back");
    let part = exchange(server.address(), "GET /stage/flipped HTTP/1.1\r\nRange: bytes=0-99\r\n", b"")
        .expect("an answer");
    assert_eq!(part.status, 206, "what is not read whole is not compared: {part:?}");

    let health = get(server.address(), "/__heartbeat__");
    assert!(health.text().contains("\"blobs\":\"warning\""), "{health:?}");
    assert!(server.journal().text().contains("has other bytes than were written"), "it is logged");
}
