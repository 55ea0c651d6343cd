//! The checkout, the server, the engine and the whole machine are killed, twenty times, while stages
//! are written to, kept, reset, forked, checked out and returned: the doctor and `fsck` end clean, no
//! acknowledged object is lost, and nothing half-made stays.
//!
//! Who is killed when is drawn by dice; a failure says their seed, and UNDERSTUDY_KILLS_SEED rolls
//! them again. The engine is one of this test's own, for which it has to be root; where none can be
//! had the test says so and passes, and fails under `CI=true`.

#[path = "../container/engine.rs"]
mod engine;
#[path = "../harness/engine_of_own.rs"]
mod engine_of_own;
#[expect(dead_code, reason = "single requests and codes are not looked at here")]
#[path = "../harness/http.rs"]
mod http;
#[expect(dead_code, reason = "images of clients are for the compose files")]
#[path = "../container/image.rs"]
mod image;
#[expect(dead_code, reason = "the log and signals are for the other tests")]
#[path = "../harness/server.rs"]
mod server;

#[path = "../crash/content.rs"]
mod content;
#[path = "../crash/verify.rs"]
mod verify;
#[path = "../crash/writer.rs"]
mod writer;

mod desk;
mod returned;
mod round;
mod snapshots;

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use self::content::Dice;
use self::desk::Desk;
use self::engine_of_own::EngineOfOwn;
use self::round::{BASE, GUEST, MAIN, ROUNDS, Scene, Work};
use self::writer::Writer;

/// The bucket that is written to.
const BUCKET: &str = "kills";
/// Writers at a time.
const WRITERS: u64 = 4;

/// The engine, if one can be had. Under `CI=true` it has to be.
#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
fn engine_of_own() -> Option<EngineOfOwn> {
    if !engine::engine_answers() {
        return None;
    }
    let started = EngineOfOwn::start();
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    match started {
        Ok(engine) => Some(engine),
        Err(reason) if ci => {
            panic!("no second Docker Engine can be had, and CI=true says that one has to: {reason}")
        }
        Err(reason) => {
            eprintln!("not run: no second Docker Engine can be had here: {reason}");
            None
        }
    }
}

/// The seed of the dice: one that was named, or a new one.
fn seed() -> u64 {
    let named = std::env::var("UNDERSTUDY_KILLS_SEED").ok().filter(|text| !text.is_empty());
    let new = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let new = || u64::try_from(new()).expect("it fits for long");
    named.map_or_else(new, |text| text.parse().expect("UNDERSTUDY_KILLS_SEED is a number"))
}

/// Checks out the main stage, fills it, and does every work once without a kill.
fn rehearse(desk: Desk, dice: Dice) -> Scene {
    desk.done(&["checkout", MAIN]);
    let writers = (0..WRITERS).map(|number| Writer::new(number, number)).collect();
    let durations = [].into();
    let mut scene = Scene { desk, dice, writers, base: Vec::new(), durations, cut_short: 0 };
    let mut writers = std::mem::take(&mut scene.writers);
    scene.write(MAIN, &mut writers, 60);
    scene.base.clone_from(&writers);
    let made = scene.desk.inside(MAIN, &["snapshot", "create", BASE]).status().expect("docker is there");
    assert!(made.success());
    scene.writers = writers;
    for (number, work) in
        [Work::Snapshot, Work::Reset, Work::Fork, Work::Return, Work::Checkout].iter().enumerate()
    {
        let since = Instant::now();
        let output = scene.command(*work, 100 + number).expect("it has a command").output();
        let output = output.expect("it can be started");
        assert!(output.status.success(), "{work:?}: {}", desk::told(&output));
        scene.durations.insert(*work, since.elapsed());
    }
    scene.desk.done(&["return", GUEST]);
    scene
}

#[test]
#[expect(clippy::print_stderr, reason = "a failure is repeated by its seed")]
fn twenty_kills_lose_nothing_and_leave_nothing() {
    let Some(engine) = engine_of_own() else { return };
    let seed = seed();
    eprintln!("to roll the same dice: UNDERSTUDY_KILLS_SEED={seed}");
    let desk = Desk::open(engine, image::tag());
    let mut scene = rehearse(desk, Dice::new(seed));
    let mut left = ROUNDS.to_vec();
    for number in 1..=ROUNDS.len() {
        let drawn = scene.below(left.len() as u64);
        let (work, victim) = left.swap_remove(drawn);
        eprintln!("round {number}: {work:?}, and {victim:?} is killed");
        let since = Instant::now();
        scene.round(number, work, victim);
        eprintln!("round {number} took {:?}", since.elapsed());
    }
    eprintln!("{} commands were at work when somebody was killed", scene.cut_short);
    assert!(scene.cut_short > 0, "no kill came while a command was at work");
    scene.desk.fsck(MAIN);
    scene.desk.done(&["return", MAIN]);
    assert_eq!(scene.desk.done(&["list"]), "nothing is checked out\n");
    // Of everything that the library names, with its labels or without.
    assert_eq!(scene.desk.things(""), Vec::<String>::new());
}
