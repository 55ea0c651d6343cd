//! Which release a file belongs to, and so who may see it: releases under test, `previous_only`,
//! and `explain`.

use super::hostile::Hostile;
use super::pages::{Ask, Dialect, all};
use super::stage::{Face, PRODUCTION, get, read, rule, s3, s3_place, send, stage_with, succeed};

/// Two products under test.
const UNDER_TEST: &str =
    "[release]\nunder_test = [\"firefox-84.0b1-build2\", \"thunderbird-78.5.0esr-build1\"]\n";

/// Files of production, and whether they are seen.
const FILES: [(&str, bool); 20] = [
    ("pub/firefox/candidates/83.0-candidates/build9/a", true),
    ("pub/firefox/candidates/84.0b1-candidates/build1/a", true),
    ("pub/firefox/candidates/84.0b1-candidates/build2/a", false),
    ("pub/firefox/candidates/84.0b1-candidates/build10/a", false),
    ("pub/firefox/candidates/84.0b10-candidates/build1/a", false),
    ("pub/firefox/candidates/84.0-candidates/build1/a", false),
    ("pub/firefox/releases/83.0.1/a", true),
    ("pub/firefox/releases/84.0a1/a", true),
    ("pub/firefox/releases/84.0b1/a", false),
    ("pub/firefox/releases/84.0/a", false),
    ("pub/firefox/releases/9.0/a", true),
    ("pub/firefox/releases/partners/acme/de/83.0/a", true),
    ("pub/firefox/releases/partners/acme/de/84.0/a", false),
    ("pub/firefox/nightly/latest-mozilla-central/firefox-85.0a1.mar", true),
    ("pub/thunderbird/releases/78.4.0esr/a", true),
    ("pub/thunderbird/releases/78.5.0esr/a", false),
    ("pub/thunderbird/releases/84.0b1/a", false),
    ("pub/devedition/releases/84.0b1/a", true),
    ("pub/fenix/releases/84.0/a", true),
    ("maven2/org/mozilla/geckoview/84.0/a", true),
];

fn production() -> Hostile {
    Hostile::with(FILES.map(|(key, _)| (format!("{PRODUCTION}/{key}"), key)))
}

#[test]
fn releases_under_test_and_newer_ones_are_never_looked_for() {
    for mode in ["auto", "redirect", "proxy", "cache"] {
        let upstream = production();
        let server = stage_with(&s3(&upstream, mode), UNDER_TEST);
        for (key, seen) in FILES {
            for face in [Face::Plain, Face::Sdk, Face::Gcs] {
                let status = read(&server, face, "GET", key).status;
                assert_eq!(status != 404, seen, "{mode} {face:?} {key}: {status}");
            }
        }
        for (key, seen) in FILES {
            if !seen {
                let copy = format!("x-amz-copy-source: /stage/{key}\r\n");
                assert_eq!(send(&server, "PUT", "/stage/copy", &copy, b"").status, 404, "{mode} {key}");
                // As if production had it not: a first write is a first write.
                let answer = send(&server, "PUT", &format!("/stage/{key}"), "If-None-Match: *\r\n", b"here");
                assert_eq!(answer.status, 200, "{mode} {key}: {answer:?}");
            }
        }
        let asked = upstream.take_seen();
        let hidden = |path: &str| FILES.iter().any(|(key, seen)| !seen && path.ends_with(key));
        assert!(!asked.iter().any(|seen| hidden(&seen.path())), "{mode}: {asked:?}");
    }
}

#[test]
fn listings_show_no_release_under_test() {
    let upstream = production();
    let server = stage_with(&s3(&upstream, "redirect"), UNDER_TEST);
    let mut wanted: Vec<_> = FILES.iter().filter(|(_, seen)| *seen).map(|(key, _)| *key).collect();
    wanted.sort_unstable();
    for dialect in Dialect::ALL {
        for page in [1, 4, 1000] {
            assert_eq!(
                all(&server, dialect, Ask { prefix: "", delimiter: "", page }),
                wanted,
                "{dialect:?} {page}"
            );
            let ask = Ask { prefix: "pub/firefox/releases/", delimiter: "/", page };
            let folders =
                ["83.0.1/", "84.0a1/", "9.0/", "partners/"].map(|name| format!("{}{name}", ask.prefix));
            assert_eq!(all(&server, dialect, ask), folders, "{dialect:?} {page}");
            let ask = Ask { prefix: "pub/firefox/candidates/", delimiter: "/", page };
            let folders =
                ["83.0-candidates/", "84.0b1-candidates/"].map(|name| format!("{}{name}", ask.prefix));
            assert_eq!(all(&server, dialect, ask), folders, "{dialect:?} {page}");
        }
    }
}

/// Only what is known to be older passes: nightlies, and products without a release under test, do not.
#[test]
fn previous_only_lets_older_releases_through_and_nothing_else() {
    let upstream = production();
    let rules = rule("**", &format!("mode = \"proxy\"\nprevious_only = true\n{}", s3_place(&upstream, "")));
    let server = stage_with(&rules, UNDER_TEST);
    let older = |key: &str| {
        let product = key.starts_with("pub/firefox/") || key.starts_with("pub/thunderbird/");
        product && !key.contains("nightly")
    };
    let mut seen = Vec::new();
    for (key, shown) in FILES {
        // An earlier build of the version under test is not an older release.
        let status = get(&server, key).status;
        if key.contains("84.0b1-candidates/build1/") {
            continue;
        }
        assert_eq!(status == 200, shown && older(key), "{key}: {status}");
        if status == 200 {
            seen.push(key);
        }
    }
    seen.sort_unstable();
    let mut listed = all(&server, Dialect::V2, Ask { prefix: "", delimiter: "", page: 3 });
    listed.retain(|key| !key.contains("84.0b1-candidates/build1/"));
    assert_eq!(listed, seen);
}

#[test]
fn explain_names_the_rule_and_the_reason_without_a_server() {
    let upstream = production();
    let rules = [
        rule("pub/denied/**", "mode = \"deny\""),
        rule("pub/firefox/**", &format!("mode = \"auto\"\n{}", s3_place(&upstream, ""))),
        rule("maven2/**", &format!("mode = \"cache\"\n{}", s3_place(&upstream, ""))),
    ];
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let config = folder.path().join("understudy.toml");
    let setup = super::stage::setup(&rules.concat(), UNDER_TEST, None);
    std::fs::write(&config, setup.config.unwrap_or_default()).expect("the folder is writable");
    let config = config.to_str().expect("temporary folders have names of plain text");
    let told = |address: &str, more: &[&str]| {
        succeed(&[&["explain", "GET", address, "--bucket", "stage", "--config", config], more].concat())
    };
    for (key, words) in [
        ("pub/denied/a", &["#1", "deny"][..]),
        ("pub/firefox/releases/82.0/a", &["#2", "pub/firefox/**"]),
        ("pub/firefox/releases/84.0/a", &["firefox-84.0b1-build2"]),
        ("maven2/a", &["#3", "cache"]),
        ("pub/other/a", &["no rule"]),
    ] {
        let text = told(key, &[]);
        for word in words {
            assert!(text.to_lowercase().contains(word), "{word:?} is not in what explains {key}:\n{text}");
        }
    }
    let plain = told("pub/firefox/releases/82.0/a", &["--client", "plain"]);
    assert!(
        plain.contains(&format!("{}{PRODUCTION}/pub/firefox/releases/82.0/a", upstream.url())),
        "{plain}"
    );
    let sdk = told("pub/firefox/releases/82.0/a", &["--client", "sdk"]);
    assert_ne!(plain, sdk, "auto treats them differently");
    let from_url =
        succeed(&["explain", "GET", "http://127.0.0.1:8000/stage/pub/denied/a", "--config", config]);
    assert!(from_url.contains("deny"), "{from_url}");
    upstream.assert_not_asked("explaining asks nobody");
}
