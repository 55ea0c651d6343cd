//! The engine, by its own command.

use std::process::{Command, Output};
use std::sync::OnceLock;

/// Whether an engine answers. Under `CI=true` there has to be one.
#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
pub(crate) fn engine_answers() -> bool {
    static ANSWERS: OnceLock<bool> = OnceLock::new();
    let answers = *ANSWERS.get_or_init(|| {
        let asked = Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output();
        asked.is_ok_and(|output| output.status.success())
    });
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(answers || !ci, "no Docker Engine answers, and CI=true says that one has to");
    if !answers {
        eprintln!("not run: no Docker Engine answers `docker version`");
    }
    answers
}

/// Runs `docker` with these arguments.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().expect("docker is installed where an engine answers")
}

/// Runs `docker` and gives what it printed; a failure fails the test.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
