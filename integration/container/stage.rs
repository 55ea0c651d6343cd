//! A container of the image, with a volume of its own; both go when it is dropped.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::engine::{docker, run};
use super::http;
use super::image;

/// A running container.
pub(crate) struct Stage {
    name: String,
    address: SocketAddr,
}

impl Stage {
    /// Runs the image with these flags of `docker run`; everybody may do everything with the bucket
    /// `one`.
    pub(crate) fn run(flags: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("understudy-test-{}-{count}", std::process::id());
        let volume = format!("{name}:/data");
        let mut arguments = vec!["run", "--detach", "--name", &name, "--volume", &volume];
        arguments.extend(["--publish", "127.0.0.1::8000", "--health-interval", "200ms"]);
        arguments.extend(["--env", "UNDERSTUDY_ANONYMOUS=read-write", "--env", "UNDERSTUDY_BUCKETS=one"]);
        arguments.extend(flags);
        arguments.push(image::tag());
        docker(&arguments);
        let address = address(&name);
        Self { name, address }
    }

    /// Its volume.
    pub(crate) fn volume(&self) -> &str {
        &self.name
    }

    /// Where it is reached from here.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long it was from its start until the engine called it healthy, by the engine's clock.
    pub(crate) fn healthy_after(&self) -> Duration {
        let filter = format!("container={}", self.name);
        let mut events = Command::new("docker")
            .args(["events", "--since", "10m", "--filter", &filter, "--format", "{{.TimeNano}} {{.Status}}"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("docker is installed where an engine answers");
        let lines = BufReader::new(events.stdout.take().expect("it is piped")).lines();
        let mut started = None;
        let mut healthy = None;
        for line in lines.map_while(Result::ok) {
            let Some((time, what)) = line.split_once(' ') else { continue };
            let time: u64 = time.parse().expect("nanoseconds");
            match what {
                "start" => started = Some(time),
                "health_status: healthy" => {
                    healthy = Some(time);
                    break;
                }
                _ => assert_ne!(what, "die", "it ended:\n{}", self.logs()),
            }
        }
        events.kill().and_then(|()| events.wait()).expect("it can be ended");
        let span = healthy.zip(started).and_then(|(healthy, started)| healthy.checked_sub(started));
        Duration::from_nanos(span.expect("it was started and became healthy"))
    }

    /// Waits until the bucket `one` has so many objects.
    pub(crate) fn wait_for_objects(&self, count: usize) {
        let since = Instant::now();
        while http::get(self.address, "/one?list-type=2").text().matches("<Key>").count() < count {
            assert!(since.elapsed() < super::server::PATIENCE, "the objects did not come");
        }
    }

    /// Stops it as Docker does, with SIGTERM; says how long that took, and its exit code.
    pub(crate) fn stop(&self) -> (Duration, i32) {
        let since = Instant::now();
        docker(&["stop", "--time", "10", &self.name]);
        let took = since.elapsed();
        let code = docker(&["inspect", "--format", "{{.State.ExitCode}}", &self.name]);
        (took, code.parse().expect("a number"))
    }

    /// Starts it once more, on the same volume.
    pub(crate) fn start_again(&mut self) {
        docker(&["start", &self.name]);
        // The engine may give it another port.
        self.address = address(&self.name);
        let since = Instant::now();
        while http::exchange(self.address, "GET /__lbheartbeat__ HTTP/1.1\r\n", b"").is_err() {
            assert!(since.elapsed() < super::server::PATIENCE, "it did not come back:\n{}", self.logs());
        }
    }

    fn logs(&self) -> String {
        let output = run(&["logs", &self.name]);
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
    }
}

fn address(name: &str) -> SocketAddr {
    let published = docker(&["port", name, "8000/tcp"]);
    published.lines().next().and_then(|line| line.parse().ok()).expect("an address and a port")
}

impl Drop for Stage {
    #[expect(clippy::print_stderr, reason = "a failed test says what its server said")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the log of {}:\n{}", self.name, self.logs());
        }
        run(&["rm", "--force", &self.name]);
        run(&["volume", "rm", &self.name]);
    }
}
