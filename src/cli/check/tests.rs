//! What is told of a server's health, with real servers at the other end.

use std::future::ready;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser as _;
use http::StatusCode;
use tokio::sync::oneshot;

use super::{Arguments, Finding, State};
use crate::cli::heartbeat::{Heartbeat, ask};
use crate::cli::wire::Unasked;
use crate::protocol::body::ResponseBody;
use crate::protocol::meter::Connections;
use crate::protocol::request::Response;
use crate::server::{Config, Listener, TlsFiles};

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn arguments(line: &str) -> Arguments {
    Line::parse_from(std::iter::once("check").chain(line.split_whitespace())).arguments
}

fn said(status: StatusCode, text: &str, ms: u64) -> Heartbeat {
    Heartbeat { status, text: text.to_owned(), elapsed: Duration::from_millis(ms) }
}

#[test]
fn one_line_and_one_exit_code() {
    let ill = r#"{"details":{"store":{"messages":["the disk | is\nfull"]}}}"#;
    let warning = r#"{"status":"warning","details":{"upstream https://b/":{"messages":["it is\ndown"]}}}"#;
    let gone = || Err(Unasked::NoAnswer { address: "http://a".to_owned(), reason: "refused".to_owned() });
    for (asked, flags, code, line) in [
        (Ok(said(StatusCode::OK, "", 5)), "", 0, "OK: http://a is healthy, 5 ms\n"),
        (
            Ok(said(StatusCode::OK, warning, 5)),
            "",
            0,
            "OK: http://a is healthy, 5 ms; warning: upstream https://b/: it is down\n",
        ),
        (Ok(said(StatusCode::OK, "", 1500)), "", 1, "WARNING: http://a is healthy but took 1500 ms\n"),
        (
            Ok(said(StatusCode::SERVICE_UNAVAILABLE, ill, 5)),
            "",
            2,
            "CRITICAL: http://a answers 503 Service Unavailable: the disk | is full\n",
        ),
        (
            Ok(said(StatusCode::SERVICE_UNAVAILABLE, ill, 5)),
            "--nagios",
            2,
            "UNDERSTUDY CRITICAL - http://a answers 503 Service Unavailable: the disk / is full \
             | time=0.005000s;1.000;5.000;0\n",
        ),
        (gone(), "--nagios", 2, "UNDERSTUDY CRITICAL - http://a does not answer: refused\n"),
        (
            Err(Unasked::Address("a".to_owned())),
            "",
            3,
            "UNKNOWN: \"a\" is not an address of a server: write http://HOST:PORT\n",
        ),
        (
            Ok(said(StatusCode::OK, "", 5)),
            "--json",
            0,
            "{\"elapsed_ms\":5,\"message\":\"http://a is healthy, 5 ms\",\"state\":\"ok\"}\n",
        ),
    ] {
        let finding = Finding::of("http://a", asked, Duration::from_secs(1));
        assert_eq!((finding.line(&arguments(flags)).as_str(), finding.state.exit_code()), (line, code));
    }
}

/// A server that answers every path with the path.
async fn echo(tls: Option<TlsFiles>) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = Listener::bind(&Config { tls, ..Config::for_tests() }).await.expect("a free port");
    let address = listener.address();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(listener.serve(
        |_, request| ready(Response::new(ResponseBody::bytes(request.uri().path().to_owned()))),
        Connections::default(),
        async { drop(stopped.await) },
    ));
    (address, stop)
}

fn identity(folder: &Path, name: &str) -> TlsFiles {
    let made = rcgen::generate_simple_self_signed(vec!["stage.example".to_owned()]).expect("a certificate");
    let file = |kind: &str| -> PathBuf { folder.join(format!("{name}-{kind}.pem")) };
    let files = TlsFiles { certificate: file("cert"), key: file("key") };
    std::fs::write(&files.certificate, made.cert.pem()).expect("a writable folder");
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("a writable folder");
    files
}

const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn the_heartbeat_is_asked_unless_the_address_has_a_path() {
    let (address, _stop) = echo(None).await;
    for (path, asked) in [("", "/__heartbeat__"), ("/", "/__heartbeat__"), ("/other", "/other")] {
        let heartbeat = ask(&format!("http://{address}{path}"), None, PATIENCE).await.expect("an answer");
        assert_eq!((heartbeat.status, heartbeat.text.as_str()), (StatusCode::OK, asked));
    }
}

#[tokio::test]
async fn a_tls_server_is_known_by_its_very_certificate() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (own, other) = (identity(folder.path(), "own"), identity(folder.path(), "other"));
    let (address, _stop) = echo(Some(own.clone())).await;
    let url = format!("https://{address}");
    ask(&url, Some(&own.certificate), PATIENCE).await.expect("the server's own certificate");
    let refused = ask(&url, Some(&other.certificate), PATIENCE).await.expect_err("another certificate");
    assert!(refused.is_the_servers(), "{refused}");
    let refused = ask(&url, None, PATIENCE).await.expect_err("no certificate");
    assert!(!refused.is_the_servers(), "{refused}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let asked = ask(&url, None, Duration::from_millis(20)).await;
    let finding = Finding::of(&url, asked, Duration::from_secs(1));
    assert_eq!(finding.state, State::Critical, "{finding:?}");
    assert!(finding.text.contains("nothing within 20 ms"), "{finding:?}");
}
