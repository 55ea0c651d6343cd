//! What a merged listing costs upstream, and what becomes of it when upstream fails on the way.

use super::hostile::{Hostile, Trick};
use super::pages::{Ask, Dialect, all, page, try_page};
use super::stage::{PRODUCTION, delete, put, s3, send, stage, stage_with};

/// Five pages of keys.
fn long() -> Hostile {
    Hostile::with((0..4500).map(|number| (format!("{PRODUCTION}/pub/k{number:04}"), "x")))
}

fn lists(upstream: &Hostile) -> usize {
    upstream.take_seen().iter().filter(|seen| seen.lists()).count()
}

#[test]
fn at_most_one_page_is_fetched_ahead() {
    for dialect in Dialect::ALL {
        let upstream = long();
        let server = stage(&s3(&upstream, "proxy"));
        let first = page(&server, dialect, Ask { prefix: "", delimiter: "", page: 10 }, "");
        assert_eq!(first.entries.len(), 10);
        let asked = lists(&upstream);
        assert!((1..=2).contains(&asked), "{dialect:?}: {asked} pages for ten keys");
        let whole = all(&server, dialect, Ask { prefix: "", delimiter: "", page: 1000 });
        assert_eq!(whole.len(), 4500, "{dialect:?}");
        let asked = lists(&upstream);
        assert!(asked <= 10, "{dialect:?}: {asked} pages for 4,500 keys");
    }
}

#[test]
fn upstream_rolls_up_what_is_rolled_up_here() {
    let keys = (0..4500).map(|number| (format!("{PRODUCTION}/pub/d{}/k{number:04}", number % 3), "x"));
    let upstream = Hostile::with(keys);
    let server = stage(&s3(&upstream, "proxy"));
    for dialect in Dialect::ALL {
        let ask = Ask { prefix: "pub/", delimiter: "/", page: 1000 };
        assert_eq!(all(&server, dialect, ask), ["pub/d0/", "pub/d1/", "pub/d2/"], "{dialect:?}");
    }
    let asked = lists(&upstream);
    assert!(asked <= 4, "{asked} pages for three folders");
    // Deleted keys below a folder make it worth a look, one page of it and no more.
    delete(&server, "pub/d1/k0001");
    let ask = Ask { prefix: "pub/", delimiter: "/", page: 1000 };
    assert_eq!(all(&server, Dialect::V2, ask), ["pub/d0/", "pub/d1/", "pub/d2/"]);
    let asked = lists(&upstream);
    assert!(asked <= 3, "{asked} pages for a look");
}

#[test]
fn pages_are_remembered_as_long_as_configured() {
    for (ttl, remembers) in [("1h", true), ("0s", false)] {
        let upstream = Hostile::with([(format!("{PRODUCTION}/pub/a"), "x")]);
        let server = stage_with(&s3(&upstream, "proxy"), &format!("[upstream]\nlist_ttl = \"{ttl}\""));
        let ask = Ask { prefix: "", delimiter: "", page: 1000 };
        assert_eq!(all(&server, Dialect::V2, ask), ["pub/a"]);
        assert!(lists(&upstream) >= 1);
        assert_eq!(all(&server, Dialect::V2, ask), ["pub/a"]);
        assert_eq!(lists(&upstream) == 0, remembers, "{ttl}");
        // Nothing of what is written here is remembered wrongly.
        put(&server, "pub/b", b"here");
        delete(&server, "pub/a");
        assert_eq!(all(&server, Dialect::V2, ask), ["pub/b"], "{ttl}");
    }
}

/// Some pages come, a later one does not: the client is told, and never given a shorter list.
#[test]
fn upstream_failing_in_the_middle_is_an_error_of_the_page_that_needs_it() {
    for trick in [Trick::Status(500), Trick::Status(403), Trick::HangUp, Trick::CutAfter(3000)] {
        for dialect in Dialect::ALL {
            let upstream = long();
            let server =
                stage_with(&s3(&upstream, "proxy"), "[upstream]\nretries = 0\nbreaker_failures = 100");
            let ask = Ask { prefix: "", delimiter: "", page: 1000 };
            let mut from = page(&server, dialect, ask, "").next;
            upstream.always(PRODUCTION, trick.clone());
            // What was fetched ahead may still serve a page, which then says that more follow.
            let told = loop {
                match try_page(&server, dialect, ask, &from.expect("more follow: the list was cut short")) {
                    Ok(found) => from = found.next,
                    Err(answer) => break answer,
                }
            };
            assert!(matches!(told.status, 502..=504), "{dialect:?}: {told:?}");
        }
    }
}

/// One answer of the archive face takes all pages, so it is an error as a whole.
#[test]
fn a_directory_with_a_page_missing_is_an_error() {
    for good in [0, 1, 2] {
        let upstream = long();
        upstream.next(PRODUCTION, vec![Trick::Fine; good]);
        upstream.always(PRODUCTION, Trick::Status(500));
        let server = stage_with(&s3(&upstream, "proxy"), "[upstream]\nretries = 0\nbreaker_failures = 100");
        let answer = send(&server, "GET", "/pub/", "Accept: application/json\r\n", b"");
        assert!(matches!(answer.status, 502..=504), "{good} good pages: {answer:?}");
    }
}

/// A page that fails once is asked for again before anybody hears of it.
#[test]
fn a_page_that_fails_once_is_tried_again() {
    let upstream = long();
    upstream.next(PRODUCTION, [Trick::Fine, Trick::Status(503), Trick::Fine, Trick::HangUp]);
    let server = stage(&s3(&upstream, "proxy"));
    let keys = all(&server, Dialect::V2, Ask { prefix: "", delimiter: "", page: 1000 });
    assert_eq!(keys.len(), 4500);
}
