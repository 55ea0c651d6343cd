//! What is deleted here is gone on every face, however it was deleted, until it is written again or
//! the delete is taken back.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};

use super::hostile::Hostile;
use super::pages::{Ask, Dialect, all, directory};
use super::server::Server;
use super::stage::{
    Face, PRODUCTION, administer, delete, get, path, put, read, resource, s3, send, setup, stage,
};

/// A way to delete a key.
#[derive(Debug, Clone, Copy)]
enum Delete {
    Single,
    Batch,
    Gcs,
    GcsBatch,
}

const WAYS: [Delete; 4] = [Delete::Single, Delete::Batch, Delete::Gcs, Delete::GcsBatch];

#[track_caller]
fn delete_by(server: &Server, way: Delete, key: &str) {
    match way {
        Delete::Single => delete(server, key),
        Delete::Batch => {
            let body = format!("<Delete><Object><Key>{key}</Key></Object></Delete>");
            let digest = BASE64_STANDARD.encode(Md5::digest(&body));
            let header = format!("Content-MD5: {digest}\r\n");
            let answer = send(server, "POST", "/stage?delete", &header, body.as_bytes());
            assert!(answer.status == 200 && !answer.text().contains("<Error>"), "{answer:?}");
            assert!(answer.text().contains(&format!("<Key>{key}</Key>")), "{answer:?}");
        }
        Delete::Gcs => {
            let answer = send(server, "DELETE", &resource(key), "", b"");
            assert_eq!(answer.status, 204, "{way:?}: {answer:?}");
        }
        Delete::GcsBatch => {
            let part = format!(
                "--x\r\nContent-Type: application/http\r\nContent-ID: <1>\r\n\r\n\
                 DELETE {} HTTP/1.1\r\n\r\n\r\n--x--\r\n",
                resource(key)
            );
            let kind = "Content-Type: multipart/mixed; boundary=\"x\"\r\n";
            let answer = send(server, "POST", "/batch/storage/v1", kind, part.as_bytes());
            assert!(answer.status == 200 && answer.text().contains("HTTP/1.1 204"), "{answer:?}");
        }
    }
}

/// Fails unless the key is on no face and in no listing, and cannot be copied.
#[track_caller]
fn assert_gone(server: &Server, key: &str) {
    for face in Face::ALL {
        let answer = read(server, face, "GET", key);
        assert_eq!((answer.status, answer.header("location")), (404, None), "{key} by {face:?}: {answer:?}");
        if face != Face::Gcs {
            assert_eq!(read(server, face, "HEAD", key).status, 404, "HEAD {key} by {face:?}");
        }
    }
    assert_eq!(send(server, "GET", &resource(key), "", b"").status, 404, "the resource of {key}");
    let source = format!("x-amz-copy-source: {}\r\n", path(key));
    let answer = send(server, "PUT", "/stage/copy", &source, b"");
    assert_eq!((answer.status, answer.code().as_str()), (404, "NoSuchKey"), "{answer:?}");
    let rewrite = format!("{}/rewriteTo/b/stage/o/copy", resource(key));
    assert_eq!(send(server, "POST", &rewrite, "", b"").status, 404, "a rewrite of {key}");
}

/// Production is not asked for what was deleted here; whether a path is a folder there may be looked
/// at, as for any that is not here.
#[track_caller]
fn assert_not_asked_for(upstream: &Hostile, keys: &[&str]) {
    for seen in upstream.take_seen() {
        let query = seen.query();
        let below = query.get("prefix").and_then(|prefix| prefix.strip_suffix('/'));
        let folder = seen.lists() && below.is_some_and(|key| keys.contains(&key));
        assert!(folder, "production was asked for what was deleted here: {seen:?}");
    }
}

#[test]
fn a_delete_of_what_only_production_has_hides_it_everywhere() {
    let keys = ["pub/x/0", "pub/x/1", "pub/x/2", "pub/x/3"];
    for mode in ["auto", "redirect", "proxy", "cache"] {
        let upstream = Hostile::with(keys.map(|key| (format!("{PRODUCTION}/{key}"), "bytes")));
        let server = stage(&s3(&upstream, mode));
        for (way, key) in WAYS.into_iter().zip(keys) {
            delete_by(&server, way, key);
        }
        upstream.take_seen();
        for key in keys {
            assert_gone(&server, key);
        }
        assert_not_asked_for(&upstream, &keys);
        for dialect in Dialect::ALL {
            for (prefix, delimiter) in [("", ""), ("pub/", "/"), ("pub/x/", "")] {
                let entries = all(&server, dialect, Ask { prefix, delimiter, page: 2 });
                assert_eq!(entries, Vec::<String>::new(), "{mode} {dialect:?} {prefix:?}");
            }
        }
        assert_eq!(directory(&server, "pub/"), Vec::<String>::new(), "{mode}");
        // A second delete finds nothing; S3 says 204 all the same, GCS says 404.
        delete(&server, keys[0]);
        assert_eq!(send(&server, "DELETE", &resource(keys[0]), "", b"").status, 404, "{mode}");
    }
}

#[test]
fn a_delete_of_what_is_here_over_productions_hides_both() {
    for way in WAYS {
        let upstream = Hostile::with([(format!("{PRODUCTION}/pub/a"), "production")]);
        let server = stage(&s3(&upstream, "proxy"));
        put(&server, "pub/a", b"here");
        delete_by(&server, way, "pub/a");
        assert_gone(&server, "pub/a");
        assert_not_asked_for(&upstream, &["pub/a"]);
    }
}

#[test]
fn a_write_over_a_tombstone_is_seen_and_its_delete_leaves_one_again() {
    let upstream = Hostile::with([(format!("{PRODUCTION}/pub/a"), "production")]);
    let server = stage(&s3(&upstream, "proxy"));
    delete(&server, "pub/a");
    put(&server, "pub/a", b"here");
    for face in Face::ALL {
        assert_eq!(read(&server, face, "GET", "pub/a").text(), "here", "{face:?}");
    }
    for dialect in Dialect::ALL {
        assert_eq!(all(&server, dialect, Ask { prefix: "", delimiter: "", page: 10 }), ["pub/a"]);
    }
    delete(&server, "pub/a");
    assert_gone(&server, "pub/a");
}

#[test]
fn a_delete_can_be_taken_back_and_be_seen() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    let keys = ["pub/a", "pub/x/a", "pub/x/b", "pub/y"];
    let upstream = Hostile::with(keys.map(|key| (format!("{PRODUCTION}/{key}"), key)));
    let server = Server::start(&setup(&s3(&upstream, "proxy"), "", Some(&data)));
    for key in keys {
        delete(&server, key);
    }
    put(&server, "pub/y", b"here");

    let tombstones = || {
        let printed = administer(&server, &["ls", "--tombstones", "--json", "stage"]);
        keys.into_iter().filter(|key| printed.contains(&format!("\"{key}\""))).collect::<Vec<_>>()
    };
    assert_eq!(tombstones(), ["pub/a", "pub/x/a", "pub/x/b"]);
    administer(&server, &["undelete", "stage", "pub/a"]);
    assert_eq!(tombstones(), ["pub/x/a", "pub/x/b"]);
    assert_eq!(get(&server, "pub/a").text(), "pub/a");
    assert_eq!(get(&server, "pub/x/a").status, 404);
    administer(&server, &["undelete", "stage", "--prefix", "pub/x/"]);
    assert_eq!(tombstones(), Vec::<&str>::new());
    for key in ["pub/x/a", "pub/x/b"] {
        assert_eq!(get(&server, key).text(), key);
    }
    assert_eq!(get(&server, "pub/y").text(), "here", "what is written stays");
    let entries = all(&server, Dialect::V2, Ask { prefix: "", delimiter: "", page: 10 });
    assert_eq!(entries, keys);
}

/// Tombstones are rows like others: they are there after a kill.
#[test]
fn tombstones_survive_a_kill() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = folder.path().join("data");
    let upstream = Hostile::with(["a", "b"].map(|key| (format!("{PRODUCTION}/pub/{key}"), "bytes")));
    let mut server = Server::start(&setup(&s3(&upstream, "cache"), "", Some(&data)));
    assert_eq!(get(&server, "pub/b").status, 200);
    delete(&server, "pub/a");
    delete(&server, "pub/b");
    server.kill();
    let server = Server::start(&setup(&s3(&upstream, "cache"), "", Some(&data)));
    upstream.take_seen();
    assert_gone(&server, "pub/a");
    assert_gone(&server, "pub/b");
    assert_not_asked_for(&upstream, &["pub/a", "pub/b"]);
}
