//! Copies of what only production has, and writes with conditions over it.

use serde_json::Value;

use super::hostile::{File, Gate, Hostile, Trick};
use super::http::Answer;
use super::server::Server;
use super::stage::{
    Face, PRODUCTION, content, elements, get, json, path, put, read, resource, s3, send, stage, stage_with,
    to,
};

const MODES: [&str; 4] = ["auto", "redirect", "proxy", "cache"];

/// A file with all that a copy takes along.
fn file(bytes: Vec<u8>) -> File {
    File::new(bytes)
        .header("Content-Type", "application/x-xpinstall")
        .header("Cache-Control", "public, max-age=14400")
        .header("x-amz-meta-build", "7")
}

#[track_caller]
fn copy(server: &Server, key: &str, lines: &str) -> Answer {
    let source = format!("x-amz-copy-source: {}\r\n{lines}", path("pub/source"));
    send(server, "PUT", &path(key), &source, b"")
}

/// GETs of the source.
fn fetches(upstream: &Hostile) -> usize {
    upstream
        .take_lines()
        .iter()
        .filter(|line| line.starts_with("GET ") && line.ends_with("pub/source"))
        .count()
}

#[test]
fn copy_object_materialises_its_source_once() {
    let bytes = content(1, 200_000);
    for mode in MODES {
        let upstream = Hostile::start();
        upstream.put("pub/source", file(bytes.clone()));
        let server = stage(&to(&upstream, mode));
        let answer = copy(&server, "copy/one", "");
        assert_eq!(answer.status, 200, "{mode}: {answer:?}");
        let etag = file(bytes.clone()).value("ETag").expect("a tag").to_owned();
        assert_eq!(elements(&answer.text(), "ETag"), [&*etag], "{mode}");
        assert_eq!(copy(&server, "copy/two", "").status, 200, "{mode}");
        assert_eq!(fetches(&upstream), 1, "{mode}: the second copy needs no fetch");
        upstream.go_down();
        for key in ["copy/one", "copy/two"] {
            for face in [Face::Plain, Face::Gcs] {
                assert!(read(&server, face, "GET", key).body == bytes, "{mode} {key} {face:?}");
            }
            let answer = get(&server, key);
            assert_eq!(answer.header("etag"), Some(&*etag), "{mode}");
            assert_eq!(answer.header("content-type"), Some("application/x-xpinstall"), "{mode}");
            assert_eq!(answer.header("cache-control"), Some("public, max-age=14400"), "{mode}");
            assert_eq!(answer.header("x-amz-meta-build"), Some("7"), "{mode}");
        }
    }
}

#[test]
fn concurrent_copies_of_one_source_make_one_fetch() {
    let bytes = content(2, 300_000);
    let upstream = Hostile::with([("pub/source", &bytes)]);
    let gate = Gate::default();
    upstream.always("pub/source", Trick::Get(Box::new(Trick::HoldAfter(100_000, gate.clone()))));
    let server = stage(&to(&upstream, "redirect"));
    std::thread::scope(|scope| {
        let copies: Vec<_> = (0..8)
            .map(|number| {
                let server = &server;
                scope.spawn(move || copy(server, &format!("copy/{number}"), "").status)
            })
            .collect();
        upstream.wait_seen("a fetch", |seen| seen.iter().any(|seen| seen.method == "GET"));
        gate.open();
        for copy in copies {
            assert_eq!(copy.join().expect("a copy"), 200);
        }
    });
    assert_eq!(fetches(&upstream), 1);
    for number in 0..8 {
        assert!(get(&server, &format!("copy/{number}")).body == bytes);
    }
}

#[test]
fn upload_part_copy_takes_whole_sources_and_ranges() {
    let bytes = content(3, 6 << 20);
    let upstream = Hostile::with([("pub/source", &bytes)]);
    let server = stage(&to(&upstream, "redirect"));
    let begun = send(&server, "POST", "/stage/joined?uploads", "", b"");
    let upload = elements(&begun.text(), "UploadId").pop().unwrap_or_else(|| panic!("{begun:?}"));
    let part = |number: u32, lines: &str| {
        let target = format!("/stage/joined?partNumber={number}&uploadId={upload}");
        let answer = send(
            &server,
            "PUT",
            &target,
            &format!("x-amz-copy-source: {}\r\n{lines}", path("pub/source")),
            b"",
        );
        assert_eq!(answer.status, 200, "{answer:?}");
        let etag = elements(&answer.text(), "ETag").pop().expect("a tag");
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
    };
    let parts = [part(1, ""), part(2, "x-amz-copy-source-range: bytes=1000-1999\r\n")];
    let body = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.concat());
    let done = send(&server, "POST", &format!("/stage/joined?uploadId={upload}"), "", body.as_bytes());
    assert_eq!(done.status, 200, "{done:?}");
    assert!(get(&server, "joined").body == [&bytes[..], &bytes[1000..2000]].concat());
    assert_eq!(fetches(&upstream), 1);
}

#[test]
fn gcs_rewrite_copy_and_compose_materialise_their_sources_once() {
    let bytes = content(4, 200_000);
    for mode in MODES {
        let upstream = Hostile::start();
        upstream.put("pub/source", file(bytes.clone()));
        let server = stage(&to(&upstream, mode));
        let source = resource("pub/source");
        let rewritten =
            json(&send(&server, "POST", &format!("{source}/rewriteTo/b/stage/o/rewritten"), "", b""));
        assert_eq!(rewritten["done"], true, "{mode}: {rewritten}");
        assert_eq!(rewritten["resource"]["contentType"], "application/x-xpinstall", "{mode}");
        let copied = json(&send(&server, "POST", &format!("{source}/copyTo/b/stage/o/copied"), "", b""));
        assert_eq!(copied["cacheControl"], "public, max-age=14400", "{mode}: {copied}");
        let body = r#"{"sourceObjects":[{"name":"pub/source"},{"name":"copied"}],"destination":{"contentType":"a/b"}}"#;
        let kind = "Content-Type: application/json\r\n";
        let composed = send(&server, "POST", "/storage/v1/b/stage/o/composed/compose", kind, body.as_bytes());
        assert_eq!(json(&composed)["size"], "400000", "{mode}");
        assert_eq!(fetches(&upstream), 1, "{mode}");
        upstream.go_down();
        assert!(get(&server, "rewritten").body == bytes && get(&server, "copied").body == bytes, "{mode}");
        assert!(get(&server, "composed").body == [&bytes[..], &bytes[..]].concat(), "{mode}");
    }
}

/// What changes an object's metadata takes it here first.
#[test]
fn metadata_and_tags_of_productions_objects_can_be_changed_here() {
    for mode in MODES {
        let upstream = Hostile::with([("pub/source", b"bytes"), ("pub/tagged", b"bytes")]);
        let server = stage(&to(&upstream, mode));
        let kind = "Content-Type: application/json\r\n";
        let patch = br#"{"cacheControl":"no-store"}"#;
        let patched: Value = json(&send(&server, "PATCH", &resource("pub/source"), kind, patch));
        assert_eq!((&patched["cacheControl"], &patched["size"]), (&"no-store".into(), &"5".into()), "{mode}");
        let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
        let answer = send(&server, "PUT", "/stage/pub/tagged?tagging", "", tags.as_bytes());
        assert_eq!(answer.status, 200, "{mode}: {answer:?}");
        let answer = send(&server, "GET", "/stage/pub/tagged?tagging", "", b"");
        assert_eq!(elements(&answer.text(), "Value"), ["b"], "{mode}: {answer:?}");
        upstream.go_down();
        let answer = get(&server, "pub/source");
        assert_eq!(
            (answer.text().as_str(), answer.header("cache-control")),
            ("bytes", Some("no-store")),
            "{mode}"
        );
        assert_eq!(get(&server, "pub/tagged").text(), "bytes", "{mode}");
    }
}

#[test]
fn a_copy_of_what_cannot_be_had_fails_and_leaves_nothing() {
    let upstream = Hostile::with([("pub/source", content(5, 200_000))]);
    let server = stage_with(&to(&upstream, "proxy"), "[upstream]\nretries = 0\nabsent_ttl = \"0s\"\n");
    for (trick, status) in [
        (Trick::Status(404), 404),
        (Trick::Status(500), 502),
        (Trick::CutAfter(1000), 502),
        (Trick::Headers(vec![("ETag", "\"00000000000000000000000000000000\"".into())]), 502),
    ] {
        upstream.always("pub/source", trick);
        let answer = copy(&server, "copy", "");
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(get(&server, "copy").status, 404);
    }
    upstream.always("pub/source", Trick::Fine);
    assert_eq!(copy(&server, "copy", "").status, 200);
}

/// The conditions of a write are about what is seen, and production's objects are.
#[test]
fn conditions_of_writes_hold_of_productions_objects() {
    for mode in MODES {
        let upstream = Hostile::start();
        for key in ["pub/source", "pub/a", "pub/b", "pub/c", "pub/d"] {
            upstream.put(key, File::new(*b"production"));
        }
        let etag = File::new(*b"production").value("ETag").expect("a tag").to_owned();
        let server = stage(&to(&upstream, mode));
        let write = |key: &str, lines: &str| send(&server, "PUT", &path(key), lines, b"here").status;
        assert_eq!(write("pub/a", "If-None-Match: *\r\n"), 412, "{mode}");
        assert_eq!(write("pub/new", "If-None-Match: *\r\n"), 200, "{mode}");
        assert_eq!(write("pub/a", "If-Match: \"other\"\r\n"), 412, "{mode}");
        assert_eq!(write("pub/a", &format!("If-Match: {etag}\r\n")), 200, "{mode}");
        assert_eq!(get(&server, "pub/a").text(), "here", "{mode}");
        let upload = |key: &str, query: &str| {
            let target = format!("/upload/storage/v1/b/stage/o?uploadType=media&name={key}{query}");
            send(&server, "POST", &target, "Content-Type: a/b\r\n", b"here").status
        };
        assert_eq!(upload("pub%2Fb", "&ifGenerationMatch=0"), 412, "{mode}");
        assert_eq!(upload("pub%2Fnew2", "&ifGenerationMatch=0"), 200, "{mode}");
        assert_eq!(upload("pub%2Fb", ""), 200, "{mode}");
        // A copy onto it is a write, too.
        assert_eq!(copy(&server, "pub/c", "If-None-Match: *\r\n").status, 412, "{mode}");
        assert_eq!(copy(&server, "pub/c", "").status, 200, "{mode}");
        // What was deleted here is not there, whatever production has.
        super::stage::delete(&server, "pub/d");
        assert_eq!(write("pub/d", "If-None-Match: *\r\n"), 200, "{mode}");
        assert!(upstream.take_seen().iter().all(|seen| matches!(&*seen.method, "GET" | "HEAD")), "{mode}");
    }
}

/// Materialised objects are production's until they are written over, and listed once.
#[test]
fn a_materialised_source_is_still_seen_once() {
    let upstream = Hostile::with([(format!("{PRODUCTION}/pub/source"), "bytes")]);
    let server = stage(&s3(&upstream, "redirect"));
    assert_eq!(copy(&server, "pub/copy", "").status, 200);
    put(&server, "pub/other", b"here");
    let text = send(&server, "GET", "/stage?list-type=2", "", b"").text();
    assert_eq!(elements(&text, "Key"), ["pub/copy", "pub/other", "pub/source"], "{text}");
}
