//! A disk that others have filled: deletions, the start and an export go on, and health says what is wrong.
//!
//! The disk is a small tmpfs in a mount namespace of the test's own, which ends with it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use super::http::{exchange, get};
use super::server::{ACCESS_KEY_ID, PATIENCE, SECRET_ACCESS_KEY, Server, Setup, forget_environment};
use super::text;

/// A small disk, for who enters its namespace.
struct Disk {
    holder: Child,
    place: tempfile::TempDir,
}

impl Disk {
    /// A disk of 64 MiB; `None` where this user may not mount one.
    #[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
    fn mount(options: &str) -> Option<Self> {
        let place = tempfile::tempdir().expect("a temporary folder can be made");
        let mut holder = Command::new("unshare");
        holder.arg("--mount");
        if !rustix::process::geteuid().is_root() {
            holder.arg("--map-root-user");
        }
        let script = format!("mount -t tmpfs -o size=64m{options} tmpfs \"$0\" && echo mounted && exec cat");
        holder.args(["sh", "-c", &script]).arg(place.path());
        holder.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = match holder.spawn() {
            Ok(holder) => holder,
            Err(error) => {
                eprintln!("skipped: there is no unshare ({error})");
                return None;
            }
        };
        let mut said = String::new();
        let output = holder.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut said).expect("text");
        if said.trim() == "mounted" {
            return Some(Self { holder, place });
        }
        eprintln!("skipped: this user may not mount a tmpfs in a namespace");
        holder.wait().expect("a child can be waited for");
        None
    }

    /// What a command is run by to see the disk.
    fn run_by(&self) -> Vec<OsString> {
        let pid = self.holder.id();
        let mut words: Vec<OsString> = vec!["nsenter".into()];
        if !rustix::process::geteuid().is_root() {
            words.extend([format!("--user=/proc/{pid}/ns/user").into(), "--preserve-credentials".into()]);
        }
        words.extend([format!("--mount=/proc/{pid}/ns/mnt").into(), "--".into()]);
        words
    }

    /// Where it is for who has entered.
    fn inside(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// Where the test finds what is on it.
    fn outside(&self) -> PathBuf {
        let below = self.place.path().strip_prefix("/").expect("an absolute path");
        Path::new(&format!("/proc/{}/root", self.holder.id())).join(below)
    }

    /// Takes every byte that is free.
    fn fill(&self) {
        let mut file = File::create(self.outside().join("filler")).expect("room for a name");
        for piece in [1 << 20, 4096, 1] {
            while file.write_all(&vec![b'x'; piece]).is_ok() {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.outside().join("filler")).expect("it was filled");
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let words = self.run_by();
        let mut command = Command::new(&words[0]);
        forget_environment(&mut command);
        command.env("UNDERSTUDY_ACCESS_KEY_ID", ACCESS_KEY_ID);
        command.env("UNDERSTUDY_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
        command.env("UNDERSTUDY_DATA_DIR", self.inside());
        command.args(&words[1..]).arg(env!("CARGO_BIN_EXE_understudy")).args(arguments);
        command.output().expect("nsenter is there where unshare is")
    }

    fn serve(&self) -> Server {
        let mut setup = Setup::with_buckets(&["stage"]);
        setup.args.extend(["--anonymous".into(), "read-write".into()]);
        setup.config = Some("[limits]\ndisk_reserve = \"4 MiB\"\n".to_owned());
        setup.data_dir = Some(self.inside());
        setup.run_by = self.run_by();
        Server::start(&setup)
    }

    /// Waits until the store is well and the ballast is there again.
    fn recovered(&self, server: &Server) {
        let deadline = Instant::now() + PATIENCE;
        let ballast = self.outside().join("data/ballast");
        loop {
            let health = get(server.address(), "/__heartbeat__");
            let held = fs::metadata(&ballast).map_or(0, |found| found.len());
            if health.status == 200 && held == 8 << 20 {
                return;
            }
            assert!(Instant::now() < deadline, "{held} bytes of ballast; {health:?}");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It ends with its standard input; the disk goes with the last process in the namespace.
        drop(self.holder.stdin.take());
        let _ended = self.holder.wait();
    }
}

fn put(server: &Server, key: &str) -> u16 {
    let body = vec![b'x'; 300_000];
    exchange(server.address(), &format!("PUT /stage/{key} HTTP/1.1\r\n"), &body).expect("an answer").status
}

fn delete(server: &Server, key: &str) -> u16 {
    exchange(server.address(), &format!("DELETE /stage/{key} HTTP/1.1\r\n"), b"").expect("an answer").status
}

#[test]
fn on_a_disk_that_others_have_filled_deletions_the_start_and_an_export_go_on() {
    let Some(disk) = Disk::mount("") else { return };
    let mut server = disk.serve();
    for key in ["a", "b", "c"] {
        assert_eq!(put(&server, key), 200, "{key}");
    }
    disk.recovered(&server);

    disk.fill();
    let deadline = Instant::now() + PATIENCE;
    let health = loop {
        // The last answer may be a second old.
        let health = get(server.address(), "/__heartbeat__");
        if health.status == 503 {
            break health;
        }
        assert!(Instant::now() < deadline, "{health:?}");
    };
    assert!(
        health.text().contains("bytes are free") && health.text().contains("\"store\":\"error\""),
        "{health:?}"
    );
    let url = format!("http://{}", server.address());
    let check = disk.run(&["check", "--url", &url]);
    assert_eq!(check.status.code(), Some(2), "{}", text(&check));
    assert_eq!(get(server.address(), "/__lbheartbeat__").status, 200, "it answers");
    assert_eq!(put(&server, "d"), 507);
    assert_eq!(get(server.address(), "/stage/a").status, 200);
    assert_eq!(delete(&server, "a"), 204, "deletions go on");
    assert_eq!(get(server.address(), "/stage/a").status, 404);
    disk.empty();
    disk.recovered(&server);
    assert_eq!(put(&server, "d"), 200);

    disk.fill();
    let elsewhere = tempfile::tempdir().expect("a temporary folder can be made");
    let file = elsewhere.path().join("stage.tar.zst");
    let export = disk.run(&["export", &file.to_string_lossy()]);
    assert!(export.status.success() && file.exists(), "{}", text(&export));
    disk.empty();
    disk.recovered(&server);

    disk.fill();
    server.kill();
    let server = disk.serve();
    assert_eq!(get(server.address(), "/stage/b").status, 200, "it serves");
    assert_eq!(delete(&server, "b"), 204);
    disk.empty();
    disk.recovered(&server);
}

#[test]
fn a_disk_that_is_mounted_read_only_is_named() {
    let Some(disk) = Disk::mount(",ro") else { return };
    let refused = disk.run(&["serve", "--listen", "127.0.0.1:0"]);
    let told = text(&refused);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    let folder = disk.inside();
    assert!(told.contains("Read-only file system") && told.contains(&*folder.to_string_lossy()), "{told}");
}
