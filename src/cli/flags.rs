//! Flags that several commands share.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use crate::config;

/// Where settings come from, and where the data is: what every command needs.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Place {
    /// Configuration file [env: UNDERSTUDY_CONFIG]
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    config: Option<OsString>,
    /// Build on a preset: mozilla [env: UNDERSTUDY_PRESET]
    #[arg(long, value_name = "NAME", help_heading = "Settings")]
    preset: Option<String>,
    /// Folder for everything that is stored [env: UNDERSTUDY_DATA_DIR] [default: understudy-data]
    #[arg(long, value_name = "DIR", help_heading = "Settings")]
    data_dir: Option<OsString>,
}

/// Which stage a command is about.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Target {
    /// The server to ask [default: the one that has the data folder; if none has, the folder is opened]
    #[arg(long, value_name = "URL", help_heading = "Settings")]
    pub(super) endpoint: Option<String>,
    /// The certificate to know a TLS server by [env: UNDERSTUDY_TLS_CERT]
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    pub(super) tls_cert: Option<PathBuf>,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Everything that the server can be told by flags.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Settings {
    #[command(flatten)]
    place: Place,
    /// Address to listen on; port 0 takes a free one [env: UNDERSTUDY_LISTEN, PORT] [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Settings")]
    listen: Option<String>,
    /// Keep nothing: data in a temporary folder that goes with the process [env: UNDERSTUDY_EPHEMERAL]
    #[arg(long, help_heading = "Settings", conflicts_with = "data_dir")]
    ephemeral: bool,
    /// Make this bucket at the start if it is missing; may be repeated [env: UNDERSTUDY_BUCKETS=a,b]
    #[arg(long = "bucket", value_name = "NAME", help_heading = "Settings")]
    buckets: Vec<String>,
    /// What everybody may do with every bucket, unsigned: none, read or read-write [env: UNDERSTUDY_ANONYMOUS] [default: none]
    #[arg(long, value_name = "WHAT", help_heading = "Settings")]
    anonymous: Option<String>,
    /// Speak TLS with this certificate (PEM) [env: UNDERSTUDY_TLS_CERT]
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    tls_cert: Option<OsString>,
    /// The certificate's private key (PEM) [env: UNDERSTUDY_TLS_KEY]
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    tls_key: Option<OsString>,
}

impl Target {
    /// The stage of a data folder.
    pub(super) fn of_folder(folder: &std::path::Path) -> Self {
        Self::of_place(&Place { data_dir: Some(folder.into()), ..Place::default() })
    }

    /// The stage of a data folder, with its settings.
    pub(super) fn of_place(place: &Place) -> Self {
        Self { endpoint: None, tls_cert: None, place: place.clone() }
    }
}

impl Place {
    /// As a layer of the configuration.
    pub(super) fn layer(&self) -> Result<config::Flags, Failure> {
        Ok(config::Flags {
            config: text("--config", self.config.as_ref())?,
            preset: self.preset.clone(),
            data_dir: text("--data-dir", self.data_dir.as_ref())?,
            ..config::Flags::default()
        })
    }
}

impl Settings {
    /// As a layer of the configuration.
    pub(super) fn layer(&self) -> Result<config::Flags, Failure> {
        Ok(config::Flags {
            listen: self.listen.clone(),
            ephemeral: self.ephemeral,
            buckets: self.buckets.clone(),
            anonymous: self.anonymous.clone(),
            tls_cert: text("--tls-cert", self.tls_cert.as_ref())?,
            tls_key: text("--tls-key", self.tls_key.as_ref())?,
            ..self.place.layer()?
        })
    }
}

/// A path as text: settings are TOML, which has nothing else.
fn text(flag: &str, path: Option<&OsString>) -> Result<Option<String>, Failure> {
    let as_text = |path: &OsString| {
        path.to_str().map(str::to_owned).ok_or_else(|| {
            Failure::Usage(format!("{flag}: {} is not UTF-8: give the path another name", path.display()))
        })
    };
    path.map(as_text).transpose()
}
