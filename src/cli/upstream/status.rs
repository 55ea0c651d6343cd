//! `understudy upstream status`.

use std::process::ExitCode;

use clap::Args;
use indicatif::{HumanBytes, HumanCount};

use crate::admin::api::{UpstreamHealth, Upstreams};
use crate::cli::failure::Failure;
use crate::cli::flags;
use crate::cli::print;
use crate::cli::stage;
use crate::config::Environment;

/// The arguments of `upstream status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Told is what the running server has found since it started.

Exit code: 0 all answer, 1 one is down and left alone for now, 2 could not be asked.

Examples:
  understudy upstream status
  understudy upstream status --endpoint http://stage.example:8000 --json")]
pub(in crate::cli) struct Arguments {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: flags::Target,
}

/// Asks and tells.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let asked = stage::with(&arguments.target, environment, async |stage, _| {
        if stage.url().is_none() {
            return Err(Failure::Usage(
                "no server has this data folder, so nothing is asked of production: start one, or name one with --endpoint"
                    .to_owned(),
            ));
        }
        stage.get::<Upstreams>("/-/api/v1/upstreams").await
    });
    match asked {
        Ok(found) => {
            print(&if arguments.json { crate::cli::json_text(&found) } else { text(&found.upstreams) })?;
            let down = found.upstreams.iter().any(|upstream| upstream.down);
            Ok(if down { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Err(failure) => {
            failure.tell();
            Ok(ExitCode::from(2))
        }
    }
}

fn text(upstreams: &[UpstreamHealth]) -> String {
    if upstreams.is_empty() {
        return "nothing was asked of production so far\n".to_owned();
    }
    upstreams.iter().map(line).collect()
}

fn line(upstream: &UpstreamHealth) -> String {
    let state = if upstream.down { "down" } else { "up" };
    let last = upstream.last_error.as_ref().map_or_else(String::new, |last| {
        format!("; last failure: {}", last.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    format!(
        "{state:<4} {}  {} requests, {} failed, {}{last}\n",
        upstream.name,
        HumanCount(upstream.requests),
        HumanCount(upstream.failures),
        HumanBytes(upstream.bytes)
    )
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::admin::api::UpstreamHealth;

    #[test]
    fn each_upstream_has_its_line() {
        let up = UpstreamHealth {
            name: "https://archive.mozilla.org/".to_owned(),
            down: false,
            last_error: None,
            requests: 1234,
            failures: 0,
            bytes: 2048,
        };
        let down = UpstreamHealth { down: true, last_error: Some("timed\nout".to_owned()), ..up.clone() };
        assert_eq!(
            text(&[up, down]),
            "up   https://archive.mozilla.org/  1,234 requests, 0 failed, 2.00 KiB\n\
             down https://archive.mozilla.org/  1,234 requests, 0 failed, 2.00 KiB; last failure: timed out\n"
        );
        assert_eq!(text(&[]), "nothing was asked of production so far\n");
    }
}
