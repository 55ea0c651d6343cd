//! `understudy presign`.

use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;

use super::failure::Failure;
use super::flags;
use super::print;
use super::serve::data_dir;
use super::serving::Serving;
use super::welcome::most_able;
use crate::clock::Clock;
use crate::config::{Environment, Settings, Span};
use crate::model::{AccessKeyId, BucketName, ObjectKey};
use crate::sigv4::presign::{Presign, presign};

/// The arguments of `presign`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  curl -T firefox.exe \"$(understudy presign PUT s3://stage/pub/firefox.exe)\"
  understudy presign GET s3://stage/pub/firefox.exe --expires 7d --endpoint https://stage.example

The key pair is the one that serve would use here: from --config, the environment or the data folder.")]
pub(super) struct Arguments {
    /// What the link is for
    #[arg(value_name = "GET|PUT", value_parser = ["GET", "PUT", "HEAD", "DELETE"], ignore_case = true)]
    method: String,
    /// The object: s3://BUCKET/KEY
    #[arg(value_name = "s3://BUCKET/KEY")]
    object: ObjectAddress,
    /// How long the link is good for, at most 7d
    #[arg(long, value_name = "TIME", default_value = "1h")]
    expires: Span,
    /// Where the server is [default: the one that has the data folder, or as serve would listen]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The Content-Type that whoever uses the link must send
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Sign with this key pair instead of the one that may do the most
    #[arg(long, value_name = "ID")]
    access_key_id: Option<String>,
    #[command(flatten)]
    place: flags::Place,
}

/// `s3://bucket/key`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ObjectAddress {
    bucket: BucketName,
    key: ObjectKey,
}

impl FromStr for ObjectAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place = text.strip_prefix("s3://").and_then(|place| place.split_once('/'));
        let (bucket, key) = place.ok_or_else(|| "write s3://BUCKET/KEY".to_owned())?;
        Ok(Self {
            bucket: BucketName::parse(bucket).map_err(|error| error.to_string())?,
            key: ObjectKey::parse(key).map_err(|error| error.to_string())?,
        })
    }
}

/// Prints a link.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let settings = Settings::load(&arguments.place.layer()?, environment)?;
    let credential = match &arguments.access_key_id {
        None => most_able(&settings.credentials),
        Some(id) => {
            let id = AccessKeyId::parse(id);
            settings.credentials.iter().find(|known| Some(&known.access_key_id) == id.as_ref())
        }
    };
    let credential = credential.ok_or_else(|| {
        Failure::Usage(format!(
            "there is no such key pair to sign with: start the server once on {}, or set UNDERSTUDY_ACCESS_KEY_ID \
             and UNDERSTUDY_SECRET_ACCESS_KEY",
            data_dir(&settings).display()
        ))
    })?;
    let method = http::Method::from_bytes(arguments.method.to_ascii_uppercase().as_bytes())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let endpoint = arguments.endpoint.clone().unwrap_or_else(|| Serving::of(&settings).url);
    let content_type: Vec<_> =
        arguments.content_type.iter().map(|value| ("content-type", value.as_str())).collect();
    let link = presign(
        &Presign {
            method: &method,
            endpoint: &endpoint,
            region: &settings.s3.region,
            access_key_id: &credential.access_key_id,
            secret_key: &credential.secret_key,
            bucket: &arguments.object.bucket,
            key: &arguments.object.key,
            query: &[],
            headers: &content_type,
            expires: arguments.expires.duration(),
        },
        Clock::System.now(),
    )?;
    print(&format!("{link}\n"))?;
    Ok(ExitCode::SUCCESS)
}
