//! An update task: `to` is here, `from` are MARs of three versions that production has. What went
//! upstream is looked at in full.

use super::headers::assert_clean;
use super::hostile::{File, Hostile, Seen};
use super::python;
use super::server::{Server, Setup};
use super::stage::send;

/// The versions that are updated from.
const FROM: [&str; 3] = [
    "pub/firefox/releases/81.0/update/win64/de/firefox-81.0.complete.mar",
    "pub/firefox/releases/82.0/update/win64/de/firefox-82.0.complete.mar",
    "pub/firefox/candidates/83.0b2-candidates/build1/update/win64/de/firefox-83.0b2.complete.mar",
];
/// What production has of the release under test and newer ones; `update_task.py` writes the first here.
const HIDDEN: [&str; 4] = [
    "pub/firefox/candidates/83.0b3-candidates/build1/update/win64/de/firefox-83.0b3.complete.mar",
    "pub/firefox/candidates/83.0b3-candidates/build1/update/win64/it/firefox-83.0b3.complete.mar",
    "pub/firefox/releases/83.0b3/update/win64/de/firefox-83.0b3.complete.mar",
    "pub/firefox/releases/83.0/update/win64/de/firefox-83.0.complete.mar",
];

fn server(upstream: &Hostile, mode: &str) -> Server {
    let config = format!(
        "[[bucket]]\nname = \"stage-firefox\"\nanonymous = \"read\"\n\
         [[bucket.fallback]]\nmatch = \"pub/**\"\nmode = \"{mode}\"\nto = \"{}\"\n\
         [[archive]]\npath = \"/pub/\"\nbuckets = [\"stage-firefox\"]\n\
         [release]\nunder_test = [\"firefox-83.0b3-build1\"]\n",
        upstream.url()
    );
    Server::start(&Setup { config: Some(config), ..Setup::default() })
}

/// No write, no client's credential, nothing of the release under test.
fn assert_harmless(seen: &Seen) {
    assert!(matches!(&*seen.method, "GET" | "HEAD"), "{seen:?}");
    assert!(FROM.contains(&&*seen.path()), "{seen:?}");
    for name in ["authorization", "cookie", "x-amz-date", "x-amz-security-token", "proxy-authorization"] {
        assert_eq!(seen.header(name), None, "{seen:?}");
    }
    assert!(!seen.target.contains('?'), "{seen:?}");
}

#[test]
fn an_update_task_asks_production_for_previous_versions_and_for_nothing_else() {
    for (mode, redirected) in [("redirect", 6), ("proxy", 0), ("cache", 0)] {
        let upstream = Hostile::start();
        for key in FROM.iter().chain(&HIDDEN) {
            upstream.put(*key, File::new(key.repeat(2_000).into_bytes()));
        }
        let server = server(&upstream, mode);
        let previous: Vec<_> = FROM.iter().flat_map(|key| ["--previous", key]).collect();
        let report = python::run(&server, "update_task.py", &previous);
        assert_eq!(report["redirected"], redirected, "{mode}: {report}");
        assert_eq!(report["local"], 12 - redirected, "{mode}: {report}");

        let seen = upstream.take_seen();
        seen.iter().for_each(assert_harmless);
        if mode != "redirect" {
            for seen in &seen {
                assert_clean(seen, false);
            }
        }
        let mut asked: Vec<_> = seen.iter().map(Seen::path).collect();
        asked.sort_unstable();
        let times = if mode == "cache" { 1 } else { 2 };
        let mut wanted: Vec<_> = FROM.iter().flat_map(|key| vec![(*key).to_owned(); times]).collect();
        wanted.sort_unstable();
        assert_eq!(asked, wanted, "{mode}");

        for key in &HIDDEN[1..] {
            for place in ["", "stage-firefox/"] {
                let answer = send(&server, "GET", &format!("/{place}{key}"), "", b"");
                assert_eq!(answer.status, 404, "{mode} {key}: {answer:?}");
            }
        }
        upstream.assert_not_asked(mode);
    }
}
