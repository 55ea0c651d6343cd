//! `understudy check`: health as an exit code and one line.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::failure::Failure;
use super::flags;
use super::heartbeat::{Heartbeat, ask};
use super::print;
use super::serving::Serving;
use super::wire::Unasked;
use crate::config::{Environment, Settings, Span};

/// The arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code: 0 healthy, 1 slow, 2 ill or not there, 3 could not be asked.

Examples:
  understudy check                                 the server that has the data folder here
  understudy check --url http://stage.example:8000 --nagios
  HEALTHCHECK CMD [\"understudy\", \"check\"]")]
pub(super) struct Arguments {
    /// The server [default: the one that has the data folder, or as serve would listen]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The line as Nagios reads it, with performance data
    #[arg(long, conflicts_with = "json")]
    nagios: bool,
    /// The line as a JSON object
    #[arg(long)]
    json: bool,
    /// An answer that takes longer than this is a warning
    #[arg(long, value_name = "TIME", default_value = "1s")]
    warning: Span,
    /// No answer within this time is critical
    #[arg(long, value_name = "TIME", default_value = "5s")]
    timeout: Span,
    /// The certificate to know a TLS server by [env: UNDERSTUDY_TLS_CERT]
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    #[command(flatten)]
    place: flags::Place,
}

/// The exit code of what could not be found out.
pub(super) const UNKNOWN: u8 = 3;

/// How a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Warning,
    Critical,
    Unknown,
}

/// What is told.
#[derive(Debug)]
struct Finding {
    state: State,
    text: String,
    elapsed: Option<Duration>,
}

/// Asks, tells one line, and gives the exit code.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let finding = find(arguments, environment)
        .unwrap_or_else(|failure| Finding::unknown(super::failure::chain(&failure)));
    print(&finding.line(arguments))?;
    Ok(ExitCode::from(finding.state.exit_code()))
}

fn find(arguments: &Arguments, environment: &Environment) -> Result<Finding, Failure> {
    let (url, certificate) = if let Some(url) = &arguments.url {
        (url.clone(), arguments.tls_cert.clone())
    } else {
        let settings = Settings::load(&arguments.place.layer()?, environment)?;
        let serving = Serving::of(&settings);
        (serving.url, arguments.tls_cert.clone().or(serving.certificate))
    };
    let of_environment = environment.get("UNDERSTUDY_TLS_CERT").map(PathBuf::from);
    let certificate = certificate.or(of_environment);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::io("cannot start", source))?;
    let patience = arguments.timeout.duration();
    let asked = runtime.block_on(ask(&url, certificate.as_deref().map(Path::new), patience));
    // A name that is still being looked up must not hold the answer back.
    runtime.shutdown_background();
    Ok(Finding::of(&url, asked, arguments.warning.duration()))
}

impl State {
    fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => UNKNOWN,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl Finding {
    fn unknown(text: String) -> Self {
        Self { state: State::Unknown, text, elapsed: None }
    }

    fn of(url: &str, asked: Result<Heartbeat, Unasked>, warning: Duration) -> Self {
        let heartbeat = match asked {
            Ok(heartbeat) => heartbeat,
            Err(unasked) if unasked.is_the_servers() => {
                return Self { state: State::Critical, text: unasked.to_string(), elapsed: None };
            }
            Err(unasked) => return Self::unknown(unasked.to_string()),
        };
        let Heartbeat { status, text, elapsed } = heartbeat;
        let took = elapsed.as_millis();
        let (state, text) = if !status.is_success() {
            (State::Critical, format!("{url} answers {status}: {}", reason(&text)))
        } else if elapsed > warning {
            (State::Warning, format!("{url} is healthy but took {took} ms"))
        } else {
            // Production that is down does not make a stage ill: another container would not reach
            // it either.
            let warnings = warnings(&text).map_or_else(String::new, |told| format!("; warning: {told}"));
            (State::Ok, format!("{url} is healthy, {took} ms{warnings}"))
        };
        Self { state, text, elapsed: Some(elapsed) }
    }

    fn line(&self, arguments: &Arguments) -> String {
        let Self { state, text, elapsed } = self;
        if arguments.json {
            let elapsed_ms = elapsed.map(|elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            let line = json!({ "state": state.name().to_ascii_lowercase(), "message": text, "elapsed_ms": elapsed_ms });
            return format!("{line}\n");
        }
        if !arguments.nagios {
            return format!("{}: {text}\n", state.name());
        }
        // Monitoring Plugins: "|" begins the performance data, so the text must not hold one.
        let text = text.replace('|', "/");
        let data = elapsed.map_or_else(String::new, |elapsed| {
            let seconds = |duration: Duration| duration.as_secs_f64();
            let (warning, critical) = (arguments.warning.duration(), arguments.timeout.duration());
            format!(" | time={:.6}s;{:.3};{:.3};0", seconds(elapsed), seconds(warning), seconds(critical))
        });
        format!("UNDERSTUDY {} - {text}{data}\n", state.name())
    }
}

/// What an ill server says about itself, on one line.
fn reason(text: &str) -> String {
    let messages = serde_json::from_str::<Value>(text).ok().and_then(|document| {
        let messages = document.pointer("/details/store/messages")?.as_array()?.clone();
        Some(messages.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "))
    });
    one_line(&messages.unwrap_or_else(|| text.chars().take(200).collect()))
}

/// What a healthy server warns of, on one line.
fn warnings(text: &str) -> Option<String> {
    let document = serde_json::from_str::<Value>(text).ok()?;
    if document.get("status")? != "warning" {
        return None;
    }
    let details = document.get("details")?.as_object()?.iter();
    let told = details.map(|(check, detail)| {
        let messages = detail.get("messages").and_then(Value::as_array);
        let messages: Vec<_> = messages.into_iter().flatten().filter_map(Value::as_str).collect();
        format!("{check}: {}", messages.join("; "))
    });
    Some(one_line(&told.collect::<Vec<_>>().join("; ")))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
