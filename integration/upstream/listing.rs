//! Merged listings: what is here, over what production has, in every dialect and page size.

use std::collections::BTreeSet;

use super::hostile::{File, Hostile, Seen};
use super::pages::{Ask, Dialect, all, directory, naive, page};
use super::server::Server;
use super::stage::{BUCKET, PRODUCTION, delete, elements, json, put, s3, send, setup, stage, stage_with, to};

/// What production has.
const UPSTREAM: [&str; 18] = [
    "pub/README",
    "pub/a b+c&d%e.txt",
    "pub/firefox/candidates/82.0-candidates/build1/a",
    "pub/firefox/candidates/83.0-candidates/build1/a",
    "pub/firefox/candidates/83.0-candidates/build2/a",
    "pub/firefox/candidates/84.0-candidates/build1/a",
    "pub/firefox/releases/82.0/a",
    "pub/firefox/releases/82.0/b",
    "pub/firefox/releases/83.0/a",
    "pub/firefox/releases/gone/a",
    "pub/firefox/releases/gone/b/c",
    "pub/firefox/releases/half/a",
    "pub/firefox/releases/half/b",
    "pub/firefox/releases/over",
    "pub/thunderbird/releases/83.0/a",
    "pub/z/é 🦊",
    "pub/z/日本",
    "zzz",
];
/// What is written here; the second is over one of production's.
const LOCAL: [&str; 5] = [
    "a/local",
    "pub/firefox/releases/over",
    "pub/firefox/releases/83.0/new",
    "pub/firefox/releases/half/c",
    "pub/firefox/candidates/83.0-candidates/build2/new",
];
/// What is deleted here.
const DELETED: [&str; 4] =
    ["pub/firefox/releases/gone/a", "pub/firefox/releases/gone/b/c", "pub/firefox/releases/half/b", "zzz"];
/// What the release under test hides.
const HIDDEN: [&str; 3] = [
    "pub/firefox/releases/83.0/a",
    "pub/firefox/candidates/83.0-candidates/build2/a",
    "pub/firefox/candidates/84.0-candidates/build1/a",
];
const RELEASE: &str = "[release]\nunder_test = [\"firefox-83.0-build2\"]\n";

fn production() -> Hostile {
    Hostile::with(UPSTREAM.map(|key| (format!("{PRODUCTION}/{key}"), key)))
}

/// Writes and deletes as above.
fn write(server: &Server) {
    for key in LOCAL {
        put(server, key, b"local");
    }
    for key in DELETED {
        delete(server, key);
    }
}

fn union() -> BTreeSet<&'static str> {
    let upstream = UPSTREAM.into_iter().filter(|key| !DELETED.contains(key) && !HIDDEN.contains(key));
    upstream.chain(LOCAL).collect()
}

const PREFIXES: [&str; 7] = [
    "",
    "pub/",
    "pub/firefox/releases/",
    "pub/firefox/releases/gone",
    "pub/firefox/candidates/83.0-candidates/",
    "pub/z/",
    "none/",
];

#[test]
fn every_listing_is_the_union_in_every_page_size() {
    for mode in ["auto", "redirect", "proxy", "cache"] {
        let upstream = production();
        let server = stage_with(&s3(&upstream, mode), RELEASE);
        write(&server);
        // Every page size for one mode; the merge does not know modes.
        let sizes: &[usize] = if mode == "proxy" { &[1, 2, 3, 7, 1000] } else { &[3] };
        for dialect in Dialect::ALL {
            for prefix in PREFIXES {
                for delimiter in ["", "/", "0"] {
                    for page in sizes.iter().copied() {
                        let ask = Ask { prefix, delimiter, page };
                        let wanted = naive(union(), ask);
                        assert_eq!(all(&server, dialect, ask), wanted, "{mode} {dialect:?} {ask:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn directories_of_the_archive_are_the_union() {
    for mode in ["auto", "redirect", "proxy", "cache"] {
        drive_directories(mode);
    }
}

fn drive_directories(mode: &str) {
    let upstream = production();
    let server = stage_with(&s3(&upstream, mode), RELEASE);
    write(&server);
    for folder in [
        "pub/",
        "pub/firefox/releases/",
        "pub/firefox/releases/gone/",
        "pub/firefox/releases/83.0/",
        "pub/z/",
    ] {
        let wanted = naive(union(), Ask { prefix: folder, delimiter: "/", page: 1000 });
        let wanted: Vec<_> = wanted.iter().map(|key| key[folder.len()..].to_owned()).collect();
        assert_eq!(directory(&server, folder), wanted, "{mode} {folder}");
    }
    // A folder that only production has is a directory without its slash, too.
    let answer = send(&server, "GET", "/pub/thunderbird", "", b"");
    assert!(matches!(answer.status, 301 | 302 | 307 | 308), "{answer:?}");
    assert_eq!(send(&server, "GET", "/pub/firefox/releases/gone/", "", b"").status, 404);
    assert_eq!(send(&server, "GET", "/pub/firefox/candidates/84.0-candidates/", "", b"").status, 404);
    let html = send(&server, "GET", "/pub/firefox/releases/", "Accept: text/html\r\n", b"").text();
    assert!(html.contains(">82.0/<") && !html.contains("gone"), "{html}");
}

#[test]
fn entries_are_productions_or_ours() {
    let upstream = Hostile::start();
    let file = File::new(*b"0123456789");
    let etag = file.value("ETag").expect("a tag").to_owned();
    upstream.put(format!("{PRODUCTION}/pub/a"), file.clone());
    upstream.put(format!("{PRODUCTION}/pub/b"), file);
    let server = stage(&s3(&upstream, "proxy"));
    put(&server, "pub/b", b"local");
    let text = send(&server, "GET", "/stage?list-type=2", "", b"").text();
    assert_eq!(elements(&text, "Size"), ["10", "5"], "{text}");
    assert_eq!(elements(&text, "ETag")[0], etag);
    assert_eq!(elements(&text, "LastModified")[0], "2020-11-04T10:00:00.000Z");
    let found = json(&send(&server, "GET", "/storage/v1/b/stage/o", "", b""));
    let item = &found["items"][0];
    assert_eq!((&item["name"], &item["size"]), (&"pub/a".into(), &"10".into()), "{found}");
    assert_eq!(item["md5Hash"], "eB5eJF1ptWaXm4bijSPyxw==", "{found}");
    assert_eq!(item["updated"].as_str().map(|text| &text[..19]), Some("2020-11-04T10:00:00"), "{found}");
    // The listing, HEAD and GET of one key agree.
    for method in ["GET", "HEAD"] {
        let answer = send(&server, method, "/stage/pub/a", "", b"");
        assert_eq!(answer.header("etag"), Some(&*etag), "{method}");
        assert_eq!(answer.header("last-modified"), Some("Wed, 04 Nov 2020 10:00:00 GMT"), "{method}");
    }
}

/// What was kept is listed once, and what was materialised or written over is ours.
#[test]
fn what_was_fetched_is_listed_once() {
    let upstream = production();
    let server = stage_with(&s3(&upstream, "cache"), RELEASE);
    for key in UPSTREAM.iter().filter(|key| !HIDDEN.contains(key)).step_by(2) {
        assert_eq!(super::stage::get(&server, key).status, 200, "{key}");
    }
    write(&server);
    for dialect in Dialect::ALL {
        for page in [1, 3, 1000] {
            let ask = Ask { prefix: "", delimiter: "/", page };
            assert_eq!(all(&server, dialect, ask), naive(union(), ask), "{dialect:?} {ask:?}");
            let ask = Ask { delimiter: "", ..ask };
            assert_eq!(all(&server, dialect, ask), naive(union(), ask), "{dialect:?} {ask:?}");
        }
    }
}

#[test]
fn writes_between_two_pages_are_seen_ahead_and_never_twice() {
    for dialect in Dialect::ALL {
        let upstream = Hostile::with((0..20).map(|number| (format!("{PRODUCTION}/k{number:02}"), "x")));
        let server = stage(&s3(&upstream, "proxy"));
        let ask = Ask { prefix: "", delimiter: "", page: 5 };
        let first = page(&server, dialect, ask, "");
        assert_eq!(first.entries, ["k00", "k01", "k02", "k03", "k04"], "{dialect:?}");
        put(&server, "k01", b"behind, written over");
        put(&server, "k00a", b"behind, new");
        delete(&server, "k03");
        put(&server, "k06", b"ahead, written over");
        put(&server, "k06a", b"ahead, new");
        delete(&server, "k07");
        let second = page(&server, dialect, ask, first.next.as_deref().unwrap_or_default());
        assert_eq!(second.entries, ["k05", "k06", "k06a", "k08", "k09"], "{dialect:?}");
        delete(&server, "k09");
        let third =
            page(&server, dialect, Ask { page: 1000, ..ask }, second.next.as_deref().unwrap_or_default());
        let wanted: Vec<_> = (10..20).map(|number| format!("k{number}")).collect();
        assert_eq!(third.entries, wanted, "{dialect:?}");
        assert_eq!(third.next, None, "{dialect:?}");
    }
}

#[test]
fn tokens_survive_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    let upstream = Hostile::with((0..6).map(|number| (format!("{PRODUCTION}/d{number}/x"), "x")));
    let ask = Ask { prefix: "", delimiter: "/", page: 2 };
    for dialect in Dialect::ALL {
        let start = || Server::start(&setup(&s3(&upstream, "proxy"), "", Some(&data)));
        let first = page(&start(), dialect, ask, "");
        let rest =
            page(&start(), dialect, Ask { page: 10, ..ask }, first.next.as_deref().unwrap_or_default());
        assert_eq!(
            [first.entries, rest.entries].concat(),
            ["d0/", "d1/", "d2/", "d3/", "d4/", "d5/"],
            "{dialect:?}"
        );
    }
}

/// `list = "local"` shows only what is here; a plain address has no listing to merge.
#[test]
fn rules_that_do_not_list_ask_nothing() {
    let upstream = production();
    let url = upstream.url();
    let local = super::stage::rule(
        "**",
        &format!(
            "mode = \"proxy\"\nlist = \"local\"\ns3 = {{ bucket = \"{PRODUCTION}\", region = \"us-east-1\", endpoint = \"{url}\" }}"
        ),
    );
    for rules in [local, to(&upstream, "proxy"), super::stage::rule("**", "mode = \"deny\"")] {
        let server = stage(&rules);
        put(&server, "pub/here", b"here");
        for dialect in Dialect::ALL {
            let ask = Ask { prefix: "", delimiter: "", page: 10 };
            assert_eq!(all(&server, dialect, ask), ["pub/here"], "{dialect:?} {rules}");
        }
        upstream.assert_not_asked(&rules);
        assert_eq!(directory(&server, "pub/"), ["here"]);
        let lists = upstream.take_seen().iter().any(Seen::lists);
        assert!(!lists, "a directory was listed upstream: {rules}");
    }
}

/// A rule with a pattern lists only what it covers, and each upstream only its own.
#[test]
fn listings_show_what_reads_would_find() {
    let (one, two) = (Hostile::start(), Hostile::start());
    for upstream in [&one, &two] {
        for key in ["pub/one/a", "pub/two/a", "pub/denied/a", "other/a"] {
            upstream.put(format!("{PRODUCTION}/{key}"), File::new(key.as_bytes()));
        }
    }
    let place = |upstream: &Hostile| super::stage::s3_place(upstream, "");
    let rules = [
        super::stage::rule("pub/denied/**", "mode = \"deny\""),
        super::stage::rule("pub/one/**", &format!("mode = \"proxy\"\n{}", place(&one))),
        super::stage::rule("pub/**", &format!("mode = \"redirect\"\n{}", place(&two))),
    ];
    let server = stage(&rules.concat());
    for dialect in Dialect::ALL {
        for page in [1, 1000] {
            let ask = Ask { prefix: "", delimiter: "", page };
            assert_eq!(all(&server, dialect, ask), ["pub/one/a", "pub/two/a"], "{dialect:?}");
            let ask = Ask { prefix: "pub/", delimiter: "/", page };
            assert_eq!(all(&server, dialect, ask), ["pub/one/", "pub/two/"], "{dialect:?}");
        }
    }
    assert_eq!(send(&server, "GET", &format!("/{BUCKET}/pub/denied/a"), "", b"").status, 404);
}
