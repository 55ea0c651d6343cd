//! Where events go and how they look: standard error, as text for people or as one mozlog object
//! per line for machines.
//!
//! Everybody else only emits events. mozlog: Dockerflow's logging format, as Balrog writes it
//! (`src/auslib/log.py`).

mod mozlog;

use std::io::{self, IsTerminal as _};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use self::mozlog::Mozlog;

/// How events look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Lines for people, in colours on a terminal unless `NO_COLOR` is set.
    #[default]
    Text,
    /// One JSON object per line.
    Mozlog,
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// No format has that name.
    #[error("UNDERSTUDY_LOG_FORMAT={0:?} is not a log format: write text or mozlog")]
    Format(String),
    /// The filter does not read.
    #[error(
        "UNDERSTUDY_LOG={filter:?} is not a log filter ({source}): write a level such as info, or target=level pairs such as info,understudy::store=debug"
    )]
    Filter {
        /// What was written.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else in this process has set up logging.
    #[error("the log is set up already")]
    Twice(#[source] TryInitError),
}

/// What the log is to be.
#[derive(Debug)]
pub struct Telemetry {
    format: Format,
    filter: Targets,
}

impl Telemetry {
    /// Reads the settings: `UNDERSTUDY_LOG` and `UNDERSTUDY_LOG_FORMAT`.
    pub fn read(environment: impl Fn(&str) -> Option<String>) -> Result<Self, TelemetryError> {
        let set = |name| environment(name).filter(|value| !value.is_empty());
        let format = match set("UNDERSTUDY_LOG_FORMAT") {
            None => Format::Text,
            Some(name) if name == "text" => Format::Text,
            Some(name) if name == "mozlog" => Format::Mozlog,
            Some(name) => return Err(TelemetryError::Format(name)),
        };
        let filter = set("UNDERSTUDY_LOG").unwrap_or_else(|| "info".to_owned());
        let filter = filter.parse().map_err(|source| TelemetryError::Filter { filter, source })?;
        Ok(Self { format, filter })
    }

    /// Sends the events of the whole process to standard error from now on.
    pub fn install(self) -> Result<(), TelemetryError> {
        let registry = tracing_subscriber::registry().with(self.filter);
        let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
        match self.format {
            Format::Text => {
                let coloured = io::stderr().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
                registry.with(lines.with_ansi(coloured).with_target(false)).try_init()
            }
            Format::Mozlog => registry.with(lines.event_format(Mozlog::of_this_process())).try_init(),
        }
        .map_err(TelemetryError::Twice)
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, Telemetry, TelemetryError};

    fn read(pairs: &[(&str, &str)]) -> Result<Telemetry, TelemetryError> {
        Telemetry::read(|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_format_and_the_level_come_from_the_environment() {
        for (pairs, format, filter) in [
            (&[][..], Format::Text, "info"),
            (&[("UNDERSTUDY_LOG_FORMAT", ""), ("UNDERSTUDY_LOG", "")], Format::Text, "info"),
            (&[("UNDERSTUDY_LOG_FORMAT", "mozlog")], Format::Mozlog, "info"),
            (
                &[("UNDERSTUDY_LOG", "understudy::store=debug,warn")],
                Format::Text,
                "understudy::store=debug,warn",
            ),
        ] {
            let telemetry = read(pairs).expect("settings");
            assert_eq!(
                (telemetry.format, telemetry.filter.to_string().as_str()),
                (format, filter),
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn what_does_not_read_is_refused_by_name() {
        for pairs in [("UNDERSTUDY_LOG_FORMAT", "json"), ("UNDERSTUDY_LOG", "understudy=loud")] {
            let refused = read(&[pairs]).expect_err("no settings").to_string();
            assert!(refused.contains(pairs.0) && refused.contains(pairs.1), "{refused}");
        }
    }
}
