//! Commands and logs of containers.

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt as _;

use super::{Engine, Error};
use crate::library::spec::Secrets;

/// A command that ran in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code.
    pub code: i64,
    /// What it printed.
    pub output: String,
    /// What it complained of.
    pub complaints: String,
}

/// The exit code of a command line that is not understood: an older image.
const NOT_UNDERSTOOD: i64 = 2;
/// The binary of the image.
const BINARY: &str = "/app/understudy";

impl Ran {
    /// Whether the stage does not know the command.
    pub fn is_unknown(&self) -> bool {
        self.code == NOT_UNDERSTOOD && self.complaints.contains("unrecognized subcommand")
    }
}

impl Engine {
    /// Runs a command of the stage in its container and waits for its end.
    pub async fn run_in(&self, container: &str, arguments: &[&str]) -> Result<Ran, Error> {
        self.run_with(container, arguments, &Secrets::default()).await
    }

    /// The same with variables of its own.
    pub(super) async fn run_with(
        &self,
        container: &str,
        arguments: &[&str],
        variables: &Secrets,
    ) -> Result<Ran, Error> {
        let mut output = Vec::new();
        let take = |bytes: &[u8]| {
            output.extend_from_slice(bytes);
            true
        };
        let ran = self.stream_in(container, arguments, variables, take).await?;
        Ok(Ran { output: String::from_utf8_lossy(&output).into_owned(), ..ran })
    }

    /// The same; what it prints is handed to `take`, for as long as that wants it.
    async fn stream_in(
        &self,
        container: &str,
        arguments: &[&str],
        variables: &Secrets,
        mut take: impl FnMut(&[u8]) -> bool,
    ) -> Result<Ran, Error> {
        let doing = || format!("run {} in {container}", arguments.join(" "));
        let command: Vec<&str> = std::iter::once(BINARY).chain(arguments.iter().copied()).collect();
        let variables: Vec<_> = variables.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let fixed = ["NO_COLOR=1", "UNDERSTUDY_LOG=error"];
        let options = CreateExecOptions {
            cmd: Some(command),
            env: Some(fixed.into_iter().chain(variables.iter().map(String::as_str)).collect()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let made = self.docker.create_exec(container, options).await.map_err(self.failed(doing()))?;
        let started = self.docker.start_exec(&made.id, None).await.map_err(self.failed(doing()))?;
        let mut complaints = Vec::new();
        match started {
            StartExecResults::Attached { output: mut said, .. } => {
                while let Some(part) = said.next().await {
                    match part.map_err(self.failed(doing()))? {
                        LogOutput::StdErr { message } => complaints.extend_from_slice(&message),
                        LogOutput::StdOut { message }
                        | LogOutput::StdIn { message }
                        | LogOutput::Console { message } => {
                            if !take(&message) {
                                break;
                            }
                        }
                    }
                }
            }
            StartExecResults::Detached => {}
        }
        let ended = self.docker.inspect_exec(&made.id).await.map_err(self.failed(doing()))?;
        // A command whose container is taken away has no exit code.
        Ok(Ran {
            code: ended.exit_code.unwrap_or(-1),
            output: String::new(),
            complaints: String::from_utf8_lossy(&complaints).into_owned(),
        })
    }

    /// Runs a command that prints a file, and writes that to `out`; gives its length.
    pub async fn fetch(
        &self,
        container: &str,
        arguments: &[&str],
        out: &mut impl std::io::Write,
    ) -> Result<u64, Error> {
        let (mut length_bytes, mut written) = (0, Ok(()));
        let take = |bytes: &[u8]| {
            length_bytes += bytes.len() as u64;
            written = out.write_all(bytes);
            written.is_ok()
        };
        let ran = self.stream_in(container, arguments, &Secrets::default(), take).await?;
        written.map_err(|source| Error::Io { what: "cannot write the export".to_owned(), source })?;
        succeeded(container, arguments, ran)?;
        Ok(length_bytes)
    }

    /// The same; an exit code other than 0 is an error.
    pub async fn done_in(&self, container: &str, arguments: &[&str]) -> Result<String, Error> {
        succeeded(container, arguments, self.run_in(container, arguments).await?)
    }

    /// What a container has logged, handed to `take` until that has enough; with `follow` also what
    /// it will log.
    pub async fn logs(
        &self,
        container: &str,
        tail: Option<usize>,
        follow: bool,
        mut take: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Error> {
        let tail = tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let options =
            LogsOptionsBuilder::default().stdout(true).stderr(true).follow(follow).tail(&tail).build();
        let mut lines = std::pin::pin!(self.docker.logs(container, Some(options)));
        while let Some(line) = lines.next().await {
            let line = line.map_err(self.failed(format!("read the log of {container}")))?;
            if !take(line.as_ref()) {
                break;
            }
        }
        Ok(())
    }

    /// The end of a container's log, for an error.
    pub(super) async fn log_end(&self, container: &str) -> String {
        let mut text = Vec::new();
        // What cannot be read is not what went wrong.
        let take = |line: &[u8]| {
            text.extend_from_slice(line);
            true
        };
        drop(self.logs(container, Some(15), false, take).await);
        String::from_utf8_lossy(&text).trim_end().to_owned()
    }
}

/// What a command printed, if it did what it was asked for.
pub(super) fn succeeded(container: &str, arguments: &[&str], ran: Ran) -> Result<String, Error> {
    if ran.code == 0 {
        return Ok(ran.output);
    }
    let told = if ran.complaints.trim().is_empty() { &ran.output } else { &ran.complaints };
    let text = if ran.is_unknown() {
        "the image of this stage is older than this command: check out a stage of a newer image".to_owned()
    } else {
        told.trim().trim_start_matches("understudy: ").to_owned()
    };
    Err(Error::Command {
        command: arguments.join(" "),
        container: container.to_owned(),
        code: ran.code,
        text,
    })
}
