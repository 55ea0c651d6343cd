//! A stage with rules, and the ways to ask it.

use std::path::Path;
use std::process::Command;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::hostile::Hostile;
use super::http::{Answer, exchange};
use super::server::{self, Server, Setup};
use super::sigv4::{EMPTY_SHA256, Signed};

/// The bucket of every stage here.
pub(crate) const BUCKET: &str = "stage";
/// The bucket of an upstream that speaks S3: the first step of its paths.
pub(crate) const PRODUCTION: &str = "production";

/// What a path leaves as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// What an object's name in a path of GCS leaves as it is.
const NAME: &AsciiSet = &PATH.add(b'/');

/// Who asks, and in which dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// S3 without a signature, like curl.
    Plain,
    /// S3 as an SDK without credentials sends it.
    Sdk,
    /// S3 with a signature in the header.
    Signed,
    /// The JSON dialect of GCS.
    Gcs,
    /// A plain path below `/pub/`.
    Archive,
}

impl Face {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Plain, Self::Sdk, Self::Signed, Self::Gcs, Self::Archive];
}

/// A rule: its pattern and all that follows.
pub(crate) fn rule(pattern: &str, rest: &str) -> String {
    format!("[[bucket.fallback]]\nmatch = \"{pattern}\"\n{rest}\n")
}

/// A rule for everything, to the upstream's plain address.
pub(crate) fn to(upstream: &Hostile, mode: &str) -> String {
    rule("**", &format!("mode = \"{mode}\"\nto = \"{}\"", upstream.url()))
}

/// A rule for everything, to the upstream as an S3 server without credentials.
pub(crate) fn s3(upstream: &Hostile, mode: &str) -> String {
    rule("**", &format!("mode = \"{mode}\"\n{}", s3_place(upstream, "")))
}

/// The setting `s3` of a rule; `more` are further fields.
pub(crate) fn s3_place(upstream: &Hostile, more: &str) -> String {
    let url = upstream.url();
    format!("s3 = {{ bucket = \"{PRODUCTION}\", region = \"us-east-1\", endpoint = \"{url}\"{more} }}")
}

/// How a stage with these rules and tables is started.
pub(crate) fn setup(rules: &str, tables: &str, data_dir: Option<&Path>) -> Setup {
    let config = format!(
        "[[bucket]]\nname = \"{BUCKET}\"\n{rules}\n\n[[archive]]\npath = \"/pub/\"\nbuckets = [\"{BUCKET}\"]\n\n{tables}"
    );
    Setup {
        args: ["--anonymous".into(), "read-write".into()].into(),
        config: Some(config),
        data_dir: data_dir.map(Path::to_path_buf),
        ..Setup::default()
    }
}

/// A stage with these rules that everybody may read and write.
pub(crate) fn stage(rules: &str) -> Server {
    stage_with(rules, "")
}

/// The same with further tables.
pub(crate) fn stage_with(rules: &str, tables: &str) -> Server {
    Server::start(&setup(rules, tables, None))
}

/// The path of a key, escaped.
pub(crate) fn path(key: &str) -> String {
    format!("/{BUCKET}/{}", utf8_percent_encode(key, PATH))
}

/// The path of an object's resource in the JSON dialect.
pub(crate) fn resource(key: &str) -> String {
    format!("/storage/v1/b/{BUCKET}/o/{}", utf8_percent_encode(key, NAME))
}

/// The head of a read, without the blank line.
pub(crate) fn head(server: &Server, face: Face, method: &str, key: &str) -> String {
    match face {
        Face::Plain => format!("{method} {} HTTP/1.1\r\n", path(key)),
        Face::Sdk => format!("{method} {} HTTP/1.1\r\namz-sdk-invocation-id: 1\r\n", path(key)),
        Face::Signed => Signed::new(server.address(), method, &path(key), &[], EMPTY_SHA256).head,
        Face::Gcs => format!("{method} {}?alt=media HTTP/1.1\r\n", resource(key)),
        Face::Archive => format!("{method} /{} HTTP/1.1\r\n", utf8_percent_encode(key, PATH)),
    }
}

/// Reads a key with further header lines; an answer that is cut off is an error.
pub(crate) fn try_read(
    server: &Server,
    face: Face,
    method: &str,
    key: &str,
    lines: &str,
) -> std::io::Result<Answer> {
    exchange(server.address(), &format!("{}{lines}", head(server, face, method, key)), b"")
}

/// Reads a key with further header lines.
#[track_caller]
pub(crate) fn read_with(server: &Server, face: Face, method: &str, key: &str, lines: &str) -> Answer {
    try_read(server, face, method, key, lines)
        .unwrap_or_else(|error| panic!("{method} {key} by {face:?}: {error}"))
}

/// Reads a key.
#[track_caller]
pub(crate) fn read(server: &Server, face: Face, method: &str, key: &str) -> Answer {
    read_with(server, face, method, key, "")
}

/// GET of a key as an SDK asks, which is never redirected under `auto`.
#[track_caller]
pub(crate) fn get(server: &Server, key: &str) -> Answer {
    read(server, Face::Sdk, "GET", key)
}

/// Sends anything: `target` with its escapes, further header lines, and a body.
#[track_caller]
pub(crate) fn send(server: &Server, method: &str, target: &str, lines: &str, body: &[u8]) -> Answer {
    exchange(server.address(), &format!("{method} {target} HTTP/1.1\r\n{lines}"), body)
        .unwrap_or_else(|error| panic!("{method} {target}: {error}"))
}

/// Writes a key.
#[track_caller]
pub(crate) fn put(server: &Server, key: &str, body: &[u8]) {
    let answer = send(server, "PUT", &path(key), "", body);
    assert_eq!(answer.status, 200, "PUT {key}: {answer:?}");
}

/// Deletes a key.
#[track_caller]
pub(crate) fn delete(server: &Server, key: &str) {
    let answer = send(server, "DELETE", &path(key), "", b"");
    assert_eq!(answer.status, 204, "DELETE {key}: {answer:?}");
}

/// The JSON of an answer that must be a success.
#[track_caller]
pub(crate) fn json(answer: &Answer) -> serde_json::Value {
    assert!((200..300).contains(&answer.status), "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// The texts of all elements of a name.
pub(crate) fn elements(text: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let pieces = text.split(&open).skip(1).filter_map(|rest| rest.split_once(&close));
    let plain = |text: &str| text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    pieces.map(|(inside, _)| plain(inside).replace("&#34;", "\"").replace("&amp;", "&")).collect()
}

/// Runs a command of understudy with the harness's credential: its exit code, what it printed, and
/// what it said to standard error.
pub(crate) fn command(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
    server::forget_environment(&mut command);
    command.env("UNDERSTUDY_ACCESS_KEY_ID", server::ACCESS_KEY_ID);
    command.env("UNDERSTUDY_SECRET_ACCESS_KEY", server::SECRET_ACCESS_KEY);
    let output = command.args(arguments).output().expect("the understudy binary was built for this test");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Runs a command that must succeed; gives back what it printed.
#[track_caller]
pub(crate) fn succeed(arguments: &[&str]) -> String {
    let (code, printed, said) = command(arguments);
    assert_eq!(code, Some(0), "{arguments:?}\n{printed}\n{said}");
    printed
}

/// Runs a command that speaks to a running stage, and must succeed.
#[track_caller]
pub(crate) fn administer(server: &Server, arguments: &[&str]) -> String {
    let url = format!("http://{}", server.address());
    succeed(&[arguments, &["--endpoint", &url]].concat())
}

/// Bytes that do not repeat soon.
pub(crate) fn content(seed: u32, size: usize) -> Vec<u8> {
    let numbers = (0_u32..).map(|number| number.wrapping_add(seed).wrapping_mul(2_654_435_761));
    numbers.flat_map(u32::to_be_bytes).take(size).collect()
}

/// The metrics in Prometheus' words. They take the credential of an administrator.
#[track_caller]
pub(crate) fn metrics(server: &Server) -> String {
    let signed = Signed::new(server.address(), "GET", "/-/metrics", &[], EMPTY_SHA256).head;
    let answer = exchange(server.address(), &signed, b"").expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text()
}
