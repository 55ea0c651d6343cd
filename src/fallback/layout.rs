//! The `pub/` tree as data: which release a key belongs to.
//!
//! ```text
//! pub/{product}/candidates/{version}-candidates/build{N}/…
//! pub/{product}/releases/{version}/…
//! pub/{product}/releases/partners/{partner}[/{sub-partner}]/{version}/…
//! ```
//!
//! Nightlies and Maven artifacts belong to no release. Where a path is doubtful it is read as the
//! version that it seems to name: a file hidden wrongly is a 404 that somebody sees, a file shown
//! wrongly lets a rehearsal pass on production's files.

use super::release::ReleaseId;
use super::version::Version;
use crate::model::ObjectKey;

/// Products whose files are not in a folder of their own name.
const FOLDERS: &[(&str, &[&str])] = &[
    ("fennec", &["mobile", "fennec"]),
    ("firefox-android", &["fenix", "focus", "mobile", "firefox-android"]),
    ("focus-android", &["focus", "focus-android"]),
    ("mozilla-vpn", &["vpn", "mozilla-vpn"]),
    ("mozillavpn", &["vpn", "mozillavpn"]),
];

/// An older name of the root of the tree, which production still answers.
const ROOT_ALIAS: &str = "mozilla.org";

/// The folders below `pub/` that hold a product's files.
pub(super) fn folders_of(product: &str) -> impl Iterator<Item = &str> {
    let known = FOLDERS.iter().find(|(name, _)| *name == product).map_or(&[][..], |(_, folders)| folders);
    known.iter().copied().chain(known.is_empty().then_some(product))
}

/// The release that `key` belongs to, with the folder below `pub/` as its product.
pub fn release_of(key: &ObjectKey) -> Option<ReleaseId> {
    let mut segments = key.as_str().split('/').filter(|segment| !segment.is_empty());
    if segments.next()? != "pub" {
        return None;
    }
    let product = match segments.next()? {
        ROOT_ALIAS => segments.next()?,
        product => product,
    };
    match segments.next()? {
        "candidates" => {
            let version = folder_version(segments.next()?)?;
            let build = segments.next().and_then(|folder| build_number(folder.strip_prefix("build")?));
            Some(ReleaseId::new(product, version, build))
        }
        "releases" => {
            let version = match segments.next()? {
                "partners" => segments.skip(1).find_map(folder_version)?,
                folder => folder_version(folder)?,
            };
            Some(ReleaseId::new(product, version, None))
        }
        _ => None,
    }
}

/// The number in `build{N}`.
pub(super) fn build_number(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// The version that a folder is named after: `83.0`, `83.0-candidates`, `83.0-real`.
fn folder_version(folder: &str) -> Option<Version> {
    let version = folder.split_once('-').map_or(folder, |(version, _)| version);
    Version::parse(version).ok()
}

#[cfg(test)]
mod tests {
    use super::release_of;
    use crate::model::ObjectKey;

    #[test]
    fn releases_are_read_off_the_paths_that_beetmover_writes() {
        for (key, expected) in [
            ("pub/firefox/candidates/83.0b3-candidates/build1/a", Some("firefox-83.0b3-build1")),
            (
                "pub/firefox/candidates/83.0b3-candidates/build1/partner-repacks/acme/v1/a",
                Some("firefox-83.0b3-build1"),
            ),
            ("pub/firefox/candidates/83.0b3-candidates/", Some("firefox-83.0b3")),
            ("pub/firefox/candidates/83.0b3-candidates/build1-old/a", Some("firefox-83.0b3")),
            ("pub/firefox/releases/83.0/win64/de/Firefox Setup 83.0.exe", Some("firefox-83.0")),
            ("pub/firefox/releases/83.0", Some("firefox-83.0")),
            ("pub/fenix/releases/137.0b3/android/a.apk", Some("fenix-137.0b3")),
            ("pub/firefox/releases/partners/acme/83.0/a", Some("firefox-83.0")),
            ("pub/firefox/releases/partners/acme/acme-de/83.0/mac/a", Some("firefox-83.0")),
            ("pub/mozilla.org/thunderbird/releases/78.5.0esr/a", Some("thunderbird-78.5.0esr")),
            ("pub/firefox/releases/partners/acme/README", None),
            ("pub/firefox/releases/latest-beta/a", None),
            ("pub/firefox/releases/", None),
            ("pub/firefox/nightly/latest-mozilla-central/firefox-84.0a1.mar", None),
            ("pub/firefox/bundles/83.0/a", None),
            ("private/firefox/releases/83.0/a", None),
            ("maven2/org/mozilla/geckoview/geckoview/83.0/a", None),
            ("/", None),
        ] {
            let release = release_of(&ObjectKey::parse(key).expect("a key"));
            assert_eq!(release.map(|release| release.to_string()).as_deref(), expected, "{key}");
        }
    }
}
