//! The `pub/` tree as data: which release a key belongs to.
//!
//! Where a path is doubtful it is read as the version that it seems to name: a file hidden wrongly
//! is a 404 that somebody sees, a file shown wrongly lets a rehearsal pass on production's files.
//!
//! What no line of [`SHAPES`] describes belongs to no release: nightlies, dated and `latest-*` (a
//! build of a day is named by its date, and what `latest` is changes under whoever reads it), `try`
//! and tinderbox builds, `releases/latest*`, and Maven artifacts, which are outside of the tree.

use super::release::ReleaseId;
use super::version::Version;

/// Where the tree begins; the longer name is an older one, which production still answers.
const ROOTS: &[&[&str]] = &[&["pub", "mozilla.org"], &["pub"]];

/// How the path of a release's file goes on below the root. What follows the last step, or is
/// missing behind the version, does not matter.
const SHAPES: &[&[Step]] = &[
    // {product}/candidates/{version}-candidates/build{N}/…
    &[Step::Product, Step::Word("candidates"), Step::Version, Step::Build],
    // {product}/releases/partners/{partner}[/{sub-partner}]/{version}/…
    &[Step::Product, Step::Word("releases"), Step::Word("partners"), Step::Folder, Step::VersionBelow],
    // {product}/releases/{version}/…
    &[Step::Product, Step::Word("releases"), Step::Version],
];

/// Products, as Ship-It names them, whose files are not in a folder of their own name: firefox,
/// devedition, thunderbird and most others are.
const FOLDERS: &[(&str, &[&str])] = &[
    ("fennec", &["mobile", "fennec"]),
    ("firefox-android", &["fenix", "focus", "mobile", "firefox-android"]),
    ("focus-android", &["focus", "focus-android"]),
    ("mozilla-vpn", &["vpn", "mozilla-vpn"]),
    ("mozillavpn", &["vpn", "mozillavpn"]),
];

/// Products whose files are in a folder of their own name, as far as they are known.
const PRODUCTS: &[&str] =
    &["firefox", "devedition", "thunderbird", "fenix", "focus", "klar", "mobile", "vpn"];

/// The product that is probably meant by a name that is nearly its own. Other names may be new products.
pub(super) fn misspelt_product(name: &str) -> Option<&'static str> {
    let known = || PRODUCTS.iter().copied().chain(FOLDERS.iter().map(|(name, _)| *name));
    if known().any(|product| product == name) {
        return None;
    }
    // Short names are near to too many others.
    known().find(|product| product.len() > 4 && strsim::damerau_levenshtein(product, name) <= 2)
}

/// One segment of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// This word.
    Word(&'static str),
    /// The product's folder.
    Product,
    /// Any folder.
    Folder,
    /// A folder that is named after a version.
    Version,
    /// The first folder from here on that is named after a version.
    VersionBelow,
    /// `build{N}`; a folder of another name is of the version, but of no build.
    Build,
}

/// What the beginning of a path says of the release that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading<'path> {
    /// There is none, however the path goes on.
    NoRelease,
    /// It is this one, however the path goes on.
    Release(ReleaseId),
    /// It depends on how the path goes on; what is known so far.
    Open {
        /// The product's folder.
        product: Option<&'path str>,
        /// The version, if only the build is missing.
        version: Option<Version>,
    },
}

/// The folders below `pub/` that hold a product's files.
pub(super) fn folders_of(product: &str) -> impl Iterator<Item = &str> {
    let known = FOLDERS.iter().find(|(name, _)| *name == product).map_or(&[][..], |(_, folders)| folders);
    known.iter().copied().chain(known.is_empty().then_some(product))
}

/// The release that `key` belongs to, with the folder below `pub/` as its product.
pub fn release_of(key: &str) -> Option<ReleaseId> {
    match read(key) {
        Reading::Release(release) => Some(release),
        Reading::Open { product: Some(product), version: Some(version) } => {
            Some(ReleaseId::new(product, version, None))
        }
        Reading::Open { .. } | Reading::NoRelease => None,
    }
}

/// What can be said of every key that begins with `prefix`. Its last segment is not over yet, so it
/// says nothing.
pub(super) fn below(prefix: &str) -> Reading<'_> {
    prefix.rsplit_once('/').map_or(OPEN, |(folders, _)| read(folders))
}

const OPEN: Reading<'_> = Reading::Open { product: None, version: None };

/// Reads a path whose segments are whole. Empty ones do not count.
fn read(path: &str) -> Reading<'_> {
    let path: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    for root in ROOTS {
        if let Some(rest) = path.strip_prefix(*root) {
            return read_below_root(rest);
        }
        if root.starts_with(&path) {
            return OPEN;
        }
    }
    Reading::NoRelease
}

fn read_below_root<'path>(path: &[&'path str]) -> Reading<'path> {
    let mut so_far = Reading::NoRelease;
    for shape in SHAPES {
        so_far = match (so_far, read_shape(shape, path)) {
            (so_far, Reading::NoRelease) => so_far,
            (_, Reading::Release(release)) => return Reading::Release(release),
            (Reading::NoRelease, open) => open,
            // Of two that may still come true, only what they agree on is known.
            (_, Reading::Open { product, .. }) => Reading::Open { product, version: None },
        };
    }
    so_far
}

fn read_shape<'path>(shape: &[Step], path: &[&'path str]) -> Reading<'path> {
    let mut path = path.iter().copied();
    let (mut product, mut version, mut build) = (None, None, None);
    for step in shape {
        let segment = match step {
            Step::VersionBelow => path.find(|segment| folder_version(segment).is_some()),
            Step::Word(_) | Step::Product | Step::Folder | Step::Version | Step::Build => path.next(),
        };
        let Some(segment) = segment else { return Reading::Open { product, version } };
        match step {
            Step::Word(word) if *word != segment => return Reading::NoRelease,
            Step::Word(_) | Step::Folder => {}
            Step::Product => product = Some(segment),
            Step::Version | Step::VersionBelow => match folder_version(segment) {
                Some(found) => version = Some(found),
                None => return Reading::NoRelease,
            },
            Step::Build => build = segment.strip_prefix("build").and_then(build_number),
        }
    }
    match (product, version) {
        (Some(product), Some(version)) => Reading::Release(ReleaseId::new(product, version, build)),
        _ => Reading::NoRelease,
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
    use super::{Reading, below, release_of};

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
            ("pub/devedition/releases/84.0b1/a", Some("devedition-84.0b1")),
            ("pub/mobile/releases/68.11.1/a", Some("mobile-68.11.1")),
            ("pub/vpn/candidates/2.35.0-candidates/build2/a", Some("vpn-2.35.0-build2")),
            ("pub/fenix/releases/137.0b3/android/a.apk", Some("fenix-137.0b3")),
            ("pub/firefox/releases/partners/acme/83.0/a", Some("firefox-83.0")),
            ("pub/firefox/releases/partners/acme/acme-de/83.0/mac/a", Some("firefox-83.0")),
            ("pub/mozilla.org/thunderbird/releases/78.5.0esr/a", Some("thunderbird-78.5.0esr")),
            ("pub/firefox/releases/partners/acme/README", None),
            ("pub/firefox/releases/latest-beta/a", None),
            ("pub/firefox/releases/", None),
            ("pub/firefox/nightly/latest-mozilla-central/firefox-84.0a1.mar", None),
            ("pub/firefox/nightly/2020/10/2020-10-20-09-41-42-mozilla-central/a.mar", None),
            ("pub/firefox/nightly/experimental/83.0/a", None),
            ("pub/firefox/bundles/83.0/a", None),
            ("private/firefox/releases/83.0/a", None),
            ("maven2/org/mozilla/geckoview/geckoview/83.0/a", None),
            ("/", None),
        ] {
            let release = release_of(key);
            assert_eq!(release.map(|release| release.to_string()).as_deref(), expected, "{key}");
        }
    }

    #[test]
    fn a_prefix_says_as_much_as_all_keys_below_it_have_in_common() {
        for (prefix, expected) in [
            ("", "open"),
            ("pub", "open"),
            ("pub/", "open"),
            ("pub/firefox", "open"),
            ("pub/mozilla.org/", "open"),
            ("pub/firefox/", "firefox"),
            ("pub/mozilla.org/firefox/", "firefox"),
            ("pub//firefox//", "firefox"),
            ("pub/firefox/releases/", "firefox"),
            ("pub/firefox/releases/83.0", "firefox"),
            ("pub/firefox/releases/83.0/", "release firefox-83.0"),
            ("pub/firefox/releases/latest/", "none"),
            ("pub/firefox/releases/partners/", "firefox"),
            ("pub/firefox/releases/partners/acme/de/", "firefox"),
            ("pub/firefox/releases/partners/acme/83.0/", "release firefox-83.0"),
            ("pub/firefox/candidates/83.0-candidates/", "firefox 83.0"),
            ("pub/firefox/candidates/83.0-candidates/build", "firefox 83.0"),
            ("pub/firefox/candidates/83.0-candidates/build1/", "release firefox-83.0-build1"),
            ("pub/firefox/nightly/", "none"),
            ("maven2/", "none"),
        ] {
            let told = match below(prefix) {
                Reading::NoRelease => "none".to_owned(),
                Reading::Release(release) => format!("release {release}"),
                Reading::Open { product: None, .. } => "open".to_owned(),
                Reading::Open { product: Some(product), version: None } => product.to_owned(),
                Reading::Open { product: Some(product), version: Some(version) } => {
                    format!("{product} {version}")
                }
            };
            assert_eq!(told, expected, "{prefix}");
        }
    }
}
