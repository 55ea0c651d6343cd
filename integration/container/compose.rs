//! The compose files as a person runs them, on the real engine.
//!
//! Nothing is pulled: the stages are the image under test, the update task's is made of this machine's
//! curl, and production is another stage under production's name (`production.yaml`).

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

use super::http::{self, Answer};
use super::image;
use super::server::forget_environment;

/// A bucket that the update tasks' tree shows, but not the first one that is looked into.
const BUCKET: &str = "net-mozaws-stage-delivery-firefox";
/// Release N, which is rehearsed in the first stage.
const N: &str = "pub/firefox/releases/83.0b3/update/firefox.mar";
/// Release N-1, which only production has.
const BEFORE: &str = "pub/firefox/releases/83.0b2/update/firefox.mar";
/// Release N+1, which is rehearsed in the second stage.
const NEXT: &str = "pub/firefox/releases/83.0b4/update/firefox.mar";
/// One key pair for each stage.
const KEYS: [(&str, &str); 2] =
    [("FIRSTKEYEXAMPLE", "first-secret-example"), ("NEXTKEYEXAMPLE", "next-secret-example")];

/// The command that reads compose files, whose two generations are called differently. Under `CI=true`
/// there has to be one.
#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
fn compose_command() -> Option<&'static [&'static str]> {
    static FOUND: OnceLock<Option<&'static [&'static str]>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let ways: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
        let answers = |way: &&[&str]| {
            let asked = Command::new(way[0]).args(&way[1..]).arg("version").output();
            asked.is_ok_and(|output| output.status.success())
        };
        let found = ways.into_iter().find(answers);
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(found.is_some() || !ci, "no Compose: apt-get install docker-compose");
        if found.is_none() {
            eprintln!("not run: there is neither `docker compose` nor `docker-compose`");
        }
        found
    })
}

/// Both files as one project; all of it goes when it is dropped.
struct Project {
    command: &'static [&'static str],
    name: String,
    folder: tempfile::TempDir,
}

impl Project {
    /// Starts both stages, and production.
    fn up() -> Option<Self> {
        let command = compose_command()?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        make_production(folder.path());
        let project = Self { command, name: format!("ut-{}-compose", std::process::id()), folder };
        // Named one by one, so that nothing has to be built.
        project.done(&["up", "--detach", "understudy", "next", "production"]);
        project.done(&[
            "exec",
            "-T",
            "production",
            "/app/understudy",
            "seed",
            "/test/tree",
            "--bucket",
            "production",
        ]);
        Some(project)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = [
            "docker/compose.yaml",
            "docker/compose.companions.yaml",
            "integration/container/production.yaml",
        ];
        let mut command = Command::new(self.command[0]);
        forget_environment(&mut command);
        command.args(&self.command[1..]).args(["--project-name", &self.name]).current_dir(root);
        command.args(files.iter().flat_map(|file| ["--file", file])).args(arguments);
        command
            .env("UNDERSTUDY_IMAGE", image::tag())
            .env("UPDATE_TASK_IMAGE", image::client_tag())
            // Free ones.
            .env("UNDERSTUDY_PORT", "0")
            .env("UNDERSTUDY_NEXT_PORT", "0")
            .env("UNDERSTUDY_UNDER_TEST", "firefox-83.0b3-build1")
            .env("UNDERSTUDY_NEXT_UNDER_TEST", "firefox-83.0b4-build1")
            .env("UNDERSTUDY_ACCESS_KEY_ID", KEYS[0].0)
            .env("UNDERSTUDY_SECRET_ACCESS_KEY", KEYS[0].1)
            .env("UNDERSTUDY_NEXT_ACCESS_KEY_ID", KEYS[1].0)
            .env("UNDERSTUDY_NEXT_SECRET_ACCESS_KEY", KEYS[1].1)
            .env("UT_FOLDER", self.folder.path());
        command.output().expect("it answered before")
    }

    /// Runs a command of Compose that has to succeed, and gives what it printed.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", both(&output));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Where a stage is reached from here.
    fn address(&self, service: &str) -> SocketAddr {
        let published = self.done(&["port", service, "8000"]);
        published.parse().unwrap_or_else(|_| panic!("{published:?} is no address"))
    }

    /// The update task, with these URLs.
    fn update_task(&self, urls: &[&str]) -> Output {
        self.run(&[&["run", "--rm", "-T", "update-task"], urls].concat())
    }
}

impl Drop for Project {
    #[expect(clippy::print_stderr, reason = "a failed test says what its servers said")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", both(&self.run(&["logs"])));
        }
        self.run(&["down", "--volumes", "--remove-orphans", "--timeout", "1"]);
    }
}

fn both(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// Production's certificate and what it has, for any user to read.
fn make_production(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["archive.mozilla.org".to_owned()]);
    let made = made.expect("a certificate");
    let before = folder.join("tree").join(BEFORE);
    fs::create_dir_all(before.parent().expect("it is below the tree")).expect("a folder");
    fs::write(before, "N-1 of production").expect("a file");
    // What is under test is there under the same name, as it will be one day, and must never be seen.
    for key in [N, NEXT] {
        let path = folder.join("tree").join(key);
        fs::create_dir_all(path.parent().expect("it is below the tree")).expect("a folder");
        fs::write(path, "production's").expect("a file");
    }
    fs::write(folder.join("production.pem"), made.cert.pem()).expect("a file");
    fs::write(folder.join("production.key"), made.signing_key.serialize_pem()).expect("a file");
    // Temporary folders are their owner's alone.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// A request with a link that is signed with a key pair, as `understudy presign` makes it.
fn signed(address: SocketAddr, keys: (&str, &str), method: &str, key: &str, body: &[u8]) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
    forget_environment(&mut command);
    let endpoint = format!("http://{address}");
    command.args(["presign", method, &format!("s3://{BUCKET}/{key}"), "--endpoint", &endpoint]);
    command.env("UNDERSTUDY_ACCESS_KEY_ID", keys.0).env("UNDERSTUDY_SECRET_ACCESS_KEY", keys.1);
    let output = command.output().expect("the understudy binary was built for this test");
    let link = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    let target = link.strip_prefix(&endpoint).unwrap_or_else(|| panic!("{link:?}: {}", both(&output)));
    http::exchange(address, &format!("{method} {target} HTTP/1.1\r\n"), body).expect("an answer")
}

#[track_caller]
fn assert_reads(address: SocketAddr, key: &str, expected: &str) {
    let bucket_path = format!("/{BUCKET}/{key}");
    for (target, header) in [
        (format!("/{key}"), ""),
        (bucket_path.clone(), ""),
        // An SDK says so, and does not follow to another host.
        (bucket_path, "amz-sdk-invocation-id: 1\r\n"),
    ] {
        let answer = http::exchange(address, &format!("GET {target} HTTP/1.1\r\n{header}"), b"");
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, &answer.text()[..]), (200, expected), "{target} {header}: {answer:?}");
    }
}

#[test]
fn two_stages_in_a_row_and_an_update_task() {
    if !super::engine_answers() {
        return;
    }
    let Some(project) = Project::up() else { return };
    let (first, next) = (project.address("understudy"), project.address("next"));

    // N is put into the first and read through both.
    assert_eq!(signed(first, KEYS[0], "PUT", N, b"N of the first").status, 200);
    assert_reads(first, N, "N of the first");
    assert_reads(next, N, "N of the first");
    let listed = http::get(next, &format!("/{BUCKET}?list-type=2&prefix=pub/")).text();
    assert!(listed.contains(&format!("<Key>{N}</Key>")), "{listed}");
    assert!(http::get(next, "/pub/firefox/releases/83.0b3/update/").text().contains("firefox.mar"));

    // What production has: a redirect from the first, which the second follows.
    let redirect = http::get(first, &format!("/{BEFORE}"));
    let there = format!("https://archive.mozilla.org/{BEFORE}");
    assert_eq!((redirect.status, redirect.header("location")), (302, Some(&there[..])));
    assert_reads(next, BEFORE, "N-1 of production");

    // N+1 is neither production's nor the first's, until it is put here; and it stays here.
    assert_eq!(signed(first, KEYS[0], "PUT", NEXT, b"not the next's").status, 200);
    assert_eq!(http::get(next, &format!("/{NEXT}")).status, 404, "it is under test here");
    assert_eq!(signed(next, KEYS[1], "PUT", NEXT, b"N+1 of the next").status, 200);
    assert_reads(next, NEXT, "N+1 of the next");
    assert_reads(first, NEXT, "not the next's");
    assert_eq!(signed(next, KEYS[1], "PUT", N, b"changed").status, 200);
    assert_reads(next, N, "changed");
    assert_reads(first, N, "N of the first");
    assert_eq!(signed(next, KEYS[1], "DELETE", N, b"").status, 204);
    assert_eq!(http::get(next, &format!("/{N}")).status, 404, "it was deleted here");
    assert_reads(first, N, "N of the first");

    // Each has keys of its own.
    for (address, keys) in [(first, KEYS[1]), (next, KEYS[0])] {
        let answer = signed(address, keys, "PUT", N, b"by mistake");
        assert_eq!((answer.status, &answer.code()[..]), (403, "InvalidAccessKeyId"));
    }

    let url = |host: &str, key: &str| format!("http://{host}:8000/{key}");
    let urls = [url("next", NEXT), url("next", BEFORE), url("understudy", N), url("understudy", BEFORE)];
    let ran = project.update_task(&urls.each_ref().map(String::as_str));
    assert_eq!(ran.status.code(), Some(0), "{}", both(&ran));
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    let told: Vec<_> = told.lines().map(str::trim_end).collect();
    assert_eq!(
        told,
        [
            format!("200 15 {}", urls[0]),
            format!("200 17 {}", urls[1]),
            format!("200 14 {}", urls[2]),
            format!("200 17 {there}"),
        ]
    );
    let index = project.done(&["run", "--rm", "-T", "update-task"]);
    assert!(index.starts_with("200 ") && index.ends_with(" http://next:8000/pub/"), "{index}");
    let failed = project.update_task(&[&urls[0], &url("next", N)]);
    assert!(!failed.status.success(), "a file that is not there fails the task: {}", both(&failed));
}
