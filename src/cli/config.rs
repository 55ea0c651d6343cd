//! `understudy config check | show | preset`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::flags;
use super::print;
use super::release::with_release;
use crate::config::{Environment, Settings, preset_text};
use crate::fallback::ReleaseConfig;

/// The commands below `config`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say whether the settings can be used; what is wrong is told with its place
    Check {
        #[command(flatten)]
        settings: flags::Settings,
    },
    /// Show what is in force and where each value came from; secrets are masked
    Show(Show),
    /// Print a preset: a commented file to start from
    Preset {
        /// Its name
        #[arg(value_parser = ["mozilla"])]
        name: String,
    },
}

/// The arguments of `config show`.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// As a JSON list of objects with key, value and origin
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: flags::Settings,
}

/// Runs a command below `config`.
pub(super) fn run(command: &Command, environment: &Environment) -> Result<ExitCode, Failure> {
    match command {
        Command::Check { settings } => {
            let settings = Settings::load(&settings.layer()?, environment)?;
            for warning in &settings.warnings {
                print(&format!("warning: {warning}\n"))?;
            }
            if let (None, Err(error)) =
                (settings.under_test.config(), with_release(&settings.fallback, ReleaseConfig::default()))
            {
                print(&format!("warning: {error}; or serve a data folder that keeps one\n"))?;
            }
            print("ok\n")?;
        }
        Command::Show(Show { json, settings }) => {
            let settings = Settings::load(&settings.layer()?, environment)?;
            print(&if *json { format!("{:#}\n", settings.as_json()) } else { settings.as_table() })?;
        }
        Command::Preset { name } => print(preset_text(name).unwrap_or_default())?,
    }
    Ok(ExitCode::SUCCESS)
}
