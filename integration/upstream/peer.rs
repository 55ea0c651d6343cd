//! Upstreams that are real S3 servers: moto, which is not ours, and another stage, which verifies
//! every signature.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};

use super::http::{Answer, exchange};
use super::pages::{Ask, Dialect, all};
use super::python;
use super::server::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Server, Setup};
use super::sigv4::Signed;
use super::stage::{
    Face, PRODUCTION, content, delete, get, path, put, read, read_with, rule, send, stage, stage_with,
};

/// moto's own process; it ends with its standard input.
struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Moto {
    fn start() -> Self {
        let mut command = python::started("moto_server.py");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("python can be started");
        let output = child.stdout.take().expect("standard output is piped");
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        // Before its address it may tell that it starts.
        let address = lines.into_iter().find_map(|line| line.trim().parse().ok());
        let address = address.expect("moto prints its address");
        let moto = Self { child, address };
        moto.put("", b"");
        moto
    }

    /// Writes a key of its bucket; without one, makes the bucket.
    fn put(&self, key: &str, body: &[u8]) {
        let answer = put_signed(self.address, key, body);
        assert_eq!(answer.status, 200, "PUT {key} at moto: {answer:?}");
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Writes with the harness's credential.
fn put_signed(address: SocketAddr, key: &str, body: &[u8]) -> Answer {
    let target = path(key).replacen("/stage/", &format!("/{PRODUCTION}/"), 1);
    let target = if key.is_empty() { format!("/{PRODUCTION}") } else { target };
    let kind = [("content-type", "application/x-mar")];
    let head = Signed::new(address, "PUT", &target, &kind, "UNSIGNED-PAYLOAD").head;
    exchange(address, &head, body).expect("an answer to a PUT")
}

/// A rule for everything: the bucket there, with this key pair or none.
fn place(address: SocketAddr, mode: &str, pair: Option<(&str, &str)>) -> String {
    let keys = pair.map_or(String::new(), |(id, secret)| {
        format!(", access_key_id = \"{id}\", secret_access_key = \"{secret}\"")
    });
    rule(
        "**",
        &format!(
            "mode = \"{mode}\"\ns3 = {{ bucket = \"{PRODUCTION}\", region = \"us-east-1\", endpoint = \"http://{address}/\"{keys} }}"
        ),
    )
}

const KEYS: [&str; 6] = [
    "pub/100%.asc",
    "pub/Firefox Setup 141.0.exe",
    "pub/a&b=c+d;e,f.asc",
    "pub/deep/er/a",
    "pub/deep/er/b",
    "pub/é-日本-🦊.asc",
];

const PAIR: (&str, &str) = (ACCESS_KEY_ID, SECRET_ACCESS_KEY);

/// Reads, lists, writes over and deletes; `other` is the same upstream without a right to it.
fn drive(address: SocketAddr, put_there: impl Fn(&str, &[u8])) {
    for (number, key) in (0..).zip(KEYS) {
        put_there(key, &content(number, 100_000));
    }
    for mode in ["auto", "proxy", "cache"] {
        let server = stage(&place(address, mode, Some(PAIR)));
        for (number, key) in (0..).zip(KEYS) {
            let bytes = content(number, 100_000);
            for face in [Face::Sdk, Face::Signed, Face::Gcs] {
                let answer = read(&server, face, "GET", key);
                assert!(answer.status == 200 && answer.body == bytes, "{mode} {face:?} {key}: {answer:?}");
            }
            let answer = read(&server, Face::Sdk, "HEAD", key);
            assert_eq!(answer.header("content-length"), Some("100000"), "{mode} {key}: {answer:?}");
            assert_eq!(answer.header("content-type"), Some("application/x-mar"), "{mode} {key}");
            let answer = read_with(&server, Face::Sdk, "GET", key, "Range: bytes=99990-\r\n");
            assert!(answer.status == 206 && answer.body == bytes[99_990..], "{mode} {key}: {answer:?}");
        }
        assert_eq!(get(&server, "pub/none").status, 404, "{mode}");
        put(&server, KEYS[0], b"here");
        put(&server, "pub/new", b"here");
        delete(&server, KEYS[3]);
        let wanted = [KEYS[0], KEYS[1], KEYS[2], KEYS[4], "pub/new", KEYS[5]];
        for dialect in Dialect::ALL {
            for page in [1, 2, 1000] {
                let ask = Ask { prefix: "", delimiter: "", page };
                assert_eq!(all(&server, dialect, ask), wanted, "{mode} {dialect:?} {page}");
                let ask = Ask { prefix: "pub/", delimiter: "/", page };
                let rolled = [KEYS[0], KEYS[1], KEYS[2], "pub/deep/", "pub/new", KEYS[5]];
                assert_eq!(all(&server, dialect, ask), rolled, "{mode} {dialect:?} {page}");
            }
        }
        let copy = format!("x-amz-copy-source: {}\r\n", path(KEYS[1]));
        assert_eq!(send(&server, "PUT", "/stage/copy", &copy, b"").status, 200, "{mode}");
        assert!(get(&server, "copy").body == content(1, 100_000), "{mode}");
    }
    let server = stage(&place(address, "presign", Some(PAIR)));
    for (number, key) in (0..).zip(KEYS) {
        let answer = read(&server, Face::Plain, "GET", key);
        let to = answer.header("location").unwrap_or_else(|| panic!("{answer:?}"));
        let target = to.strip_prefix(&format!("http://{address}")).unwrap_or_else(|| panic!("{to}"));
        let followed = super::http::get(address, target);
        assert!(followed.status == 200 && followed.body == content(number, 100_000), "{key}: {followed:?}");
    }
    // Without a key pair the objects are private, which is our trouble and not the client's 404.
    let server = stage_with(&place(address, "proxy", None), "[upstream]\nretries = 0");
    assert_eq!(get(&server, KEYS[0]).status, 502);
}

#[test]
fn moto_is_an_upstream_with_credentials() {
    let moto = Moto::start();
    drive(moto.address, |key, body| moto.put(key, body));
}

/// Another stage, which lets nobody in without a signature that it has verified.
#[test]
fn another_stage_is_an_upstream_with_credentials() {
    let upstream = Server::start(&Setup::with_buckets(&[PRODUCTION]));
    let address = upstream.address();
    drive(address, |key, body| assert_eq!(put_signed(address, key, body).status, 200, "{key}"));
    let wrong = Some((ACCESS_KEY_ID, "not+the/secret+of+this+access+key"));
    let server = stage_with(&place(address, "proxy", wrong), "[upstream]\nretries = 0");
    let answer = get(&server, KEYS[0]);
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(!answer.text().contains("not+the/secret"), "{answer:?}");
    let answer = send(&server, "GET", "/stage?list-type=2", "", b"");
    assert_eq!(answer.status, 502, "{answer:?}");
}
