//! Snapshots, forks and exports from the command line, of a stage in service and of a folder.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::http::{Answer, exchange, get};
use super::server::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Server, Setup, forget_environment};
use super::{text, understudy};

/// Runs a command that must succeed; gives what it printed.
fn done(arguments: &[&str]) -> String {
    let output = understudy(arguments, &[]);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn serve(data_dir: Option<&Path>) -> Server {
    let mut setup = Setup::with_buckets(&["stage"]);
    setup.args.extend(["--anonymous".into(), "read-write".into()]);
    setup.data_dir = data_dir.map(Path::to_path_buf);
    Server::start(&setup)
}

fn put(server: &Server, key: &str, body: &[u8]) {
    let answer = exchange(server.address(), &format!("PUT /stage/{key} HTTP/1.1\r\n"), body);
    assert_eq!(answer.expect("an answer").status, 200, "{key}");
}

fn read(server: &Server, key: &str) -> Answer {
    get(server.address(), &format!("/stage/{key}"))
}

fn stop(mut server: Server) {
    server.signal(rustix::process::Signal::TERM);
    assert!(server.wait().success());
}

#[test]
fn a_stage_in_service_goes_back_and_so_does_its_folder() {
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = scratch.path().join("data");
    let data = folder.to_str().expect("UTF-8");
    let server = serve(Some(&folder));
    let large = vec![7; 200_000];
    put(&server, "a", &large);
    assert!(done(&["snapshot", "create", "one", "--data-dir", data]).contains("1 objects"));
    put(&server, "a", b"other");
    put(&server, "b", b"new");
    let differ = understudy(&["snapshot", "diff", "one", "--data-dir", data], &[]);
    assert_eq!(differ.status.code(), Some(1), "{}", text(&differ));
    let lines = String::from_utf8(differ.stdout).expect("UTF-8");
    assert_eq!(
        lines.lines().map(|line| (&line[..1], &line[line.len() - 3..])).collect::<Vec<_>>(),
        [("~", "e/a"), ("+", "e/b"), ("1", "8 B")],
        "{lines}"
    );
    let again = understudy(&["snapshot", "create", "one", "--data-dir", data], &[]);
    assert!(!again.status.success() && text(&again).contains("exists already"), "{}", text(&again));
    done(&["snapshot", "create", "two", "--data-dir", data]);
    done(&["snapshot", "restore", "one", "--data-dir", data]);
    assert_eq!((read(&server, "a").body, read(&server, "b").status), (large.clone(), 404));
    stop(server);

    // Now by the folder.
    let same = done(&["snapshot", "diff", "one", "now", "--data-dir", data]);
    assert_eq!(same, "no difference\n");
    done(&["snapshot", "restore", "two", "--data-dir", data]);
    let listed = done(&["snapshot", "list", "--json", "--data-dir", data]);
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let names: Vec<_> =
        listed["snapshots"].as_array().expect("a list").iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["one", "two"]);
    done(&["snapshot", "delete", "one", "--data-dir", data]);
    let absent = understudy(&["snapshot", "restore", "one", "--data-dir", data], &[]);
    assert!(!absent.status.success() && text(&absent).contains("no snapshot one"), "{}", text(&absent));
    assert!(done(&["fsck", "--data-dir", data]).starts_with("clean"));
    let server = serve(Some(&folder));
    assert_eq!((&read(&server, "a").body[..], &read(&server, "b").body[..]), (&b"other"[..], &b"new"[..]));
}

#[test]
fn a_stage_in_service_is_forked_and_exported() {
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let place = |name: &str| scratch.path().join(name).to_str().expect("UTF-8").to_owned();
    let server = serve(Some(&scratch.path().join("data")));
    let large = vec![7; 200_000];
    put(&server, "a", &large);
    assert!(done(&["fork", &place("data"), &place("fork")]).contains("all shared"));
    done(&["export", &place("file"), "--data-dir", &place("data")]);
    done(&["import", &place("file"), &place("imported")]);
    let listed = done(&["snapshot", "list", "--data-dir", &place("data")]);
    assert_eq!(listed, "", "those that were taken for it are gone");
    put(&server, "a", b"other");
    done(&["snapshot", "create", "kept", "--data-dir", &place("data")]);
    // Nobody is asked: it is the file that counts.
    done(&["fork", &place("data"), &place("of-kept"), "--snapshot", "kept"]);
    let refused = understudy(&["import", &place("file"), &place("fork")], &[]);
    assert!(!refused.status.success() && text(&refused).contains("not empty"), "{}", text(&refused));

    for (name, body) in [("fork", &large[..]), ("imported", &large), ("of-kept", b"other")] {
        let other = serve(Some(&scratch.path().join(name)));
        assert!(read(&other, "a").body == body, "{name}");
        put(&other, "a", b"of the other");
        stop(other);
        assert!(done(&["fsck", "--data-dir", &place(name)]).starts_with("clean"), "{name}");
    }
    assert_eq!(read(&server, "a").body, b"other");
    stop(server);
    assert!(done(&["fsck", "--data-dir", &place("data")]).starts_with("clean"));
}

#[test]
fn the_snapshot_of_a_transfer_that_was_killed_goes_with_the_next_one() {
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let place = |name: &str| scratch.path().join(name).to_str().expect("UTF-8").to_owned();
    let server = serve(Some(&scratch.path().join("data")));
    // More than a pipe takes, and nothing that could be packed.
    let mut bytes = vec![0; 4 << 20];
    getrandom::fill(&mut bytes).expect("random bytes");
    put(&server, "a", &bytes);
    done(&["snapshot", "create", "kept", "--data-dir", &place("data")]);
    let mut export = Command::new(env!("CARGO_BIN_EXE_understudy"));
    forget_environment(&mut export);
    let mut export = export
        .env("UNDERSTUDY_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("UNDERSTUDY_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .args(["export", "-", "--data-dir", &place("data")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the understudy binary was built for this test");
    let mut pipe = export.stdout.take().expect("a pipe");
    pipe.read_exact(&mut [0]).expect("it has begun, and nobody takes more");
    let names = || {
        let listed = done(&["snapshot", "list", "--json", "--data-dir", &place("data")]);
        let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
        let listed = listed["snapshots"].as_array().expect("a list").iter();
        listed.map(|it| it["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names().len(), 2);
    // One that lives loses nothing to another one.
    done(&["fork", &place("data"), &place("meanwhile")]);
    assert_eq!(names().len(), 2);
    export.kill().expect("it runs");
    export.wait().expect("it ends");
    assert_eq!(names().len(), 2);
    done(&["fork", &place("data"), &place("afterwards")]);
    assert_eq!(names(), ["kept"]);
    stop(server);
    assert!(done(&["fsck", "--data-dir", &place("data")]).starts_with("clean"));
}
