//! `cache`: kept once, only whole and verified, within bounds, and as production's afterwards.

use std::path::Path;
use std::time::Instant;

use super::hostile::{File, Gate, Hostile, Progress, Trick};
use super::http::Connection;
use super::server::{PATIENCE, Server};
use super::stage::{
    Face, content, delete, get, path, put, read, read_with, rule, setup, stage_with, to, try_read,
};

/// More than an object in the index may have, so that it is a file.
const LARGE: usize = 300_000;

/// A stage that keeps, and tries nothing twice.
fn keeping(upstream: &Hostile, tables: &str) -> Server {
    stage_with(&to(upstream, "cache"), &format!("[upstream]\nretries = 0\n{tables}"))
}

/// All files below a folder, and their sizes together.
fn files(folder: &Path) -> (usize, u64) {
    let Ok(entries) = std::fs::read_dir(folder) else { return (0, 0) };
    entries.flatten().fold((0, 0), |(count, size), entry| match entry.metadata() {
        Ok(found) if found.is_dir() => {
            let (below, bytes) = files(&entry.path());
            (count + below, size + bytes)
        }
        Ok(found) => (count + 1, size + found.len()),
        Err(_) => (count, size),
    })
}

#[test]
fn a_file_is_fetched_once_and_served_with_production_down() {
    for size in [0, 1, 1000, LARGE] {
        let bytes = content(1, size);
        let upstream = Hostile::start();
        let file = File::new(bytes.clone())
            .header("Content-Type", "application/x-xpinstall")
            .header("Cache-Control", "public, max-age=14400")
            .header("x-amz-meta-build", "7");
        upstream.put("pub/a", file);
        let server = keeping(&upstream, "");
        let first = get(&server, "pub/a");
        assert!(first.status == 200 && first.body == bytes, "{size}: {first:?}");
        assert_eq!(upstream.take_lines(), ["GET pub/a"], "{size}");
        upstream.go_down();
        for face in Face::ALL {
            let again = read(&server, face, "GET", "pub/a");
            assert!(again.status == 200 && again.body == bytes, "{size} {face:?}: {again:?}");
            // The JSON dialect has tags of its own.
            let skipped = usize::from(face == Face::Gcs);
            for name in ["etag", "last-modified", "content-type", "cache-control"].into_iter().skip(skipped) {
                assert_eq!(again.header(name), first.header(name), "{size} {face:?}: {name}");
            }
        }
        assert_eq!(first.header("last-modified"), Some("Wed, 04 Nov 2020 10:00:00 GMT"), "{size}");
        assert_eq!(get(&server, "pub/a").header("x-amz-meta-build"), Some("7"), "{size}");
        assert_eq!(
            read(&server, Face::Plain, "HEAD", "pub/a").header("content-length"),
            Some(&*size.to_string())
        );
        upstream.assert_not_asked("everything is here");
    }
}

#[test]
fn followers_stream_along_while_the_file_comes() {
    let bytes = content(2, 6_000_000);
    let upstream = Hostile::with([("pub/a", &bytes)]);
    let gate = Gate::default();
    upstream.always("pub/a", Trick::HoldAfter(4_000_000, gate.clone()));
    let server = keeping(&upstream, "");
    let mut clients: Vec<_> = (0..8).map(|_| Connection::open(server.address())).collect();
    let mut bodies = vec![vec![0; bytes.len()]; clients.len()];
    for (client, body) in clients.iter_mut().zip(&mut bodies) {
        client
            .send(format!("GET {} HTTP/1.1\r\nHost: stage\r\n\r\n", path("pub/a")).as_bytes())
            .expect("sent");
        assert_eq!(client.head().expect("a head").header("content-length"), Some("6000000"));
        client.read_exact(&mut body[..1_500_000]).expect("what has come is passed on");
    }
    gate.open();
    for (client, body) in clients.iter_mut().zip(&mut bodies) {
        client.read_exact(&mut body[1_500_000..]).expect("the rest");
        assert!(*body == bytes, "another's bytes");
    }
    assert_eq!(upstream.take_lines(), ["GET pub/a"]);
}

/// The first client leaves; the file comes all the same.
#[test]
fn a_client_that_leaves_does_not_stop_what_others_wait_for() {
    let bytes = content(3, 6_000_000);
    let upstream = Hostile::with([("pub/a", &bytes)]);
    let gate = Gate::default();
    upstream.always("pub/a", Trick::HoldAfter(4_000_000, gate.clone()));
    let server = keeping(&upstream, "");
    let mut first = Connection::open(server.address());
    first.send(b"GET /pub/a HTTP/1.1\r\nHost: stage\r\n\r\n").expect("sent");
    first.read_exact(&mut [0; 10_000]).expect("the body begins");
    drop(first);
    gate.open();
    upstream.wait_transfer("pub/a", Progress::Whole);
    assert!(get(&server, "pub/a").body == bytes);
    upstream.go_down();
    assert!(get(&server, "pub/a").body == bytes);
    assert_eq!(upstream.take_lines(), ["GET pub/a"]);
}

/// Neither a body that ends early nor one with another digest is kept or passed off as whole.
#[test]
fn nothing_is_kept_that_is_not_whole_and_verified() {
    let bytes = content(4, LARGE);
    let wrong = "\"00000000000000000000000000000000\"".to_owned();
    let google = "crc32c=AAAAAA==,md5=AAAAAAAAAAAAAAAAAAAAAA==".to_owned();
    let tricks = [
        ("cut", Trick::CutAfter(LARGE / 2)),
        ("almost", Trick::CutAfter(LARGE - 1)),
        ("etag", Trick::Headers(vec![("ETag", wrong.clone())])),
        ("hash", Trick::Headers(vec![("ETag", "\"opaque\"".into()), ("x-goog-hash", google)])),
        ("hang-up", Trick::HangUp),
    ];
    for (name, trick) in tricks {
        let upstream = Hostile::with([("pub/a", &bytes)]);
        upstream.next("pub/a", [trick]);
        let server = keeping(&upstream, "");
        let came = try_read(&server, Face::Plain, "GET", "pub/a", "");
        let whole = came.as_ref().is_ok_and(|answer| answer.status == 200);
        assert!(!whole, "{name}: it came as if nothing was wrong");
        let folders = ["blobs", "staging"].map(|folder| server.data_dir().join(folder));
        until("nothing is kept", || folders.iter().all(|folder| files(folder).0 == 0));
        assert!(get(&server, "pub/a").body == bytes, "{name}: the second try");
        assert_eq!(upstream.take_lines(), ["GET pub/a", "GET pub/a"], "{name}");
        upstream.go_down();
        assert!(get(&server, "pub/a").body == bytes, "{name}: the good one is kept");
    }
}

/// A tag that is not an MD5, as of a multipart upload, is no reason to refuse.
#[test]
fn a_tag_that_is_no_digest_is_kept_as_it_is() {
    let upstream = Hostile::start();
    let etag = "\"0123456789abcdef0123456789abcdef-3\"";
    upstream.put("pub/a", File::new(content(5, LARGE)).header("ETag", etag));
    let server = keeping(&upstream, "");
    assert_eq!(get(&server, "pub/a").header("etag"), Some(etag));
    upstream.go_down();
    assert_eq!(get(&server, "pub/a").header("etag"), Some(etag));
}

#[test]
fn a_range_of_a_cold_key_is_answered_while_the_file_comes() {
    let bytes = content(6, LARGE);
    let upstream = Hostile::with([("pub/a", &bytes)]);
    let gate = Gate::default();
    upstream.always("pub/a", Trick::Whole(Box::new(Trick::HoldAfter(10, gate.clone()))));
    let server = keeping(&upstream, "");
    for face in [Face::Plain, Face::Sdk, Face::Archive] {
        let answer = read_with(&server, face, "GET", "pub/a", "Range: bytes=200000-200009\r\n");
        assert_eq!(answer.status, 206, "{face:?}: {answer:?}");
        assert!(answer.body == bytes[200_000..200_010], "{face:?}");
        assert_eq!(answer.header("content-range"), Some("bytes 200000-200009/300000"), "{face:?}");
    }
    upstream.wait_seen("a fetch of the whole file", |seen| {
        seen.iter().any(|seen| seen.method == "GET" && seen.header("range").is_none())
    });
    gate.open();
    assert!(get(&server, "pub/a").body == bytes);
    let whole = upstream.take_seen().into_iter().filter(|seen| seen.header("range").is_none()).count();
    assert_eq!(whole, 1, "fetches of the whole file");
    upstream.go_down();
    let answer = read_with(&server, Face::Plain, "GET", "pub/a", "Range: bytes=-5\r\n");
    assert!(answer.status == 206 && answer.body == bytes[LARGE - 5..], "{answer:?}");
}

#[test]
fn head_of_a_cold_key_keeps_nothing() {
    let upstream = Hostile::with([("pub/a", b"bytes")]);
    let server = keeping(&upstream, "");
    for face in [Face::Plain, Face::Signed, Face::Archive] {
        let answer = read(&server, face, "HEAD", "pub/a");
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("5")), "{face:?}");
    }
    assert!(upstream.take_lines().iter().all(|line| line == "HEAD pub/a"));
    upstream.go_down();
    assert_eq!(get(&server, "pub/a").status, 502, "there is nothing to serve");
}

#[test]
fn conditions_hold_of_a_cold_key_as_of_a_kept_one() {
    let bytes = content(7, LARGE);
    let file = File::new(bytes.clone());
    let etag = file.value("ETag").expect("a tag").to_owned();
    for warm in [false, true] {
        let upstream = Hostile::start();
        upstream.put("pub/a", file.clone());
        for (line, status) in [
            (format!("If-None-Match: {etag}\r\n"), 304),
            ("If-Match: \"other\"\r\n".to_owned(), 412),
            ("If-Modified-Since: Wed, 04 Nov 2020 10:00:00 GMT\r\n".to_owned(), 304),
            ("If-Unmodified-Since: Tue, 03 Nov 2020 10:00:00 GMT\r\n".to_owned(), 412),
            (format!("If-Match: {etag}\r\n"), 200),
        ] {
            let server = keeping(&upstream, "");
            if warm {
                get(&server, "pub/a");
            }
            let answer = read_with(&server, Face::Plain, "GET", "pub/a", &line);
            assert_eq!(answer.status, status, "{line} {warm}: {answer:?}");
        }
    }
}

/// The least recently used goes first, and what was written never.
#[test]
fn the_bound_is_kept_by_dropping_what_was_used_least_recently() {
    let upstream = Hostile::start();
    for name in ["a", "b", "c"] {
        upstream.put(format!("pub/{name}"), File::new(content(8, LARGE)));
    }
    let server = keeping(&upstream, "[cache]\nmax_size = \"700 KiB\"\n");
    let written = content(9, 2_000_000);
    put(&server, "pub/written", &written);
    for name in ["a", "b", "a", "c"] {
        assert_eq!(get(&server, &format!("pub/{name}")).status, 200, "{name}");
    }
    let bound = 2_000_000 + 700 * 1024;
    let blobs = server.data_dir().join("blobs");
    until("the bound is kept", || files(&blobs).1 <= bound);
    upstream.take_seen();
    upstream.go_down();
    for (name, status) in [("a", 200), ("c", 200), ("b", 502), ("written", 200)] {
        assert_eq!(get(&server, &format!("pub/{name}")).status, status, "{name}");
    }
    assert!(get(&server, "pub/written").body == written);
}

/// Without a length nobody can say beforehand whether there is room for it: it may never end.
#[test]
fn a_body_of_unknown_length_takes_no_more_than_the_cache_may_hold() {
    let upstream = Hostile::start();
    upstream.put("pub/a", File::zeros(64 << 20));
    upstream.always("pub/a", Trick::Chunked);
    let server = keeping(&upstream, "[cache]\nmax_size = \"1 MiB\"\n");
    let answer = get(&server, "pub/a");
    assert_eq!((answer.status, answer.body.len()), (200, 64 << 20), "it is passed through");
    assert_eq!(upstream.take_lines(), ["GET pub/a", "GET pub/a"], "and the fetch was given up");
    let folders = ["blobs", "staging"].map(|folder| server.data_dir().join(folder));
    until("nothing is kept", || folders.iter().all(|folder| files(folder).0 == 0));
    assert_eq!(get(&server, "pub/a").body.len(), 64 << 20);
    assert_eq!(upstream.take_lines(), ["GET pub/a"], "it is known by now");
    let copy = format!("x-amz-copy-source: {}\r\n", path("pub/a"));
    let refused = super::stage::send(&server, "PUT", &path("pub/copy"), &copy, b"");
    assert_eq!(refused.status, 502, "{refused:?}");
    assert!(refused.text().contains("max_size in [cache]"), "{refused:?}");
}

/// Nothing is kept past its age.
#[test]
fn what_is_too_old_is_fetched_again() {
    let upstream = Hostile::with([("pub/a", b"old")]);
    let server = keeping(&upstream, "[cache]\nmax_age = \"1s\"\n");
    put(&server, "pub/written", b"written");
    assert_eq!(get(&server, "pub/a").text(), "old");
    upstream.put("pub/a", File::new(*b"new"));
    // Each fetch looks for what has become too old.
    let mut number = 0;
    until("the new one is fetched", || {
        number += 1;
        upstream.put(format!("pub/other{number}"), File::new(*b"other"));
        assert_eq!(get(&server, &format!("pub/other{number}")).text(), "other");
        get(&server, "pub/a").text() == "new"
    });
    assert_eq!(get(&server, "pub/written").text(), "written");
}

/// Asks again and again, with a deadline instead of a pace.
#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn what_was_kept_is_there_after_a_kill() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    let bytes = content(10, LARGE);
    let upstream = Hostile::with([("pub/a", &bytes)]);
    let mut server = Server::start(&setup(&to(&upstream, "cache"), "", Some(&data)));
    assert!(get(&server, "pub/a").body == bytes);
    // A second read is answered from the store: the first was acknowledged and committed.
    assert!(get(&server, "pub/a").body == bytes);
    server.kill();
    upstream.go_down();
    let server = Server::start(&setup(&to(&upstream, "cache"), "", Some(&data)));
    assert!(get(&server, "pub/a").body == bytes);
}

/// Kept objects are production's: they go out of sight with it, and give way to what is written.
#[test]
fn what_was_kept_behaves_as_productions() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    let key = "pub/firefox/releases/83.0/a";
    let upstream = Hostile::with([(key, "bytes"), ("pub/b", "bytes"), ("pub/c", "bytes")]);
    {
        let server = Server::start(&setup(&to(&upstream, "cache"), "", Some(&data)));
        for key in [key, "pub/b", "pub/c"] {
            assert_eq!(get(&server, key).text(), "bytes");
        }
        put(&server, "pub/b", b"written");
        delete(&server, "pub/c");
        assert_eq!(get(&server, "pub/b").text(), "written");
        assert_eq!(get(&server, "pub/c").status, 404);
    }
    upstream.take_seen();
    let release = "[release]\nunder_test = [\"firefox-83.0-build1\"]";
    let server = Server::start(&setup(&to(&upstream, "cache"), release, Some(&data)));
    for face in Face::ALL {
        let answer = read(&server, face, "GET", key);
        assert_eq!(answer.status, 404, "{face:?}: the release under test is seen: {answer:?}");
        assert_eq!(read(&server, face, "GET", "pub/b").text(), "written", "{face:?}");
        assert_eq!(read(&server, face, "GET", "pub/c").status, 404, "{face:?}");
    }
    upstream.assert_not_asked("nothing of it is looked for");
}

/// Modes change from start to start; what is here is served whatever they say, unless it is hidden.
#[test]
fn what_was_kept_is_served_by_other_modes_too_but_not_by_deny() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    let upstream = Hostile::with([("pub/a", "bytes")]);
    drop({
        let server = Server::start(&setup(&to(&upstream, "cache"), "", Some(&data)));
        get(&server, "pub/a")
    });
    upstream.go_down();
    for (mode, status) in [("proxy", 200), ("auto", 200), ("deny", 404)] {
        let rules = match mode {
            "deny" => rule("**", "mode = \"deny\""),
            _ => to(&upstream, mode),
        };
        let server = Server::start(&setup(&rules, "", Some(&data)));
        assert_eq!(get(&server, "pub/a").status, status, "{mode}");
    }
    let server = Server::start(&setup("", "", Some(&data)));
    assert_eq!(get(&server, "pub/a").status, 404, "no rule");
}
