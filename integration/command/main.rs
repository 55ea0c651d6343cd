//! The command as it is run: signals, exit codes, variables, and what it leaves behind.

#[expect(dead_code, reason = "answers are not looked into here")]
#[path = "../harness/http.rs"]
mod http;
#[path = "../harness/production.rs"]
mod production;
#[expect(dead_code, reason = "other tests kill their server and read what it prints")]
#[path = "../harness/server.rs"]
mod server;
#[expect(dead_code, reason = "chunks are not signed here")]
#[path = "../harness/sigv4.rs"]
mod sigv4;

mod damaged;
mod full_disk;
mod health;
mod private;
mod receipt;
mod release;
mod scrub;
mod seed;
mod settings;
mod snapshot;
mod stage;
mod stop;
mod unwritable;

use std::process::{Command, Output};

use self::server::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, forget_environment};

/// Runs `understudy` with these arguments, to its end.
fn understudy(arguments: &[&str], environment: &[(&str, &std::path::Path)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy"));
    forget_environment(&mut command);
    command
        .env("UNDERSTUDY_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("UNDERSTUDY_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    command.envs(environment.iter().copied()).args(arguments);
    command.output().expect("the understudy binary was built for this test")
}

/// Both outputs as text, for a report and for looking into.
fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}
