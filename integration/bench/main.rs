//! Figures for people, on a release build; run by hand:
//!
//! ```text
//! cargo bench --bench figures -- large [GIB]      an object up by one PUT, up by parts, and down
//! cargo bench --bench figures -- start [OBJECTS]  start to first answer, and memory when idle
//! cargo bench --bench figures -- snapshot [OBJECTS]  taking and going back while others write
//! cargo bench --bench figures -- crowd [PARTS]    what others notice of one client's largest requests
//! ```

#[expect(dead_code, reason = "answers are measured here, not looked into")]
#[path = "../harness/http.rs"]
mod http;
#[expect(dead_code, reason = "the log and the scratch folder are for the tests")]
#[path = "../harness/server.rs"]
mod server;

mod crowd;
mod large;
mod snapshot;
mod start;

use std::path::Path;

use self::server::{Server, Setup};

/// The bucket of the measurements.
const BUCKET: &str = "figures";

fn main() {
    // Cargo adds --bench.
    let words: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let number = |index: usize, default: u64| words.get(index).map_or(default, |word| read_number(word));
    match words.first().map(String::as_str) {
        Some("large") => large::measure(number(1, 5)),
        Some("start") => start::measure(number(1, 1_000_000)),
        Some("snapshot") => snapshot::measure(number(1, 100_000)),
        Some("crowd") => crowd::measure(number(1, 10_000)),
        _ => say(
            "usage: cargo bench --bench figures -- large [GIB] | start [OBJECTS] | snapshot [OBJECTS] | crowd [PARTS]",
        ),
    }
}

/// A number, with `_` between digits if one likes.
fn read_number(word: &str) -> u64 {
    word.replace('_', "").parse().unwrap_or_else(|error| panic!("{word:?} is no number: {error}"))
}

/// A server on a folder of one's own, open to everybody.
fn serve(folder: &Path) -> Server {
    let mut setup = Setup::with_buckets(&[BUCKET]);
    setup.args.extend(["--anonymous".into(), "read-write".into()]);
    setup.data_dir = Some(folder.to_path_buf());
    Server::start(&setup)
}

/// A line of `/proc/PID/status` in MiB: `VmRSS` is what the process holds, `VmHWM` the most it held.
fn memory_mib(server: &Server, name: &str) -> f64 {
    let path = format!("/proc/{}/status", server.pid());
    let status = std::fs::read_to_string(path).expect("Linux tells what a process holds");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse::<f64>().ok());
    kib.expect("the line is there, in kB") / 1024.0
}

#[expect(clippy::print_stdout, reason = "figures go to standard output")]
fn say(line: &str) {
    println!("{line}");
}
