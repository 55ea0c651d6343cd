//! The releases under test that count: those of the stage, since it keeps them, or else the configured ones.

use std::sync::Arc;

use crate::admin::api::Release;
use crate::cli::failure::{Failure, chain};
use crate::cli::flags::Target;
use crate::cli::release::with_release;
use crate::cli::serve::data_dir;
use crate::cli::stage::{self, of_stage};
use crate::config::{Environment, Settings};
use crate::fallback::{Fallback, ReleaseConfig};

/// The rules with the releases that are in force, and a sentence on who said so.
pub(super) fn find(
    target: &Target,
    settings: &Settings,
    environment: &Environment,
) -> Result<(Arc<Fallback>, String), Failure> {
    let alone = |reason: &str| {
        let sentence =
            format!("What is under test is what the configuration says; no stage was asked: {reason}.");
        Ok((Arc::clone(&settings.fallback), sentence))
    };
    let folder = data_dir(settings);
    if target.endpoint.is_none() && !settings.ephemeral() && !folder.join("index.sqlite").is_file() {
        return alone(&format!("there is no stage in {}", folder.display()));
    }
    let asked = stage::with(target, environment, async |stage, _| {
        let release: Release = stage.get(&of_stage("release", &[])).await?;
        Ok((ReleaseConfig { under_test: release.under_test }, stage.url().map(str::to_owned)))
    });
    match asked {
        // What was named must answer.
        Err(failure) if target.endpoint.is_some() => Err(failure),
        Err(failure) => alone(&chain(&failure)),
        Ok((release, url)) => {
            let sentence = sentence(&release, url.as_deref(), settings);
            Ok((with_release(&settings.fallback, release)?, sentence))
        }
    }
}

fn sentence(release: &ReleaseConfig, url: Option<&str>, settings: &Settings) -> String {
    let said = settings.under_test.config();
    match (url, said) {
        (Some(url), Some(said)) if said != *release => {
            format!("The server at {url} was asked what is under test; the configuration here says {said}.")
        }
        (Some(url), _) => format!("The server at {url} was asked what is under test."),
        (None, Some(_)) => "What is under test is what the configuration says.".to_owned(),
        (None, None) => {
            format!("What is under test is what the data folder {} keeps.", data_dir(settings).display())
        }
    }
}
