//! kill -9 under load, again and again on the same folder: what was acknowledged is there and
//! whole, what was not is there as a whole or not at all, and `understudy fsck` is clean.
//!
//! Each writer owns its keys, so it knows what every one of them may hold: the state that the
//! server acknowledged last, or the one that it was asked for when it was killed. Every other kill comes
//! within a restore of a snapshot, a GCS compose or a CompleteMultipartUpload. After some kills, people make
//! mistakes with the index.
//!
//! UNDERSTUDY_CRASH_ROUNDS says how many kills; UNDERSTUDY_CRASH_SEED rolls the dice of a failure again.

#[expect(
    dead_code,
    reason = "bodies are compared as bytes here, codes and single requests are not looked at"
)]
#[path = "../harness/http.rs"]
mod http;
#[expect(dead_code, reason = "the log and the scratch folder are for the other tests")]
#[path = "../harness/server.rs"]
mod server;

mod aimed;
mod content;
mod field;
mod mistakes;
mod verify;
mod world;
mod writer;

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use self::mistakes::Mistake;
use self::world::{Work, World};

/// The bucket that is written to.
const BUCKET: &str = "crash";
/// Kills, unless UNDERSTUDY_CRASH_ROUNDS says otherwise.
const ROUNDS: u64 = 20;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, and is {text:?}")))
}

#[test]
#[expect(clippy::print_stderr, reason = "a failure is repeated by its seed")]
fn no_acknowledged_object_is_lost_or_torn_however_often_the_server_is_killed() {
    let rounds = number("UNDERSTUDY_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("UNDERSTUDY_CRASH_SEED").unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
        since.as_secs()
    });
    eprintln!("to roll the same dice: UNDERSTUDY_CRASH_SEED={seed} UNDERSTUDY_CRASH_ROUNDS={rounds}");
    let since = Instant::now();
    let mut world = World::new(seed);
    let mut mistakes = Mistake::ALL.iter().cycle();
    for round in 1..=rounds {
        let work = match round % 6 {
            1 => Work::Restore,
            3 => Work::Compose,
            5 => Work::Complete,
            _ => Work::Write,
        };
        let mistake = if round % 4 == 0 { mistakes.next() } else { None };
        world.round(round, work, mistake.copied());
        eprintln!("round {round}: {work:?}, {mistake:?}; {:?}", since.elapsed());
    }
    let World { kills, cut_short, mistakes, .. } = &world;
    eprintln!(
        "{kills:?} kills, of which within the work: {cut_short:?}; {mistakes} mistakes; {:?}",
        since.elapsed()
    );
}
