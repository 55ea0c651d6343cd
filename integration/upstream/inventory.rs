//! The imported index: what a file, or a crawl, says that production has, without asking it again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::hostile::{File, Hostile, Trick};
use super::pages::{Ask, Dialect, all, directory, naive};
use super::server::Server;
use super::stage::{
    BUCKET, Face, administer, command, delete, elements, get, json, put, read, resource, send, stage_with, to,
};

/// Keys that the indexes of these tests name, with their sizes.
const KEYS: [(&str, u64); 4] = [
    ("pub/a b+%.txt", 5),
    ("pub/firefox/releases/82.0/a", 10),
    ("pub/firefox/releases/82.0/b", 0),
    ("pub/z", 7),
];
/// A key that production has and the indexes lack.
const UNLISTED: &str = "pub/firefox/releases/82.0/unlisted";
const PLAIN: [Face; 3] = [Face::Plain, Face::Sdk, Face::Archive];

/// An upstream that counts as asked if anything comes, and a stage that never forgets nor tries again.
fn scene(mode: &str) -> (Hostile, Server) {
    let upstream = Hostile::start();
    for (key, size) in KEYS {
        upstream.put(key, File::new(vec![b'x'; usize::try_from(size).expect("small")]));
    }
    upstream.put(UNLISTED, File::new(*b"not in the index"));
    let server = stage_with(&to(&upstream, mode), "[upstream]\nretries = 0\nabsent_ttl = \"1h\"\n");
    (upstream, server)
}

fn write(server: &Server, name: &str, text: &str) -> PathBuf {
    let path = server.scratch().join(name);
    std::fs::write(&path, text).expect("the scratch folder is writable");
    path
}

#[track_caller]
fn import(server: &Server, name: &str, form: &Form) {
    for (text, more) in form {
        let path = write(server, name, text);
        let path = path.to_str().expect("temporary folders have names of plain text");
        let more: Vec<_> = more.iter().map(String::as_str).collect();
        administer(server, &[&["upstream", "import", path, "--bucket", BUCKET], &more[..]].concat());
    }
}

/// The MD5 of as many `x` as the file has.
fn md5(size: u64) -> String {
    use md5::{Digest as _, Md5};
    hex::encode(Md5::digest(vec![b'x'; usize::try_from(size).expect("small")]))
}

/// An index in one of its forms: files to import one after another, each with its flags.
type Form = Vec<(String, Vec<String>)>;

/// The archive's own JSON of a folder.
fn archive(folder: &str) -> (String, Vec<String>) {
    let below = KEYS.iter().filter_map(|(key, size)| Some((key.strip_prefix(folder)?, size)));
    let (folders, files): (Vec<_>, Vec<_>) = below.partition(|(name, _)| name.contains('/'));
    let folders: BTreeSet<_> =
        folders.iter().filter_map(|(name, _)| name.split_inclusive('/').next()).collect();
    let file = |(name, size): &(&str, &u64)| serde_json::json!({ "name": name, "size": size, "last_modified": "2020-11-04T10:00:00Z" });
    let files: Vec<_> = files.iter().map(file).collect();
    let text = serde_json::json!({ "prefixes": folders, "files": files }).to_string();
    let mut flags = vec!["--prefix", folder];
    if folders.is_empty() {
        // Of a folder with folders, one listing is not all.
        flags.extend(["--cover", folder]);
    }
    (text, flags.into_iter().map(str::to_owned).collect())
}

/// The same index in the three forms.
fn forms() -> [(&'static str, Form); 3] {
    let time = "2020-11-04T10:00:00Z";
    let line = |(key, size): &(&str, u64)| {
        serde_json::json!({ "name": key, "size": size, "md5": md5(*size), "time": time }).to_string()
    };
    let lines: Vec<_> = KEYS.iter().map(line).collect();
    let rows: Vec<_> =
        KEYS.iter().map(|(key, size)| format!("\"{key}\",{size},{},{time}", md5(*size))).collect();
    let covers = ["--cover", "pub/"].map(str::to_owned).to_vec();
    let folders = ["pub/", "pub/firefox/releases/82.0/"];
    [
        ("index.jsonl", vec![(lines.join("\n"), covers.clone())]),
        ("index.csv", vec![(format!("name,size,md5,time\n{}\n", rows.join("\n")), covers)]),
        ("index.json", folders.map(archive).to_vec()),
    ]
}

#[test]
fn an_imported_index_answers_list_head_and_existence_without_a_call() {
    for (name, form) in forms() {
        for mode in ["redirect", "auto", "proxy", "cache"] {
            let (upstream, server) = scene(mode);
            import(&server, name, &form);
            let keys = KEYS.map(|(key, _)| key);
            for dialect in Dialect::ALL {
                for (prefix, delimiter) in [("", ""), ("pub/", "/"), ("pub/firefox/releases/82.0/", "")] {
                    let ask = Ask { prefix, delimiter, page: 2 };
                    assert_eq!(
                        all(&server, dialect, ask),
                        naive(keys, ask),
                        "{name} {mode} {dialect:?} {ask:?}"
                    );
                }
            }
            for face in PLAIN {
                for (key, size) in KEYS {
                    let answer = read(&server, face, "HEAD", key);
                    assert_eq!(answer.status, 200, "{name} {mode} {face:?} {key}: {answer:?}");
                    assert_eq!(
                        answer.header("content-length"),
                        Some(&*size.to_string()),
                        "{name} {mode} {key}"
                    );
                    let modified = Some("Wed, 04 Nov 2020 10:00:00 GMT");
                    assert_eq!(answer.header("last-modified"), modified, "{name} {mode} {key}");
                    if name != "index.json" {
                        let etag = format!("\"{}\"", md5(size));
                        assert_eq!(answer.header("etag"), Some(&*etag), "{name} {mode} {key}");
                    }
                }
                for method in ["GET", "HEAD"] {
                    let answer = read(&server, face, method, UNLISTED);
                    assert_eq!(answer.status, 404, "{name} {mode} {face:?} {method}: {answer:?}");
                }
            }
            let found = json(&send(&server, "GET", &resource(KEYS[1].0), "", b""));
            assert_eq!(found["size"], "10", "{name} {mode}: {found}");
            assert_eq!(send(&server, "GET", &resource(UNLISTED), "", b"").status, 404, "{name} {mode}");
            upstream.assert_not_asked(&format!("{name} {mode}: the index knows"));
            // One folder is not covered in every form: production may have an index.html there.
            assert_eq!(directory(&server, "pub/"), ["a b+%.txt", "firefox/", "z"], "{name} {mode}");

            let answer = read(&server, Face::Plain, "GET", KEYS[1].0);
            let status = if matches!(mode, "redirect" | "auto") { 302 } else { 200 };
            assert_eq!(answer.status, status, "{name} {mode}: {answer:?}");
        }
    }
}

#[test]
fn writes_and_deletes_go_over_an_imported_index() {
    let (upstream, server) = scene("redirect");
    let [(name, form), ..] = forms();
    import(&server, name, &form);
    put(&server, "pub/z", b"here");
    put(&server, "pub/new", b"here");
    delete(&server, KEYS[0].0);
    let ask = Ask { prefix: "", delimiter: "", page: 10 };
    assert_eq!(all(&server, Dialect::V2, ask), [KEYS[1].0, KEYS[2].0, "pub/new", "pub/z"]);
    let text = send(&server, "GET", "/stage?list-type=2&prefix=pub/z", "", b"").text();
    assert_eq!(elements(&text, "Size"), ["4"], "{text}");
    assert_eq!(read(&server, Face::Plain, "HEAD", KEYS[0].0).status, 404);
    let condition = "If-None-Match: *\r\n";
    let answer = send(&server, "PUT", "/stage/pub/firefox/releases/82.0/a", condition, b"x");
    assert_eq!(answer.status, 412, "{answer:?}");
    upstream.assert_not_asked("the index knows");
}

/// What is below the covered prefix is replaced as a whole by the next import; the rest is not.
#[test]
fn a_second_import_replaces_what_it_covers() {
    let (_upstream, server) = scene("redirect");
    let [(name, form), ..] = forms();
    import(&server, name, &form);
    let line = r#"{"name":"pub/firefox/releases/82.0/c","size":3}"#.to_owned();
    import(&server, "second.jsonl", &vec![(line, ["--cover", "pub/firefox/"].map(str::to_owned).to_vec())]);
    let ask = Ask { prefix: "", delimiter: "", page: 10 };
    assert_eq!(all(&server, Dialect::V2, ask), [KEYS[0].0, "pub/firefox/releases/82.0/c", KEYS[3].0]);
}

#[test]
fn an_index_that_does_not_read_changes_nothing_and_says_where() {
    let (_upstream, server) = scene("redirect");
    let path = write(
        &server,
        "bad.jsonl",
        "{\"name\":\"pub/a\",\"size\":1}\n{\"name\":\"pub/b\",\"size\":\"much\"}\n",
    );
    let url = format!("http://{}", server.address());
    let path = path.to_str().expect("temporary folders have names of plain text");
    let (code, printed, said) =
        command(&["upstream", "import", path, "--bucket", BUCKET, "--cover", "pub/", "--endpoint", &url]);
    assert_ne!(code, Some(0), "{printed}{said}");
    assert!(said.contains('2'), "the line is not named: {said}");
    assert_eq!(all(&server, Dialect::V2, Ask { prefix: "", delimiter: "", page: 10 }), Vec::<String>::new());
    assert_eq!(get(&server, "pub/a").status, 302, "nothing is covered");
}

/// A tree of folders as archive.mozilla.org shows them.
fn tree() -> Hostile {
    let upstream = Hostile::start();
    for (key, size) in KEYS {
        upstream.put(key, File::new(vec![b'x'; usize::try_from(size).expect("small")]));
    }
    for number in 0..30 {
        upstream.put(format!("pub/many/{number:02}/file"), File::new(*b"x"));
    }
    upstream
}

#[track_caller]
fn assert_crawled(server: &Server, upstream: &Hostile) {
    let mut keys: Vec<_> = KEYS.map(|(key, _)| key.to_owned()).to_vec();
    keys.extend((0..30).map(|number| format!("pub/many/{number:02}/file")));
    keys.sort_unstable();
    upstream.take_seen();
    for dialect in Dialect::ALL {
        let ask = Ask { prefix: "", delimiter: "", page: 10 };
        assert_eq!(all(server, dialect, ask), keys, "{dialect:?}");
    }
    assert_eq!(read(server, Face::Plain, "HEAD", KEYS[1].0).header("content-length"), Some("10"));
    assert_eq!(read(server, Face::Plain, "HEAD", "pub/none").status, 404);
    upstream.assert_not_asked("the crawled index knows");
}

#[test]
fn a_crawl_reads_json_and_html_indexes() {
    for html in [false, true] {
        let upstream = tree();
        if html {
            upstream.only_html();
        }
        let server = stage_with(&to(&upstream, "redirect"), "");
        let url = format!("{}pub/", upstream.url());
        let printed = administer(&server, &["upstream", "index", &url, "--bucket", BUCKET]);
        assert!(!printed.contains("error"), "{printed}");
        assert!(upstream.seen().iter().all(|seen| matches!(&*seen.method, "GET" | "HEAD")));
        assert_crawled(&server, &upstream);
        assert_eq!(get(&server, KEYS[1].0).status, 302);
    }
}

/// The first crawl fails in the middle; the second asks for nothing that the first has read.
#[test]
fn a_crawl_resumes_where_it_stopped() {
    let upstream = tree();
    upstream.always("pub/many/17/", Trick::Status(500));
    let server = stage_with(&to(&upstream, "redirect"), "");
    let stage = format!("http://{}", server.address());
    let url = format!("{}pub/", upstream.url());
    let arguments = ["upstream", "index", &*url, "--bucket", BUCKET, "--endpoint", &*stage];
    let (code, printed, said) = command(&arguments);
    assert_ne!(code, Some(0), "a folder is missing: {printed}{said}");
    assert!(said.contains("pub/many/17/"), "{said}");
    let read_before: Vec<_> =
        upstream.take_lines().into_iter().filter(|line| !line.ends_with("/17/")).collect();
    assert!(!read_before.is_empty());

    upstream.always("pub/many/17/", Trick::Fine);
    let (code, printed, said) = command(&arguments);
    assert_eq!(code, Some(0), "{printed}{said}");
    let again: Vec<_> = upstream.take_lines().into_iter().filter(|line| read_before.contains(line)).collect();
    assert_eq!(again, Vec::<String>::new(), "read a second time");
    assert_crawled(&server, &upstream);
}
