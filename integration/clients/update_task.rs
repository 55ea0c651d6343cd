//! An update task: current MARs are here, those of earlier releases come by redirect from
//! production, and what must not come from there does not.

use std::collections::BTreeMap;
use std::process::Command;

use super::http::{exchange, get};
use super::production::Production;
use super::python;
use super::server::{Server, Setup};

/// A file of the release before the one under test.
const PREVIOUS: &str =
    "pub/firefox/candidates/83.0b2-candidates/build1/update/win64/de/firefox-83.0b2.complete.mar";
/// The same, with characters that a `Location` must escape.
const SPACED: &str = "pub/firefox/candidates/83.0b2-candidates/build1/win64/de/Firefox Setup 83.0b2 +%.exe";
/// A file that will be deleted here.
const DELETED: &str =
    "pub/firefox/candidates/83.0b2-candidates/build1/update/win64/fr/firefox-83.0b2.complete.mar";
/// What production has and must not be asked for: the release under test, and a newer one.
const HIDDEN: [&str; 3] = [
    "pub/firefox/candidates/83.0b3-candidates/build1/update/win64/it/firefox-83.0b3.complete.mar",
    "pub/firefox/releases/83.0b3/update/win64/it/firefox-83.0b3.complete.mar",
    "pub/firefox/candidates/83.0b4-candidates/build1/update/win64/de/firefox-83.0b4.complete.mar",
];

/// Production with its files, and a stage before it.
fn scene() -> (Production, Server) {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for key in [PREVIOUS, DELETED].iter().chain(&HIDDEN) {
        files.insert(format!("/{key}"), key.repeat(2_000).into_bytes());
    }
    files.insert(format!("/{}", escaped(SPACED)), SPACED.repeat(2_000).into_bytes());
    let production = Production::start(files);
    let config = format!(
        r#"
        [[bucket]]
        name = "stage-firefox"
        anonymous = "read"

        [[bucket.fallback]]
        match = "pub/**"
        to = "{}"
        mode = "redirect"

        [release]
        under_test = ["firefox-83.0b3-build1"]

        [[archive]]
        hosts = ["ftp.stage.mozaws.net"]
        path = "/pub/"
        buckets = ["stage-firefox"]
        "#,
        production.url()
    );
    let server = Server::start(&Setup { config: Some(config), ..Setup::default() });
    (production, server)
}

/// The few escapes that the keys here need.
fn escaped(key: &str) -> String {
    key.replace('%', "%25").replace(' ', "%20").replace('+', "%2B")
}

#[test]
fn aiohttp_gets_current_files_here_and_previous_ones_by_redirect() {
    let (production, server) = scene();
    let report = python::run(&server, "update_task.py", &["--previous", PREVIOUS, "--previous", SPACED]);
    assert_eq!(report["redirected"], 4, "{report}");
    assert!(report["local"].as_u64() > Some(4), "{report}");
    let mut asked = production.take_requests();
    asked.sort();
    let wanted = [PREVIOUS, SPACED].map(|key| format!("GET /{}", escaped(key)));
    let wanted: Vec<&String> = wanted.iter().flat_map(|line| [line, line]).collect();
    assert_eq!(asked.iter().collect::<Vec<_>>(), wanted, "what the clients asked of production");
}

#[test]
fn a_missing_file_is_redirected_hidden_or_gone_without_asking_production() {
    let (production, server) = scene();
    python::run(&server, "update_task.py", &["--delete", DELETED]);
    for prefix in ["/stage-firefox/", "/"] {
        for method in ["GET", "HEAD"] {
            let ask = |key: &str| {
                let line = format!("{method} {prefix}{} HTTP/1.1\r\n", escaped(key));
                exchange(server.address(), &line, b"").expect("an answer")
            };
            for key in [PREVIOUS, SPACED] {
                let answer = ask(key);
                let location = format!("{}{}", production.url(), escaped(key));
                assert_eq!(answer.status, 302, "{method} {prefix}{key}: {answer:?}");
                assert!(answer.headers.contains(&("Location".to_owned(), location)), "{answer:?}");
            }
            for key in HIDDEN.iter().chain([&DELETED, &"pub/../not/covered.mar"]) {
                let answer = ask(key);
                assert_eq!(answer.status, 404, "{method} {prefix}{key}: {answer:?}");
                assert_eq!(answer.header("location"), None, "{method} {prefix}{key}");
            }
        }
    }
    let answer = get(server.address(), &format!("/stage-firefox/{DELETED}"));
    assert_eq!(answer.code(), "NoSuchKey", "{answer:?}");
    assert_eq!(production.take_requests(), Vec::<String>::new(), "requests to production");
}

#[test]
fn a_put_over_a_deleted_key_is_served_again() {
    let (_production, server) = scene();
    python::run(&server, "update_task.py", &["--delete", DELETED]);
    python::run(&server, "update_task.py", &["--put", DELETED]);
    let answer = get(server.address(), &format!("/{DELETED}"));
    assert_eq!((answer.status, answer.text().as_str()), (200, DELETED), "{answer:?}");
}

/// `curl -i -r 0-2 -L`, which test-mar-url.sh greps, for a file here and one in production.
#[test]
fn curl_ends_at_the_range_it_asked_for() {
    let (production, server) = scene();
    let here = "pub/firefox/candidates/83.0b3-candidates/build1/update/win64/de/firefox-83.0b3.complete.mar";
    python::run(&server, "update_task.py", &["--put", here]);
    for (key, size, follows) in [(here, here.len(), false), (PREVIOUS, PREVIOUS.len() * 2_000, true)] {
        let url = format!("http://{}/{key}", server.address());
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--noproxy", "*", "-i", "-r", "0-2", "-L", &url])
            .output()
            .unwrap_or_else(|error| panic!("curl is needed ({error}); on Debian: apt-get install curl"));
        let text = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
        assert!(output.status.success(), "{output:?}");
        let last = text.rsplit("HTTP/1.1 ").next().unwrap_or_default();
        assert!(last.starts_with("206 Partial Content\n"), "{text}");
        assert!(last.contains(&format!("\nContent-Range: bytes 0-2/{size}\n")), "{text}");
        assert!(last.ends_with("\n\npub"), "{text}");
        let location = format!("\nLocation: {}{key}\n", production.url());
        assert_eq!(text.contains(&location), follows, "{text}");
    }
}
