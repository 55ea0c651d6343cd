//! An upstream that is slow, broken, down, or busy: what the client is told, and how often it is asked.

use serde_json::Value;

use super::hostile::{File, Gate, Hostile, Trick};
use super::server::Server;
use super::stage::{Face, PRODUCTION, content, get, put, read, rule, s3, send, stage_with, to, try_read};

/// Few tries, short times.
const IMPATIENT: &str =
    "[upstream]\nhead_timeout = \"300ms\"\nstall_timeout = \"300ms\"\nretries = 0\nbreaker_failures = 100\n";

/// The state of the stage as Dockerflow tells it; it is always 200.
fn heartbeat(server: &Server) -> Value {
    let answer = send(server, "GET", "/__heartbeat__", "", b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// An error of ours that names the upstream, in the words of the face.
#[track_caller]
fn assert_trouble(server: &Server, upstream: &Hostile, key: &str, status: u16, code: &str) {
    let authority = upstream.address().to_string();
    for face in Face::ALL {
        let answer = try_read(server, face, "GET", key, "");
        let answer = answer.unwrap_or_else(|error| panic!("{key} by {face:?}: {error}"));
        assert_eq!(answer.status, status, "{key} by {face:?}: {answer:?}");
        assert_eq!(answer.header("location"), None, "{key} by {face:?}");
        if face != Face::Archive {
            assert!(answer.text().contains(&authority), "{face:?} does not name the upstream: {answer:?}");
        }
        if matches!(face, Face::Plain | Face::Sdk | Face::Signed) {
            assert_eq!(answer.code(), code, "{answer:?}");
        }
        if status == 503 {
            assert!(answer.header("retry-after").is_some(), "{face:?}: {answer:?}");
        }
    }
    for face in [Face::Plain, Face::Signed, Face::Archive] {
        assert_eq!(read(server, face, "HEAD", key).status, status, "HEAD {key} by {face:?}");
    }
}

#[test]
fn an_upstream_that_does_not_answer_in_time_is_504() {
    for mode in ["proxy", "cache"] {
        let upstream = Hostile::with([("pub/a", b"bytes")]);
        upstream.always("pub/a", Trick::HoldHead(Gate::default()));
        let server = stage_with(&to(&upstream, mode), IMPATIENT);
        assert_trouble(&server, &upstream, "pub/a", 504, "GatewayTimeout");
    }
}

#[test]
fn an_upstream_that_hangs_up_or_answers_nonsense_is_502() {
    for mode in ["proxy", "cache"] {
        let upstream = Hostile::with([("pub/a", b"bytes")]);
        for (name, trick) in [
            ("hangs up", Trick::HangUp),
            ("403", Trick::Status(403)),
            ("401", Trick::Status(401)),
            ("500", Trick::Status(500)),
            ("503", Trick::Status(503)),
            ("418", Trick::Status(418)),
            ("204", Trick::Status(204)),
        ] {
            upstream.always("pub/a", trick);
            let server = stage_with(&to(&upstream, mode), IMPATIENT);
            assert_trouble(&server, &upstream, "pub/a", 502, "BadGateway");
            let told = get(&server, "pub/a").text();
            assert!(name == "hangs up" || told.contains(name), "{mode}: {name} is not in {told}");
        }
    }
}

/// RFC 9112 section 6.3: its end may be seen in two places, so that it would be passed on cut.
#[test]
fn an_answer_that_is_framed_twice_is_502() {
    for mode in ["proxy", "cache"] {
        let upstream = Hostile::with([("pub/a", content(1, 100_000))]);
        upstream.always("pub/a", Trick::Headers(vec![("Transfer-Encoding", "chunked".to_owned())]));
        let server = stage_with(&to(&upstream, mode), IMPATIENT);
        assert_trouble(&server, &upstream, "pub/a", 502, "BadGateway");
        assert!(get(&server, "pub/a").text().contains("framed its answer twice"), "{mode}");
    }
}

/// However many bodies are on their way, heads and listings are still asked for.
#[test]
fn slow_bodies_keep_neither_heads_nor_listings_waiting() {
    let upstream = Hostile::with([
        (format!("{PRODUCTION}/pub/a"), content(1, 100_000)),
        (format!("{PRODUCTION}/pub/b"), b"bytes".to_vec()),
    ]);
    let gate = Gate::default();
    upstream.always(&format!("{PRODUCTION}/pub/a"), Trick::Get(Box::new(Trick::HoldAfter(10, gate.clone()))));
    let server = stage_with(&s3(&upstream, "proxy"), "[upstream]\nconnections = 1\nhead_timeout = \"1s\"\n");
    let mut client = super::http::Connection::open(server.address());
    let request = format!("GET {} HTTP/1.1\r\nHost: stage\r\n\r\n", super::stage::path("pub/a"));
    client.send(request.as_bytes()).expect("sent");
    assert_eq!(client.head().expect("a head").status, 200);
    assert_eq!(read(&server, Face::Plain, "HEAD", "pub/b").status, 200, "a head");
    let listed = send(&server, "GET", "/stage?list-type=2", "", b"");
    assert!(listed.status == 200 && listed.text().contains("<Key>pub/b</Key>"), "{listed:?}");
    let answer = get(&server, "pub/b");
    assert_eq!((answer.status, answer.code().as_str()), (504, "GatewayTimeout"), "{answer:?}");
    gate.open();
}

/// A listing whose bytes come one by one would go on for hours, and no byte is late.
#[test]
fn a_listing_that_drips_is_504() {
    let keys = (0..500).map(|number| (format!("{PRODUCTION}/pub/{number}"), b"bytes"));
    let upstream = Hostile::with(keys);
    upstream.always(PRODUCTION, Trick::DripAfter(100));
    let times = "[upstream]\nrequest_timeout = \"500ms\"\nretries = 0\n";
    let server = stage_with(&s3(&upstream, "proxy"), times);
    for target in ["/stage?list-type=2", "/storage/v1/b/stage/o", "/pub/"] {
        let answer = send(&server, "GET", target, "", b"");
        assert_eq!(answer.status, 504, "{target}: {answer:?}");
    }
}

/// Nobody listens there at all.
#[test]
fn an_upstream_that_is_not_there_is_502() {
    let upstream = Hostile::start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("a bound socket has an address");
    drop(listener);
    let rest = format!("mode = \"proxy\"\nto = \"http://{address}/\"");
    let server = stage_with(&rule("**", &rest), IMPATIENT);
    let answer = get(&server, "pub/a");
    assert_eq!((answer.status, answer.code().as_str()), (502, "BadGateway"), "{answer:?}");
    assert!(answer.text().contains(&address.to_string()), "{answer:?}");
    upstream.assert_not_asked("it is another one");
}

/// A body that stops coming ends the answer; it never hangs.
#[test]
fn a_body_that_stalls_is_cut_off() {
    for mode in ["proxy", "cache"] {
        let upstream = Hostile::with([("pub/a", content(1, 500_000))]);
        upstream.always("pub/a", Trick::HoldAfter(100_000, Gate::default()));
        let server = stage_with(&to(&upstream, mode), IMPATIENT);
        for face in [Face::Plain, Face::Gcs, Face::Archive] {
            let answer = try_read(&server, face, "GET", "pub/a", "");
            let whole = answer.as_ref().is_ok_and(|answer| answer.status == 200);
            assert!(!whole, "{mode} {face:?}");
        }
    }
}

#[test]
fn reads_that_failed_before_their_head_are_tried_again() {
    for status in [500, 502, 503, 504, 429] {
        let upstream = Hostile::with([("pub/a", b"bytes")]);
        upstream.next("pub/a", [Trick::Status(status), Trick::HangUp]);
        let server = stage_with(&to(&upstream, "proxy"), "[upstream]\nretries = 2");
        let answer = get(&server, "pub/a");
        assert_eq!((answer.status, answer.text().as_str()), (200, "bytes"), "{status}: {answer:?}");
        assert_eq!(upstream.take_lines(), ["GET pub/a"; 3], "{status}");

        upstream.next("pub/a", [Trick::Status(status), Trick::Status(status), Trick::Status(status)]);
        assert_eq!(get(&server, "pub/a").status, 502, "{status}");
        assert_eq!(upstream.take_lines(), ["GET pub/a"; 3], "{status}: the budget is spent");
    }
}

#[test]
fn what_cannot_get_better_is_not_tried_again() {
    let upstream = Hostile::with([("pub/a", b"bytes")]);
    let server = stage_with(&to(&upstream, "proxy"), "[upstream]\nretries = 3\nabsent_ttl = \"0s\"");
    for (trick, status) in [(403, 502), (404, 404), (410, 404), (400, 502)] {
        upstream.next("pub/a", [Trick::Status(trick)]);
        assert_eq!(get(&server, "pub/a").status, status, "{trick}");
        assert_eq!(upstream.take_lines(), ["GET pub/a"], "{trick}");
    }
}

/// After some failures in a row production is left alone; everything that is here goes on.
#[test]
fn the_breaker_opens_and_says_so_and_closes_again() {
    let upstream = Hostile::with([("pub/a", b"bytes")]);
    let budget =
        "[upstream]\nretries = 0\nbreaker_failures = 3\nbreaker_pause = \"500ms\"\nhead_timeout = \"5s\"\n";
    let server = stage_with(&to(&upstream, "proxy"), budget);
    put(&server, "pub/here", b"here");
    assert_eq!(get(&server, "pub/a").status, 200);
    assert_eq!(heartbeat(&server)["status"], "ok");
    upstream.take_seen();

    upstream.go_down();
    for _ in 0..3 {
        assert_eq!(get(&server, "pub/a").status, 502);
    }
    let asked = upstream.take_seen().len();
    let answer = get(&server, "pub/a");
    if answer.status == 502 {
        // A machine that was busy for half a second lets one trial through.
        upstream.take_seen();
    } else {
        assert_eq!((answer.status, answer.code().as_str()), (503, "ServiceUnavailable"), "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        assert!(answer.text().contains(&upstream.address().to_string()), "{answer:?}");
        upstream.assert_not_asked("it is left alone");
    }
    assert!(asked <= 3, "{asked} requests for three reads");
    let beat = heartbeat(&server);
    assert_eq!(beat["status"], "warning", "{beat}");
    assert!(beat.to_string().contains(&upstream.address().to_string()), "{beat}");
    assert_eq!(get(&server, "pub/here").text(), "here");

    upstream.come_back();
    let deadline = std::time::Instant::now() + super::server::PATIENCE;
    while get(&server, "pub/a").status != 200 {
        assert!(std::time::Instant::now() < deadline, "the breaker never closes");
        std::thread::yield_now();
    }
    assert_eq!(get(&server, "pub/a").status, 200);
    assert_eq!(heartbeat(&server)["status"], "ok");
}

/// Half-open lets one request try, however many wait for it.
#[test]
fn a_breaker_that_is_open_does_not_let_a_crowd_through() {
    let upstream = Hostile::with([("pub/a", b"bytes")]);
    let budget = "[upstream]\nretries = 0\nbreaker_failures = 2\nbreaker_pause = \"1h\"\n";
    let server = stage_with(&to(&upstream, "proxy"), budget);
    upstream.always("pub/a", Trick::Status(500));
    for _ in 0..2 {
        assert_eq!(get(&server, "pub/a").status, 502);
    }
    upstream.take_seen();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(get(&server, "pub/a").status, 503));
        }
    });
    upstream.assert_not_asked("it is left alone for an hour");
    let metrics = super::stage::metrics(&server);
    let name = upstream.address().to_string();
    let of_upstream: Vec<_> = metrics.lines().filter(|line| line.contains(&name)).collect();
    assert!(!of_upstream.is_empty(), "no metric names the upstream:\n{metrics}");
    assert!(
        of_upstream.iter().any(|line| line.contains("down") && line.ends_with(" 1")),
        "no metric says that it is down: {of_upstream:#?}"
    );
}

#[test]
fn no_more_requests_than_allowed_are_on_their_way_at_a_time() {
    let upstream = Hostile::start();
    let gate = Gate::default();
    for number in 0..12 {
        let key = format!("pub/{number}");
        upstream.put(&*key, File::new(*b"bytes"));
        upstream.always(&key, Trick::HoldHead(gate.clone()));
    }
    let server = stage_with(&to(&upstream, "proxy"), "[upstream]\nconnections = 3\n");
    std::thread::scope(|scope| {
        for number in 0..12 {
            let server = &server;
            scope.spawn(move || assert_eq!(get(server, &format!("pub/{number}")).text(), "bytes"));
        }
        upstream.wait_seen("three requests", |seen| seen.len() >= 3);
        gate.open();
    });
    assert_eq!(upstream.running_max(), 3);
}

#[test]
fn a_probe_turns_a_redirect_to_nothing_into_a_404() {
    let upstream = Hostile::with([("pub/a", b"bytes")]);
    let rest = format!("mode = \"redirect\"\nprobe = true\nto = \"{}\"", upstream.url());
    let server = stage_with(&rule("**", &rest), IMPATIENT);
    for face in Face::ALL {
        assert_eq!(read(&server, face, "GET", "pub/a").status, 302, "{face:?}");
        assert_eq!(read(&server, face, "GET", "pub/none").status, 404, "{face:?}");
    }
    let asked = upstream.take_lines();
    assert!(asked.iter().all(|line| line.starts_with("HEAD ")), "{asked:?}");
    assert!(asked.len() <= 4, "answers of probes are remembered: {asked:?}");
    upstream.go_down();
    let answer = get(&server, "pub/b");
    assert_eq!(answer.status, 502, "trouble is not a 404: {answer:?}");
}

#[test]
fn it_is_remembered_for_a_while_that_there_is_no_such_key() {
    for mode in ["proxy", "cache"] {
        let upstream = Hostile::start();
        let server = stage_with(&to(&upstream, mode), "[upstream]\nabsent_ttl = \"1h\"");
        for face in Face::ALL {
            assert_eq!(read(&server, face, "GET", "pub/none").status, 404, "{mode} {face:?}");
        }
        assert_eq!(upstream.take_lines(), ["GET pub/none"], "{mode}");
        // A write here ends the matter at once.
        put(&server, "pub/none", b"here");
        assert_eq!(get(&server, "pub/none").text(), "here", "{mode}");
        upstream.assert_not_asked(mode);

        let forgetful = stage_with(&to(&upstream, mode), "[upstream]\nabsent_ttl = \"0s\"");
        assert_eq!(get(&forgetful, "pub/late").status, 404, "{mode}");
        upstream.put("pub/late", File::new(*b"late"));
        assert_eq!(get(&forgetful, "pub/late").text(), "late", "{mode}");
    }
}

/// What is not a listing is trouble, and never an empty bucket.
#[test]
fn a_listing_that_fails_is_an_error() {
    let upstream = Hostile::with([(format!("{PRODUCTION}/pub/a"), b"bytes")]);
    for trick in [
        Trick::Status(500),
        Trick::Status(403),
        Trick::Status(404),
        Trick::HangUp,
        Trick::CutAfter(50),
        Trick::Headers(vec![("Content-Length", "0".to_owned())]),
        Trick::HoldHead(Gate::default()),
    ] {
        upstream.always(PRODUCTION, trick);
        let server = stage_with(&s3(&upstream, "proxy"), IMPATIENT);
        put(&server, "pub/here", b"here");
        for target in ["/stage?list-type=2", "/stage", "/stage?versions", "/storage/v1/b/stage/o", "/pub/"] {
            let answer = send(&server, "GET", target, "", b"");
            assert!(matches!(answer.status, 500..=504), "{target}: {answer:?}");
        }
    }
}
