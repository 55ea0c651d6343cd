//! `understudy credential`.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::flags;
use super::print;
use super::serve::data_dir;
use super::serving::Serving;
use crate::config::{Environment, Settings};
use crate::gcs::{NewAccount, mint};
use crate::model::Grant;

/// What kind of credential is made.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// A service account's key file, as clients of Google Cloud Storage read it
    Gcs(Gcs),
}

/// The arguments of `credential gcs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  understudy credential gcs --out key.json
  GOOGLE_APPLICATION_CREDENTIALS=key.json API_ENDPOINT_OVERRIDE=http://127.0.0.1:8000 python …

A running server knows the account at once. To revoke it, remove its file from
DATA_DIR/service-accounts.")]
pub(super) struct Gcs {
    /// Where to write the key file; it must not be there yet
    #[arg(long, value_name = "FILE")]
    out: OsString,
    /// Name of the account: what stands before the @ of its address
    #[arg(long, value_name = "NAME", default_value = "understudy")]
    name: String,
    /// What it may do, such as \"read,list:my-bucket/pub/\"; may be repeated
    #[arg(long = "grant", value_name = "GRANT", default_value = "read,write,list,admin:*",
        value_parser = Grant::parse)]
    grants: Vec<Grant>,
    /// Where clients reach the server [default: the one that has the data folder, or as serve would listen]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    #[command(flatten)]
    place: flags::Place,
}

/// Where the accounts of a data folder are.
pub(super) fn accounts(data_dir: &Path) -> PathBuf {
    data_dir.join("service-accounts")
}

fn unwritable(out: &Path, source: &std::io::Error) -> Failure {
    Failure::Usage(format!("cannot write {}: {source}", out.display()))
}

/// Makes a credential.
pub(super) fn run(command: &Command, environment: &Environment) -> Result<ExitCode, Failure> {
    let Command::Gcs(arguments) = command;
    let settings = Settings::load(&arguments.place.layer()?, environment)?;
    let new = NewAccount {
        name: arguments.name.clone(),
        grants: arguments.grants.clone(),
        server_url: arguments.endpoint.clone().unwrap_or_else(|| Serving::of(&settings).url),
    };
    let folder = data_dir(&settings);
    if !folder.is_dir() {
        return Err(Failure::Usage(format!(
            "there is no data folder {}, so no server would know the account: start the server once, or name \
             its folder with --data-dir",
            folder.display()
        )));
    }
    let out = Path::new(&arguments.out);
    // First the file that may be in the way: an account whose key nobody has would only lie around.
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out)
        .map_err(|source| unwritable(out, &source))?;
    let minted = mint(&accounts(&settings.store.data_dir), &new).inspect_err(|_| {
        // Nothing was written to it, and the reason is told all the same if it cannot go.
        drop(std::fs::remove_file(out));
    })?;
    file.write_all(minted.key_file.as_bytes()).map_err(|source| unwritable(out, &source))?;
    print(&format!(
        "{}\nGOOGLE_APPLICATION_CREDENTIALS={} API_ENDPOINT_OVERRIDE={}\nThe account is kept in {}\n",
        out.display(),
        out.display(),
        new.server_url,
        minted.account.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
