//! `understudy seed` from every kind of source, into a server that runs and into a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::http::{Answer, exchange, get};
use super::production::Production;
use super::server::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Server, Setup, forget_environment};
use super::sigv4::Signed;
use super::text;

/// The stage of a folder. It makes its own credentials, which the command finds there.
fn start(folder: &Path) -> Server {
    Server::start(&Setup {
        config: Some("[[bucket]]\nname = \"stage\"\nanonymous = \"read\"\n".to_owned()),
        data_dir: Some(folder.to_path_buf()),
        makes_credential: true,
        ..Setup::default()
    })
}

/// Runs a seed into the stage of a folder.
fn seed(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
    forget_environment(&mut command);
    command.arg("seed").args(arguments).args(["--bucket", "stage", "--data-dir"]).arg(folder);
    command.envs(variables.iter().copied());
    command.output().expect("the understudy binary was built for this test")
}

/// What it tells as JSON: objects that were copied, that were there, and the names of what failed.
#[track_caller]
fn told(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (u64, u64, Vec<String>) {
    let output = seed(folder, &[arguments, &["--json"]].concat(), variables);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let objects = |what: &str| told[what]["objects"].as_u64().expect("a number");
    let failed = told["failed"].as_array().expect("a list").iter();
    let failed: Vec<_> = failed.map(|item| item["name"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(output.status.code(), Some(i32::from(!failed.is_empty())), "{output:?}");
    (objects("copied"), objects("present"), failed)
}

const NONE: [String; 0] = [];

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
    fs::write(path, bytes).expect("writable");
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index.wrapping_mul(31) ^ (index >> 9)).to_le_bytes()[0]).collect()
}

#[test]
fn a_folder_is_copied_once_with_and_without_a_server() {
    let source = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("a b/+é?#%25.txt", b"odd"),
        ("update/target.complete.mar", &pattern(3_000_000)),
        ("SHA256SUMS.asc", b"signature"),
    ] {
        write(source.path(), name, bytes);
    }
    let path = source.path().to_str().expect("UTF-8");
    let arguments = [path, "--prefix", "pub/83.0/"];
    for serves in [true, false] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut server = Some(start(folder.path()));
        if !serves {
            server = None;
        }
        let dry = seed(folder.path(), &[&arguments[..], &["--dry-run"]].concat(), &[]);
        assert!(text(&dry).contains("pub/83.0/update/target.complete.mar (2.86 MiB)\n"), "{dry:?}");
        assert!(
            text(&dry).ends_with("4 objects (2.86 MiB) would be copied, 0 objects (0 B) there already\n")
        );
        assert_eq!(told(folder.path(), &arguments, &[]), (4, 0, NONE.to_vec()));
        assert_eq!(told(folder.path(), &arguments, &[]), (0, 4, NONE.to_vec()));
        write(source.path(), "empty", b"full");
        write(source.path(), "SHA256SUMS.asc", b"Signature");
        assert_eq!(
            told(folder.path(), &arguments, &[]),
            (2, 2, NONE.to_vec()),
            "size, and bytes of the same size"
        );
        let server = server.unwrap_or_else(|| start(folder.path()));
        for (key, bytes, kind) in [
            ("update/target.complete.mar", &pattern(3_000_000)[..], "application/octet-stream"),
            ("a%20b/%2B%C3%A9%3F%23%2525.txt", b"odd", "text/plain"),
            ("SHA256SUMS.asc", b"Signature", "text/plain"),
            ("empty", b"full", "application/octet-stream"),
        ] {
            let answer = get(server.address(), &format!("/stage/pub/83.0/{key}"));
            assert!(answer.status == 200 && answer.body == bytes, "{key}: {}", answer.status);
            assert_eq!(answer.header("content-type"), Some(kind), "{key}");
        }
        write(source.path(), "empty", b"");
        write(source.path(), "SHA256SUMS.asc", b"signature");
    }
}

#[test]
fn what_cannot_be_copied_is_named_and_the_rest_is_copied() {
    let source = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let _server = start(folder.path());
    write(source.path(), "good", b"1");
    std::os::unix::fs::symlink("good", source.path().join("linked")).expect("a link can be made");
    std::os::unix::fs::symlink("nowhere", source.path().join("broken")).expect("a link can be made");
    std::os::unix::fs::symlink(".", source.path().join("round")).expect("a link can be made");
    write(source.path(), &format!("{0}/{0}/{0}/{0}/{0}/long", "x".repeat(220)), b"2");
    let path = source.path().to_str().expect("UTF-8");
    let (copied, present, mut failed) = told(folder.path(), &[path], &[]);
    failed.sort();
    assert_eq!((copied, present, failed.len()), (2, 0, 3), "{failed:?}");
    for (name, part) in failed.iter().zip(["/broken", "/round", "/long"]) {
        assert!(name.contains(part), "{failed:?}");
    }
    let output = seed(folder.path(), &[path], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("broken: No such file"), "{output:?}");
    assert!(text(&output).contains("0 objects (0 B) copied, 2 objects (2 B) there already, 3 failed\n"));

    for (arguments, told) in [
        (vec!["/none/at/all"], "/none/at/all: No such file"),
        (vec![&*format!("{path}/good")], "/good is a file, and neither .tar"),
        (vec!["gs://bucket/"], "gs:// is no source"),
        (vec![path, "--prefix", "pub"], "must end in /"),
        (vec!["s3://prod/"], "AWS_ACCESS_KEY_ID"),
        (vec![path, "--jobs", "0"], "--jobs"),
    ] {
        let output = seed(folder.path(), &arguments, &[]);
        assert!(!output.status.success() && text(&output).contains(told), "{output:?}");
    }
}

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).expect("memory");
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, "link", "/etc/passwd").expect("memory");
    builder.into_inner().expect("memory")
}

#[test]
fn a_tar_file_is_copied_however_it_is_packed() {
    use std::io::Write as _;
    let large = pattern(5_000_000);
    let files = [("./a/one.txt", &b"one"[..]), ("a/large", &large), ("empty", b"")];
    let whole = tar_of(&files);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&whole).expect("memory");
    let gzip = gzip.finish().expect("memory");
    let zstd = zstd::encode_all(&whole[..], 1).expect("memory");
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, bytes) in [("x.tar", &whole), ("x.tar.gz", &gzip), ("x.tgz", &gzip), ("x.tar.zst", &zstd)] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let server = start(folder.path());
        let path = scratch.path().join(name);
        fs::write(&path, bytes).expect("writable");
        let path = path.to_str().expect("UTF-8");
        let link = format!("{path}: link");
        assert_eq!(told(folder.path(), &[path], &[]), (3, 0, vec![link.clone()]), "{name}");
        assert_eq!(told(folder.path(), &[path], &[]), (0, 3, vec![link]), "{name}");
        assert!(get(server.address(), "/stage/a/large").body == large, "{name}");
        assert_eq!(get(server.address(), "/stage/a/one.txt").text(), "one", "{name}");

        fs::write(path, &bytes[..bytes.len() / 2]).expect("writable");
        let (_, present, failed) = told(folder.path(), &[path], &[]);
        assert!(present >= 1 && failed == [path], "{name}: {failed:?}");
    }
}

#[test]
fn of_a_name_that_a_tar_file_has_twice_the_last_one_counts() {
    let first = vec![b'1'; 3_000_000];
    let files = [("a", &first[..]), ("b", b"other"), ("a", b"2"), ("a", b"3")];
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start(folder.path());
    let path = scratch.path().join("x.tar");
    fs::write(&path, tar_of(&files)).expect("writable");
    let path = path.to_str().expect("UTF-8");
    for _ in 0..2 {
        told(folder.path(), &[path], &[]);
        assert_eq!(get(server.address(), "/stage/a").text(), "3");
    }
}

/// Asks a server with the credential that all of them know.
fn signed(server: &Server, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let signed = Signed::new(server.address(), method, path, headers, "UNSIGNED-PAYLOAD");
    let answer = exchange(server.address(), &signed.head, body).expect("an answer");
    assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    answer
}

#[test]
fn a_bucket_is_copied_with_its_tags_and_metadata() {
    let production = Server::start(&Setup::with_buckets(&["prod"]));
    let large = pattern((8 << 20) + 5);
    let meta = [("cache-control", "max-age=7"), ("content-type", "text/x-own"), ("x-amz-meta-build", "7")];
    signed(&production, "PUT", "/prod/pub/a%20b", &meta, b"small");
    signed(&production, "PUT", "/prod/other", &[], b"outside");
    let begun = signed(&production, "POST", "/prod/pub/large?uploads=", &[], b"").text();
    let id = begun.split("<UploadId>").nth(1).and_then(|rest| rest.split('<').next()).expect("an id");
    let mut parts = String::new();
    for (number, part) in (1..).zip(large.chunks(8 << 20)) {
        let path = format!("/prod/pub/large?partNumber={number}&uploadId={id}");
        let tag = signed(&production, "PUT", &path, &[], part).header("etag").expect("a tag").to_owned();
        let number = format!("<PartNumber>{number}</PartNumber>");
        parts.extend(["<Part>", &number, "<ETag>", &tag, "</ETag></Part>"]);
    }
    let document = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    signed(&production, "POST", &format!("/prod/pub/large?uploadId={id}"), &[], document.as_bytes());

    let endpoint = format!("http://{}", production.address());
    let arguments = ["s3://prod/pub/", "--source-endpoint", &endpoint];
    let keys = [("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)];
    for serves in [true, false] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut server = Some(start(folder.path()));
        if !serves {
            server = None;
        }
        assert_eq!(told(folder.path(), &arguments, &keys), (2, 0, NONE.to_vec()));
        assert_eq!(told(folder.path(), &arguments, &keys), (0, 2, NONE.to_vec()));
        let moved = [&arguments[..], &["--prefix", "copy/"]].concat();
        assert_eq!(told(folder.path(), &moved, &keys), (2, 0, NONE.to_vec()));
        let server = server.unwrap_or_else(|| start(folder.path()));
        for key in ["pub/a%20b", "copy/a%20b"] {
            let small = get(server.address(), &format!("/stage/{key}"));
            assert_eq!((small.status, small.text()), (200, "small".to_owned()));
            for (name, value) in meta {
                assert_eq!(small.header(name), Some(value), "{name}");
            }
        }
        let copy = get(server.address(), "/stage/pub/large");
        assert!(copy.body == large, "{}", copy.status);
        let head = Signed::new(production.address(), "HEAD", "/prod/pub/large", &[], "UNSIGNED-PAYLOAD").head;
        let there = exchange(production.address(), &head, b"").expect("an answer");
        assert!(there.header("etag").is_some_and(|tag| tag.ends_with("-2\"")), "{there:?}");
        assert_eq!(copy.header("etag"), there.header("etag"));
        assert_eq!(get(server.address(), "/stage/other").status, 404);
    }

    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let _server = start(folder.path());
    let wrong = [("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID), ("AWS_SECRET_ACCESS_KEY", "not-the-secret")];
    let refused = seed(folder.path(), &arguments, &wrong);
    assert!(refused.status.code() == Some(1) && text(&refused).contains("403"), "{refused:?}");
    let anonymous = seed(folder.path(), &[&arguments[..], &["--anonymous"]].concat(), &[]);
    assert!(anonymous.status.code() == Some(1) && text(&anonymous).contains("403"), "{anonymous:?}");
}

#[test]
fn a_servers_index_is_copied_from_folder_to_folder() {
    let page = |folders: &[&str], files: &[(&str, u64)]| {
        let files: Vec<_> = files.iter().map(|(name, size)| json!({ "name": name, "size": size })).collect();
        json!({ "prefixes": folders, "files": files }).to_string().into_bytes()
    };
    let files = BTreeMap::from([
        ("/pub/".to_owned(), b"<a href=\"x/\">x</a> <a href=\"/pub/a\">a</a> <a href=\"/\">up</a>".to_vec()),
        ("/pub/a".to_owned(), b"12345".to_vec()),
        ("/pub/x/".to_owned(), b"<a href=\"../\">..</a><a href=\"b%20c\">b c</a>".to_vec()),
        ("/pub/x/b%20c".to_owned(), b"123".to_vec()),
        ("/".to_owned(), page(&[], &[("outside", 1)])),
    ]);
    let production = Production::start(files);
    let url = format!("{}pub/", production.url());
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start(folder.path());
    assert_eq!(told(folder.path(), &[&url], &[]), (2, 0, NONE.to_vec()));
    assert_eq!(get(server.address(), "/stage/pub/a").text(), "12345");
    assert_eq!(told(folder.path(), &[&url, "--prefix", ""], &[]).0, 2);
    assert_eq!(get(server.address(), "/stage/x/b%20c").text(), "123");
    assert_eq!(get(server.address(), "/stage/outside").status, 404);
    let nowhere = format!("{}none/", production.url());
    let refused = seed(folder.path(), &[&nowhere], &[]);
    assert!(refused.status.code() == Some(1) && text(&refused).contains("404"), "{refused:?}");
}

#[test]
fn a_seed_that_was_killed_goes_on_where_it_was() {
    let source = tempfile::tempdir().expect("a temporary folder can be made");
    let files = 400;
    for number in 0..files {
        write(source.path(), &format!("{number}"), &pattern(1000 + number));
    }
    let path = source.path().to_str().expect("UTF-8");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start(folder.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
    forget_environment(&mut command);
    command.args(["seed", path, "--jobs", "1", "--bucket", "stage", "--data-dir"]).arg(folder.path());
    let mut child = command.spawn().expect("the understudy binary was built for this test");
    let put = |lines: &[String]| lines.iter().filter(|line| line.contains("\"PutObject\"")).count();
    let begun = server.journal().wait_for(|lines, _| (put(lines) >= 20).then_some(()));
    child.kill().expect("it may have ended, but not been waited for");
    child.wait().expect("a child can be waited for");
    begun.expect("objects are written");
    let (copied, present, failed) = told(folder.path(), &[path], &[]);
    assert_eq!((copied + present, failed), (files as u64, NONE.to_vec()));
    assert!(present >= 20, "{present}");
    assert_eq!(told(folder.path(), &[path], &[]), (0, files as u64, NONE.to_vec()));
}
