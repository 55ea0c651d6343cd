//! Stages whose upstream is a stage: a chain works, a ring ends with 508.

use std::net::TcpListener;

use super::hostile::{Hostile, Trick};
use super::http::Answer;
use super::server::Server;
use super::stage::{Face, get, json, put, read, read_with, rule, send, setup, stage, to};

/// A rule for everything, to another stage's bucket.
fn behind(address: &str, mode: &str) -> String {
    rule("**", &format!("mode = \"{mode}\"\nto = \"http://{address}/stage/\""))
}

/// An address that is free now. Two stages can name each other only if one is told where to listen.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("a bound socket has an address").to_string()
}

/// A stage that listens where it is told, which overrides the harness's own port.
fn stage_at(address: &str, rules: &str) -> Server {
    let mut setup = setup(rules, "[upstream]\nretries = 0", None);
    setup.address = Some(address.to_owned());
    Server::start(&setup)
}

#[test]
fn a_chain_of_stages_reads_through() {
    let upstream = Hostile::with([("pub/a", b"bytes")]);
    let last = stage(&to(&upstream, "proxy"));
    let middle = stage(&behind(&last.address().to_string(), "cache"));
    let first = stage(&behind(&middle.address().to_string(), "proxy"));
    assert_eq!(get(&first, "pub/a").text(), "bytes");
    assert_eq!(read(&first, Face::Plain, "HEAD", "pub/none").status, 404);
    let seen = upstream.take_seen();
    let hops = seen[0].header("cdn-loop").unwrap_or_default().to_owned();
    assert_eq!(hops.matches("understudy-").count(), 3, "{hops}");
    put(&middle, "pub/b", b"middle");
    assert_eq!(get(&first, "pub/b").text(), "middle");
    assert_eq!(get(&last, "pub/b").status, 404, "nothing is ever written upstream");
}

#[track_caller]
fn assert_loop(answer: &Answer) {
    assert_eq!(answer.status, 508, "{answer:?}");
}

#[test]
fn a_ring_of_stages_is_508_for_every_kind_of_read() {
    for mode in ["proxy", "cache"] {
        let (one, two) = (free_address(), free_address());
        let first = stage_at(&one, &behind(&two, mode));
        let second = stage_at(&two, &behind(&one, mode));
        for server in [&first, &second] {
            for face in Face::ALL {
                assert_loop(&read(server, face, "GET", "pub/a"));
            }
            assert_eq!(get(server, "pub/a").code(), "LoopDetected");
            assert_loop(&read(server, Face::Plain, "HEAD", "pub/a"));
            let copy = "x-amz-copy-source: stage/pub/a\r\n";
            assert_loop(&send(server, "PUT", "/stage/copy", copy, b""));
        }
        put(&second, "pub/b", b"bytes");
        assert_eq!(get(&first, "pub/b").text(), "bytes", "what one of them has is found");
    }
}

#[test]
fn listings_of_a_ring_are_508_too() {
    let (one, two) = (free_address(), free_address());
    let place = |address: &str| {
        let rest = format!(
            "mode = \"proxy\"\ns3 = {{ bucket = \"stage\", region = \"us-east-1\", endpoint = \"http://{address}/\" }}"
        );
        rule("**", &rest)
    };
    let first = stage_at(&one, &place(&two));
    let _second = stage_at(&two, &place(&one));
    for target in ["/stage?list-type=2", "/stage", "/storage/v1/b/stage/o", "/pub/"] {
        assert_loop(&send(&first, "GET", target, "", b""));
    }
}

#[test]
fn a_stage_behind_itself_is_508() {
    let address = free_address();
    let server = stage_at(&address, &behind(&address, "proxy"));
    assert_loop(&get(&server, "pub/a"));
}

/// Nobody has to believe what a client writes, but a list of stages that long is a ring.
#[test]
fn more_than_eight_stages_on_the_way_are_a_loop() {
    let upstream = Hostile::with([("pub/a", b"bytes")]);
    let server = stage(&to(&upstream, "proxy"));
    let hops = |count: usize| {
        let names: Vec<_> = (0..count).map(|number| format!("understudy-{number:032x}")).collect();
        format!("CDN-Loop: {}, other-cdn\r\n", names.join(", "))
    };
    let answer = read_with(&server, Face::Plain, "GET", "pub/a", &hops(3));
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = upstream.take_seen();
    let sent = seen[0].header("cdn-loop").unwrap_or_default();
    assert!(sent.contains("other-cdn") && sent.matches("understudy-").count() == 4, "{sent}");
    assert_loop(&read_with(&server, Face::Plain, "GET", "pub/a", &hops(9)));
    upstream.assert_not_asked("it would go on in the ring");

    upstream.always("pub/b", Trick::Status(508));
    assert_loop(&get(&server, "pub/b"));
    // The stage itself is well.
    let beat = send(&server, "GET", "/__heartbeat__", "", b"");
    assert!(json(&beat)["status"].is_string());
}
