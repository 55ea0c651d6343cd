//! Commands about a stage, on a server that runs and on a folder that nobody serves.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::http::{exchange, get};
use super::production::Production;
use super::server::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Server, Setup, forget_environment};
use super::text;

/// Runs a command about the stage of a data folder, with no credentials but those that are in it.
fn stage(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
    forget_environment(&mut command);
    command.args(arguments).arg("--data-dir").arg(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the understudy binary was built for this test");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    // A command that does not want it may have ended.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    child.wait_with_output().expect("a child can be waited for")
}

/// What such a command prints, which must succeed.
#[track_caller]
fn done(folder: &Path, arguments: &[&str], input: &str) -> String {
    let output = stage(folder, arguments, input);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn start(folder: &Path, production: &str) -> Server {
    let config = format!(
        "[[bucket]]\nname = \"stage\"\nanonymous = \"read-write\"\n[[bucket.fallback]]\nmatch = \"**\"\n\
         mode = \"redirect\"\nto = \"{production}\"\n"
    );
    Server::start(&Setup {
        config: Some(config),
        data_dir: Some(folder.to_path_buf()),
        makes_credential: true,
        ..Setup::default()
    })
}

#[test]
fn a_running_server_says_how_to_reach_it_until_it_stops() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("serving.json");
    let mut server = start(folder.path(), "http://production.invalid/");
    let read = || -> Value {
        serde_json::from_slice(&std::fs::read(&path).expect("it is announced")).expect("JSON")
    };
    let expected = json!({ "url": format!("http://{}", server.address()), "pid": server.pid() });
    assert_eq!(read(), expected);
    server.kill();
    assert_eq!(read(), expected, "a kill leaves it behind");
    let status = stage(folder.path(), &["upstream", "status"], "");
    assert_eq!(status.status.code(), Some(2), "{status:?}");
    assert!(text(&status).contains("no server has this data folder"), "{status:?}");
    assert_eq!(done(folder.path(), &["ls", "stage"], ""), "", "the folder itself is opened");

    let mut server = start(folder.path(), "http://production.invalid/");
    assert_eq!(read()["pid"], server.pid());
    let told = done(folder.path(), &["upstream", "status"], "");
    assert_eq!(told, "nothing was asked of production so far\n");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!path.exists());
    let missing = stage(&folder.path().join("missing"), &["ls", "stage"], "");
    assert!(missing.status.code() == Some(1) && text(&missing).contains("--data-dir"), "{missing:?}");
}

#[test]
fn what_was_deleted_is_listed_and_brought_back_with_and_without_a_server() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut server = Some(start(folder.path(), "http://production.invalid/"));
    let address = server.as_ref().map(Server::address).expect("it runs");
    let put = exchange(address, "PUT /stage/pub/here HTTP/1.1\r\n", b"12345").expect("an answer");
    assert_eq!(put.status, 200, "{put:?}");
    for key in ["a%20b", "c", "pub/d", "pub/e"] {
        let deleted =
            exchange(address, &format!("DELETE /stage/{key} HTTP/1.1\r\n"), b"").expect("an answer");
        assert_eq!(deleted.status, 204, "{deleted:?}");
    }
    assert_eq!(get(address, "/stage/c").status, 404, "it is hidden");
    let tombstones = || {
        let printed = done(folder.path(), &["ls", "--tombstones", "--json", "stage"], "");
        let keys =
            printed.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["key"].clone());
        keys.collect::<Vec<_>>()
    };
    for running in [true, false] {
        if !running {
            server = None;
        }
        let listed = done(folder.path(), &["ls", "s3://stage/pub/"], "");
        assert!(listed.ends_with("           5 written  pub/here\n"), "{listed}");
        assert_eq!(listed.lines().count(), 1, "{listed}");
        if running {
            assert_eq!(tombstones(), ["a b", "c", "pub/d", "pub/e"]);
            done(folder.path(), &["undelete", "stage", "c"], "");
            assert_eq!(get(address, "/stage/c").status, 302, "production is asked again");
        } else {
            assert_eq!(tombstones(), ["a b", "pub/d", "pub/e"]);
            let twice = stage(folder.path(), &["undelete", "stage", "c", "a b"], "");
            assert_eq!(twice.status.code(), Some(1), "{twice:?}");
            assert!(text(&twice).contains("c was not deleted here\n1 key is"), "{twice:?}");
            let below = done(folder.path(), &["undelete", "stage", "--prefix", "pub/", "--json"], "");
            assert_eq!(
                serde_json::from_str::<Value>(&below).expect("JSON"),
                json!({ "undeleted": 2, "without_tombstone": [] })
            );
            assert_eq!(tombstones(), [""; 0]);
        }
    }
    drop(server);
    let unknown = stage(folder.path(), &["ls", "other"], "");
    assert!(unknown.status.code() == Some(1) && text(&unknown).contains("no bucket other"), "{unknown:?}");
}

#[test]
fn a_list_of_production_is_taken_in_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut server = Some(start(folder.path(), "http://production.invalid/"));
    let address = server.as_ref().map(Server::address).expect("it runs");
    let import = ["upstream", "import", "-", "--bucket", "stage", "--cover", "pub/", "--json"];
    for (running, list) in [
        (true, "{\"name\": \"pub/a\", \"size\": 5}\n{\"name\": \"pub/b\", \"size\": 6}\n"),
        (false, "name,size\npub/a,5\npub/b,6\n"),
    ] {
        if !running {
            server = None;
        }
        let told: Value = serde_json::from_str(&done(folder.path(), &import, list)).expect("JSON");
        assert_eq!((&told["imported"], &told["rows"]), (&json!(2), &json!(2)), "{told}");
        assert_eq!(told["covers"][0]["prefix"], "pub/");
        let bad = stage(folder.path(), &import, "name,size\npub/c,7\npub/d,many\n");
        assert_eq!(bad.status.code(), Some(1), "{bad:?}");
        assert!(text(&bad).contains("standard input:3: size: \"many\""), "{bad:?}");
        if running {
            assert_eq!(get(address, "/stage/pub/a").status, 302);
            assert_eq!(get(address, "/stage/pub/c").status, 404, "what the list lacks does not exist");
        }
    }
    drop(server);
    let partial = "{\"prefixes\": [\"x/\"], \"files\": [{\"name\": \"a\", \"size\": 1}]}";
    let refused = stage(folder.path(), &[&import[..], &["--prefix", "pub/"]].concat(), partial);
    assert!(refused.status.code() == Some(1) && text(&refused).contains("upstream index"), "{refused:?}");
}

#[test]
fn a_directory_index_is_followed_to_its_end() {
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
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start(folder.path(), &production.url());
    let url = format!("{}pub/", production.url());
    let told = done(folder.path(), &["upstream", "index", &url, "--bucket", "stage", "--json"], "");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&told["folders"], &told["imported"]), (&json!(2), &json!(2)), "{told}");
    assert_eq!(told["covers"][0]["prefix"], "pub/");
    let mut asked = production.take_requests();
    asked.sort();
    assert_eq!(asked, ["GET /pub/", "GET /pub/x/", "HEAD /pub/a", "HEAD /pub/x/b%20c"]);
    let head = exchange(server.address(), "HEAD /stage/pub/x/b%20c HTTP/1.1\r\n", b"").expect("an answer");
    assert_eq!((head.status, head.header("content-length")), (200, Some("3")), "{head:?}");
    assert_eq!(get(server.address(), "/stage/pub/none").status, 404);
    assert_eq!(production.take_requests(), [""; 0]);
    drop(server);

    let nowhere = format!("{}none/", production.url());
    let arguments = ["upstream", "index", &nowhere, "--bucket", "stage"];
    let refused = stage(folder.path(), &arguments, "");
    assert!(refused.status.code() == Some(1) && text(&refused).contains("404"), "{refused:?}");
}

/// An ephemeral server is reached by its address, or by the folder that its log names; that the folder
/// here has key pairs of another server must not matter.
#[test]
fn an_ephemeral_server_is_reached_by_its_address() {
    let here = tempfile::tempdir().expect("a temporary folder can be made");
    let pair = "[[credential]]\naccess_key_id = \"OTHER\"\nsecret_access_key = \"other-secret\"\ngrants = [\"admin:*\"]\n";
    let data_dir = here.path().join("understudy-data");
    std::fs::create_dir(&data_dir).expect("the temporary folder is writable");
    std::fs::write(data_dir.join("credentials.toml"), pair).expect("the temporary folder is writable");
    let mut setup = Setup::with_buckets(&["stage"]);
    setup.args.push(OsString::from("--ephemeral"));
    let server = Server::start(&setup);
    let endpoint = format!("http://{}", server.address());
    let ls = |secret: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
        forget_environment(&mut command);
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID).env("AWS_SECRET_ACCESS_KEY", secret);
        command.current_dir(here.path());
        command.args(["ls", "stage", "--endpoint", &endpoint]).output().expect("the binary was built")
    };
    let listed = ls(SECRET_ACCESS_KEY);
    assert_eq!((listed.status.code(), text(&listed)), (Some(0), String::new()));
    let wrong = ls("not-the-secret");
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert!(text(&wrong).contains("signature"), "{wrong:?}");
}
