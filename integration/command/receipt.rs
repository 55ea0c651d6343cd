//! The receipt against an independent count of what was asked, on a server and on a folder, through
//! stops and kills.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::http::{Answer, exchange};
use super::production::Production;
use super::server::{PATIENCE, Server, Setup, forget_environment};

fn start(folder: &Path, production: &str) -> Server {
    let mut config = "[release]\nunder_test = [\"firefox-83.0b3-build1\"]\n\
                      [[bucket]]\nname = \"stage\"\nanonymous = \"read-write\"\n"
        .to_owned();
    for (pattern, mode) in [("proxy/**", "proxy"), ("cache/**", "cache"), ("pub/**", "redirect")] {
        let (pattern, mode) = (format!("match = \"{pattern}\"\n"), format!("mode = \"{mode}\"\n"));
        let to = format!("list = \"local\"\nto = \"{production}\"\n");
        config.extend(["[[bucket.fallback]]\n", &pattern, &mode, &to]);
    }
    config += "[[bucket.fallback]]\nmatch = \"deny/**\"\nmode = \"deny\"\n";
    config += "[[bucket]]\nname = \"closed\"\n";
    let setup = Setup {
        config: Some(config),
        data_dir: Some(folder.to_path_buf()),
        makes_credential: true,
        ..Setup::default()
    };
    Server::start(&setup)
}

/// Prints the receipt of the stage in a folder.
fn printed(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
    forget_environment(&mut command);
    let output = command.arg("receipt").args(arguments).arg("--data-dir").arg(folder).output();
    let output = output.expect("the understudy binary was built for this test");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Its numbers as `section.what` and `upstream.what`: counts and bytes, where there are any.
fn numbers(folder: &Path, production: &str) -> BTreeMap<String, (u64, u64)> {
    let receipt: Value = serde_json::from_str(&printed(folder, &["--json"])).expect("JSON");
    let mut numbers = BTreeMap::new();
    let mut take = |section: &str, values: &Value| {
        for (what, done) in values.as_object().expect("an object") {
            if let (Some(count), Some(bytes)) = (done["count"].as_u64(), done["bytes"].as_u64()) {
                assert_eq!(done["first"].is_string(), count > 0, "{done}");
                if count > 0 {
                    numbers.insert(format!("{section}.{what}"), (count, bytes));
                }
            }
        }
    };
    for section in ["written", "read", "refused"] {
        take(section, &receipt[section]);
    }
    for upstream in receipt["production"].as_array().expect("a list") {
        assert_eq!(upstream["upstream"], production);
        take("production", upstream);
    }
    for bucket in receipt["buckets"].as_array().expect("a list") {
        let name = bucket["bucket"].as_str().expect("a name");
        for what in ["written", "cached"] {
            let sum = &bucket[what];
            let sum = (sum["objects"].as_u64().expect("a number"), sum["bytes"].as_u64().expect("a number"));
            if sum.0 > 0 {
                numbers.insert(format!("{name}.{what}"), sum);
            }
        }
    }
    numbers
}

/// What a test has asked for, and what came back.
struct Asked {
    address: SocketAddr,
    counts: BTreeMap<String, (u64, u64)>,
}

impl Asked {
    fn send(&self, line: &str, body: &[u8], status: u16) -> Answer {
        let (line, headers) = line.split_once('\n').unwrap_or((line, ""));
        let answer =
            exchange(self.address, &format!("{line} HTTP/1.1\r\n{headers}"), body).expect("an answer");
        assert_eq!(answer.status, status, "{line}: {}", answer.text());
        answer
    }

    fn note(&mut self, what: &str, bytes: usize) {
        let counted = self.counts.entry(what.to_owned()).or_default();
        counted.0 += 1;
        counted.1 += bytes as u64;
    }

    /// Takes an amount back out, as when an object goes that was counted as being here.
    fn forget(&mut self, what: &str, bytes: usize) {
        let counted = self.counts.entry(what.to_owned()).or_default();
        counted.0 -= 1;
        counted.1 -= bytes as u64;
    }

    fn put(&mut self, key: &str, body: &[u8], replaces: Option<usize>) {
        self.send(&format!("PUT /stage/{key}"), body, 200);
        self.note("written.uploaded", body.len());
        self.note("stage.written", body.len());
        if let Some(bytes) = replaces {
            self.note("written.overwritten", bytes);
            self.forget("stage.written", bytes);
        }
    }

    /// A read. Bytes count where they are an object's.
    fn read(&mut self, line: &str, status: u16, what: &str) {
        let answer = self.send(line, b"", status);
        let has_bytes =
            ["read.here", "read.cached", "production.filled", "production.proxied"].contains(&what);
        let bytes = if has_bytes { answer.body.len() } else { 0 };
        self.note(what, bytes);
    }

    /// The receipt, once it tells of the last request: its event follows the last byte.
    fn settle(&self, folder: &Path, production: &str) {
        let begun = Instant::now();
        loop {
            let found = numbers(folder, production);
            if found == self.counts {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "found {found:#?}\nexpected {:#?}", self.counts);
        }
    }
}

fn multipart(asked: &mut Asked, key: &str, body: &[u8]) {
    let begun = asked.send(&format!("POST /stage/{key}?uploads"), b"", 200).text();
    let id =
        begun.split("<UploadId>").nth(1).and_then(|rest| rest.split('<').next()).expect("an id").to_owned();
    let part = asked.send(&format!("PUT /stage/{key}?partNumber=1&uploadId={id}"), body, 200);
    let tag = part.header("etag").expect("a tag").to_owned();
    let document = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part>\
         </CompleteMultipartUpload>"
    );
    for _ in 0..2 {
        // The second one is answered again, and counts nothing.
        asked.send(&format!("POST /stage/{key}?uploadId={id}"), document.as_bytes(), 200);
    }
    asked.note("written.uploaded", body.len());
    asked.note("stage.written", body.len());
}

#[test]
fn every_number_of_a_receipt_is_what_was_counted_beside_it() {
    let files = BTreeMap::from([
        ("/pub/old".to_owned(), vec![b'o'; 500]),
        ("/proxy/a".to_owned(), vec![b'p'; 3000]),
        ("/cache/a".to_owned(), vec![b'c'; 100_000]),
    ]);
    let production = Production::start(files);
    let url = production.url();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut server = start(folder.path(), &url);
    let mut asked = Asked { address: server.address(), counts: BTreeMap::new() };
    assert_eq!(numbers(folder.path(), &url), asked.counts, "a new stage has done nothing");

    asked.put("a", &[1; 1000], None);
    asked.put("a", &vec![2; 70_000], Some(1000));
    asked.put("b", b"", None);
    multipart(&mut asked, "multi", &[3; 12_345]);
    asked.send("PUT /stage/copy\nx-amz-copy-source: /stage/a\r\n", b"", 200);
    asked.note("written.copied", 70_000);
    asked.note("stage.written", 70_000);
    asked.send("PUT /stage/a\nIf-None-Match: *\r\n", b"late", 412);
    for (key, size) in [("b", 0), ("copy", 70_000)] {
        asked.send(&format!("DELETE /stage/{key}"), b"", 204);
        asked.note("written.deleted", size);
        asked.forget("stage.written", size);
    }
    asked.send("DELETE /stage/b", b"", 204);
    asked.send("DELETE /stage/pub/gone", b"", 204);
    asked.note("written.tombstones", 0);

    for _ in 0..3 {
        asked.read("GET /stage/a", 200, "read.here");
    }
    asked.read("GET /stage/multi\nRange: bytes=10-19\r\n", 206, "read.here");
    asked.read("HEAD /stage/a", 200, "read.looked_up");
    asked.read("GET /stage/none", 404, "refused.absent");
    asked.read("GET /stage/pub/old", 302, "production.redirected");
    asked.read("GET /stage/proxy/a", 200, "production.proxied");
    asked.read("GET /stage/proxy/none", 404, "refused.absent");
    asked.read("GET /stage/cache/a", 200, "production.filled");
    asked.note("production.fetched", 100_000);
    asked.note("stage.cached", 100_000);
    asked.settle(folder.path(), &url);
    asked.read("GET /stage/cache/a", 200, "read.cached");
    asked.read("HEAD /stage/cache/a", 200, "read.looked_up");
    asked.read("GET /stage/pub/gone", 404, "refused.hidden");
    asked.read("GET /stage/deny/a", 404, "refused.denied");
    asked.read("GET /closed/a", 403, "refused.forbidden");
    let tested = "/stage/pub/firefox/candidates/83.0b3-candidates/build1/target.mar";
    asked.read(&format!("GET {tested}"), 404, "refused.under_test");
    asked.read(&format!("HEAD {tested}"), 404, "refused.under_test");
    asked.settle(folder.path(), &url);
    let text = printed(folder.path(), &[]);
    for line in ["release under test, not here", "uploaded", &url, "redirected there"] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }

    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(numbers(folder.path(), &url), asked.counts, "the folder itself says the same");
    let mut server = start(folder.path(), &url);
    asked.address = server.address();
    asked.put("after", b"the restart", None);
    server.kill();
    assert_eq!(numbers(folder.path(), &url), asked.counts, "what was written is counted through a kill");
}

#[test]
fn a_kill_among_uploads_leaves_as_many_counted_as_there_are() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let acknowledged = AtomicU64::new(0);
    for round in 0..3 {
        let mut server = start(folder.path(), "http://production.invalid/");
        let address = server.address();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let acknowledged = &acknowledged;
                scope.spawn(move || {
                    for number in 0.. {
                        let put = format!("PUT /stage/{round}/{thread}/{number} HTTP/1.1\r\n");
                        let body = vec![b'x'; 100 + number];
                        // The server is gone: that is the end.
                        let Ok(answer) = std::panic::catch_unwind(|| exchange(address, &put, &body)) else {
                            return;
                        };
                        if !answer.is_ok_and(|answer| answer.status == 200) {
                            return;
                        }
                        acknowledged.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            let (begun, target) = (Instant::now(), acknowledged.load(Ordering::SeqCst) + 40);
            while acknowledged.load(Ordering::SeqCst) < target {
                assert!(begun.elapsed() < PATIENCE, "uploads go on");
                std::thread::yield_now();
            }
            server.kill();
        });
        let found = numbers(folder.path(), "");
        assert_eq!(found.get("written.uploaded"), found.get("stage.written"), "{found:?}");
        let count = found.get("written.uploaded").map_or(0, |counted| counted.0);
        assert!(count >= acknowledged.load(Ordering::SeqCst), "{found:?}");
    }
    assert_ne!(json!(numbers(folder.path(), "")), json!({}));
}
