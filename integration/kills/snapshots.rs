//! Snapshots that somebody was killed over.

use std::process::Output;

use serde_json::Value;

use super::desk::{Desk, told};
use super::round::MAIN;

/// The name of a round's snapshot.
pub(crate) fn name(round: usize) -> String {
    format!("round-{round}")
}

/// One that was said to be made is there; one that is there can be compared with and deleted.
pub(crate) fn check(desk: &Desk, round: usize, ended: Option<&Output>, when: &str) {
    let listed = run(desk, &["snapshot", "list", "--json"], 0);
    let listed: Value = serde_json::from_str(&listed).unwrap_or_else(|error| panic!("{error}: {listed}"));
    let own = name(round);
    let is_there = listed.to_string().contains(&format!("\"{own}\""));
    let done = ended.is_some_and(|output| output.status.success());
    assert!(!done || is_there, "{when}: the snapshot was said to be made, and is not there: {listed}");
    if is_there {
        // It ends with 1 where something was written since.
        run(desk, &["snapshot", "diff", &own], 1);
        run(desk, &["snapshot", "delete", &own], 0);
    }
}

/// Runs a command that ends with this code or a lower one if it has done its work.
fn run(desk: &Desk, arguments: &[&str], code_max: i32) -> String {
    let output = desk.inside(MAIN, arguments).output().expect("docker is there");
    let done = output.status.code().is_some_and(|code| code <= code_max);
    assert!(done, "{arguments:?}: {}", told(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
