//! Start to first answer, and memory when idle, empty and with many objects.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use super::http::{Connection, get};
use super::{BUCKET, memory_mib, say, serve};

/// Starts measured; the middle one is reported.
const STARTS: usize = 21;
/// Writers that fill the store, each with requests under way on a connection of its own.
const WRITERS: u64 = 32;
/// Requests that a writer has under way.
const UNDER_WAY: u64 = 16;

/// Measures an empty folder, fills it, and measures again.
pub(crate) fn measure(objects: u64) {
    let temporary = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = temporary.path().join("data");
    starts(&folder, 0);
    let server = serve(&folder);
    let started = Instant::now();
    fill(server.address(), objects, 100);
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = objects as f64 / started.elapsed().as_secs_f64();
    say(&format!(
        "filled with {objects} objects at {rate:.0}/s; resident {:.1} MiB, peak {:.1} MiB",
        memory_mib(&server, "VmRSS"),
        memory_mib(&server, "VmHWM")
    ));
    drop(server);
    starts(&folder, objects);
}

/// Starts again and again; says the middle time to the first answer, and what an idle server holds.
fn starts(folder: &Path, objects: u64) {
    let targets = ["/__lbheartbeat__".to_owned(), format!("/{BUCKET}/{}", key(objects / 2))];
    let mut times = Vec::new();
    let mut resident = Vec::new();
    // The first one makes the folder, or finds it as the killed one before left it.
    drop(serve(folder));
    for number in 0..STARTS {
        let started = Instant::now();
        let server = serve(folder);
        let answer = get(server.address(), &targets[number % 2]);
        times.push(started.elapsed());
        assert!([200, 404].contains(&answer.status), "{answer:?}");
        resident.push(memory_mib(&server, "VmRSS"));
    }
    times.sort_unstable();
    resident.sort_by(f64::total_cmp);
    let middle = STARTS / 2;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    say(&format!(
        "{objects} objects: first answer after {:.1} ms (slowest of {STARTS}: {:.1} ms), idle resident {:.1} MiB",
        milliseconds(times[middle]),
        milliseconds(times[STARTS - 1]),
        resident[middle]
    ));
}

/// The key of an object, in folders of a thousand as a release has them.
fn key(number: u64) -> String {
    format!("pub/firefox/candidates/{:05}/{:03}.checksums", number / 1000, number % 1000)
}

/// Stores so many small objects.
pub(crate) fn fill(address: SocketAddr, objects: u64, size: usize) {
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || {
                let numbers: Vec<_> = (0..objects).filter(|number| number % WRITERS == writer).collect();
                let mut connection = Connection::open(address);
                for batch in numbers.chunks(usize::try_from(UNDER_WAY).expect("a handful")) {
                    put(&mut connection, batch, size).expect("the server stores what it is sent");
                }
            });
        }
    });
}

/// Sends a batch of requests at once and reads their answers.
fn put(connection: &mut Connection, numbers: &[u64], size: usize) -> io::Result<()> {
    let requests: Vec<_> = numbers
        .iter()
        .map(|number| {
            let body = format!("{number:0size$}");
            let key = key(*number);
            format!("PUT /{BUCKET}/{key} HTTP/1.1\r\nHost: stage\r\nContent-Length: {size}\r\n\r\n{body}")
        })
        .collect();
    connection.send(requests.concat().as_bytes())?;
    for _ in numbers {
        let answer = connection.answer(true)?;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    Ok(())
}
