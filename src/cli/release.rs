//! The releases under test of a stage: what the configuration says, or else what the stage keeps.
//!
//! They belong to the stage's state, so that a fork, an import or a restart without the variable hides
//! what was hidden. Only `serve` writes them down.

use std::sync::Arc;

use super::failure::Failure;
use crate::config::{Error, Settings};
use crate::fallback::{Fallback, NONE, ReleaseConfig, ReleaseId};
use crate::store::Store;

/// How to say what is under test.
pub(super) const HOW_TO_SAY: &str = "UNDERSTUDY_UNDER_TEST=firefox-83.0b3-build1";

/// Has the stage keep what is said, and tells what changes by it.
pub(super) async fn keep(settings: &Settings, store: &Store) -> Result<(), Failure> {
    let Some(said) = settings.under_test.config() else { return Ok(()) };
    let (before, names) = (store.under_test()?, said.names());
    if before == names {
        return Ok(());
    }
    if !before.is_empty() {
        let before = before.join(", ");
        tracing::warn!(
            "the release under test was {before} and is {said} from now on: production's files are shown and \
             hidden accordingly"
        );
    }
    Ok(store.set_under_test(names).await?)
}

/// The rules of a stage, with the releases under test that are in force.
pub(super) fn fallback(settings: &Settings, store: &Store) -> Result<Arc<Fallback>, Failure> {
    if settings.under_test.config().is_some() {
        return Ok(Arc::clone(&settings.fallback));
    }
    with_release(&settings.fallback, kept(store)?)
}

/// The same rules with these releases under test.
pub(super) fn with_release(fallback: &Fallback, release: ReleaseConfig) -> Result<Arc<Fallback>, Failure> {
    Ok(Arc::new(fallback.clone().with_release(release).map_err(Error::from)?))
}

/// What the stage keeps. A name that cannot be read is refused: without it, what it hides would be shown.
fn kept(store: &Store) -> Result<ReleaseConfig, Failure> {
    let names = store.under_test()?;
    ReleaseConfig::parse(names.iter().map(String::as_str)).map_err(|error| {
        Failure::Usage(format!(
            "the data folder keeps a release under test that cannot be read ({error}): say it again, such as \
             {HOW_TO_SAY}, or UNDERSTUDY_UNDER_TEST={NONE}"
        ))
    })
}

/// The warning of a stage that would show production's files of the very release that is rehearsed.
pub(super) fn warn_if_none(settings: &Settings, fallback: &Fallback) {
    if settings.under_test.config().is_none() && fallback.shows_every_release() {
        tracing::warn!("{}", nothing_under_test());
    }
}

fn nothing_under_test() -> String {
    format!(
        "no release is under test: production's files of every release are found here, so a rehearsal can pass \
         because production has the file already; say what is rehearsed, such as {HOW_TO_SAY} ([release] \
         under_test in a file), or UNDERSTUDY_UNDER_TEST={NONE} if this is meant"
    )
}

/// The line of the banner; none where no rule reaches for production's releases.
pub(super) fn line(fallback: &Fallback) -> Option<String> {
    let release = fallback.release();
    match release.under_test.as_slice() {
        [] if fallback.shows_every_release() => Some(format!(
            "No release is under test: production's files of every release are found here ({HOW_TO_SAY} hides one)."
        )),
        [] => None,
        [one] => Some(format!("{one} is under test: production is never asked for {}.", hidden(one))),
        _ => Some(format!(
            "{release} are under test: production is never asked for them, nor for anything newer of their products."
        )),
    }
}

fn hidden(release: &ReleaseId) -> String {
    format!("it, nor for anything newer of {}", release.product())
}

#[cfg(test)]
mod tests {
    use super::{keep, line, with_release};
    use crate::config::{Environment, Flags, Settings};
    use crate::store::{Options, Store};

    fn settings(said: &str) -> Settings {
        let environment = Environment::from([
            ("UNDERSTUDY_PRESET".to_owned(), "mozilla".to_owned()),
            ("UNDERSTUDY_UNDER_TEST".to_owned(), said.to_owned()),
        ]);
        Settings::load(&Flags::default(), &environment).expect("valid settings")
    }

    fn in_force(settings: &Settings, store: &Store) -> String {
        super::fallback(settings, store).expect("rules").release().to_string()
    }

    #[tokio::test]
    async fn what_is_said_is_kept_and_where_nothing_is_said_the_kept_one_counts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(Options::new(folder.path())).expect("an empty folder");
        for (said, expected) in [
            ("", "none"),
            ("firefox-83.0-build1,devedition-84.0b1", "firefox-83.0-build1, devedition-84.0b1"),
            ("", "firefox-83.0-build1, devedition-84.0b1"),
            ("firefox-84.0-build1", "firefox-84.0-build1"),
            ("", "firefox-84.0-build1"),
            ("none", "none"),
            ("", "none"),
        ] {
            let settings = settings(said);
            keep(&settings, &store).await.expect("kept");
            assert_eq!(in_force(&settings, &store), expected, "{said:?}");
        }
        // A command on the folder goes by what is said, and writes nothing.
        assert_eq!(in_force(&settings("firefox-85.0"), &store), "firefox-85.0");
        assert_eq!(store.under_test().expect("kept"), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_kept_name_that_cannot_be_read_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(Options::new(folder.path())).expect("an empty folder");
        store.set_under_test(vec!["firefox".to_owned()]).await.expect("kept");
        let refused = super::fallback(&settings(""), &store).expect_err("no release").to_string();
        assert!(
            refused.contains("\"firefox\"") && refused.contains("UNDERSTUDY_UNDER_TEST=none"),
            "{refused}"
        );
        assert_eq!(in_force(&settings("none"), &store), "none");
    }

    #[test]
    fn the_banner_names_what_is_under_test() {
        let told = |said: &str| line(&settings(said).fallback).unwrap_or_default();
        assert_eq!(
            told("firefox-83.0-build1"),
            "firefox-83.0-build1 is under test: production is never asked for it, nor for anything newer of firefox."
        );
        assert_eq!(
            told("firefox-83.0,fenix-83.0"),
            "firefox-83.0, fenix-83.0 are under test: production is never asked for them, nor for anything newer of their products."
        );
        assert!(told("").starts_with("No release is under test:"), "{}", told(""));
        let plain = Settings::load(&Flags::default(), &Environment::default()).expect("valid settings");
        assert_eq!(line(&plain.fallback), None);
        let config = settings("firefox-83.0").fallback.release().clone();
        let named = with_release(&plain.fallback, config).expect("no rules");
        assert!(line(&named).expect("named").starts_with("firefox-83.0 is under test"));
    }
}
