//! Releases by name, and which keys a release under test hides.

use std::fmt;

use super::glob::Share;
use super::layout::{self, Reading};
use super::said::NONE;
use super::version::Version;

/// A release as Ship-It names it: `firefox-83.0b3-build1`.
///
/// Invariant: the product is 1 to 64 characters of `a-z`, `0-9`, `-` and `_`, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseId {
    product: String,
    version: Version,
    build: Option<u32>,
}

/// Why a text does not name a release. Hidden by a misspelt name, nothing would be hidden.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReleaseId {
    /// It has not the form of one.
    #[error("{0:?} does not name a release: write PRODUCT-VERSION[-buildN], such as firefox-83.0b3-build1")]
    Form(String),
    /// Mozilla's versions have two numbers at least.
    #[error("{text:?} does not name a release: {version} is not a version; did you mean {meant}?")]
    Version {
        /// All of it.
        text: String,
        /// What stands in a version's place.
        version: String,
        /// The name with the version that was probably meant.
        meant: String,
    },
    /// The product is a known one, misspelt.
    #[error("{text:?} does not name a release: there is no product {product}; did you mean {meant}?")]
    Product {
        /// All of it.
        text: String,
        /// What stands in a product's place.
        product: String,
        /// The name with the product that was probably meant.
        meant: String,
    },
}

impl ReleaseId {
    /// Puts a release together; `product` as its folder below `pub/` is named.
    pub(super) fn new(product: &str, version: Version, build: Option<u32>) -> Self {
        Self { product: product.to_owned(), version, build }
    }

    /// Reads a release's name. Without `-buildN` it stands for every build of the version.
    pub fn parse(text: &str) -> Result<Self, InvalidReleaseId> {
        let shown = || text.chars().take(80).collect::<String>();
        let form = || InvalidReleaseId::Form(shown());
        let (product, version, build) = Self::split(text).ok_or_else(form)?;
        let with_build =
            |release: String| build.map_or(release.clone(), |build| format!("{release}-build{build}"));
        let Ok(parsed) = Version::parse(version) else {
            let meant = format!("{version}.0");
            Version::parse(&meant).map_err(|_| form())?;
            let version = version.to_owned();
            return Err(InvalidReleaseId::Version {
                text: shown(),
                version,
                meant: with_build(format!("{product}-{meant}")),
            });
        };
        if let Some(meant) = layout::misspelt_product(&product) {
            let meant = with_build(format!("{meant}-{parsed}"));
            return Err(InvalidReleaseId::Product { text: shown(), product, meant });
        }
        Ok(Self { product, version: parsed, build })
    }

    /// Product in lower case, version as it stands there, and build.
    fn split(text: &str) -> Option<(String, &str, Option<u32>)> {
        let (rest, build) = match text.rsplit_once("-build") {
            Some((rest, number)) => (rest, Some(layout::build_number(number)?)),
            None => (text, None),
        };
        // Products have dashes of their own (mozilla-vpn), versions have none.
        let (product, version) = rest.rsplit_once('-')?;
        let product = product.to_ascii_lowercase();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let named = (1..=64).contains(&product.len()) && product.bytes().all(allowed);
        named.then_some((product, version, build))
    }

    /// What is released, such as `firefox`.
    pub fn product(&self) -> &str {
        &self.product
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Its build number.
    pub fn build(&self) -> Option<u32> {
        self.build
    }

    /// Whether `other`, read off a key of the same product, is this release or a newer one.
    ///
    /// A key below `releases/` has no build number; with the version under test it is hidden,
    /// because the tree there is what the release under test is about to become.
    fn hides(&self, other: &Self) -> bool {
        let same_build_or_newer = match (self.build, other.build) {
            (Some(under_test), Some(build)) => build >= under_test,
            (None, _) | (_, None) => true,
        };
        other.version > self.version || (other.version == self.version && same_build_or_newer)
    }

    /// Whether keys below `pub/{folder}/` are of this product.
    fn is_in(&self, folder: &str) -> bool {
        layout::folders_of(&self.product).any(|own| own == folder)
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.product, self.version)?;
        self.build.map_or(Ok(()), |build| write!(formatter, "-build{build}"))
    }
}

/// For messages: the names with commas between them, or `none`.
impl fmt::Display for ReleaseConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.under_test.is_empty() {
            return formatter.write_str(NONE);
        }
        formatter.write_str(&self.names().join(", "))
    }
}

impl<'de> serde::Deserialize<'de> for ReleaseId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for ReleaseId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The table `[release]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReleaseConfig {
    /// Hidden upstream, with everything newer of the same product.
    pub under_test: Vec<ReleaseId>,
}

impl ReleaseConfig {
    /// Reads names such as a stage keeps them.
    pub fn parse<'name>(names: impl IntoIterator<Item = &'name str>) -> Result<Self, InvalidReleaseId> {
        let under_test = names.into_iter().map(ReleaseId::parse).collect::<Result<_, _>>()?;
        Ok(Self { under_test })
    }

    /// The releases by name.
    pub fn names(&self) -> Vec<String> {
        self.under_test.iter().map(ToString::to_string).collect()
    }

    /// The first release under test that hides `key`.
    pub fn hides(&self, key: &str) -> Option<&ReleaseId> {
        if self.under_test.is_empty() {
            return None;
        }
        self.hides_release(&layout::release_of(key)?)
    }

    /// Whether `key` belongs to a release that is older than one under test of its product.
    pub fn is_previous(&self, key: &str) -> bool {
        layout::release_of(key)
            .is_some_and(|release| self.concerns(release.product()) && self.hides_release(&release).is_none())
    }

    /// How many of the keys that begin with `prefix` are hidden.
    pub(super) fn hides_below(&self, prefix: &str) -> Share {
        if self.under_test.is_empty() {
            return Share::None;
        }
        match layout::below(prefix) {
            Reading::NoRelease => Share::None,
            Reading::Release(release) => all_or_none(self.hides_release(&release).is_some()),
            Reading::Open { product: None, .. } => Share::Some,
            Reading::Open { product: Some(product), version: None } => {
                if self.concerns(product) {
                    Share::Some
                } else {
                    Share::None
                }
            }
            Reading::Open { product: Some(product), version: Some(version) } => {
                let hides = |build| self.hides_release(&ReleaseId::new(product, version, build)).is_some();
                // If the lowest build is hidden, all are; if no build at all is shown, any may be.
                if hides(Some(0)) {
                    Share::All
                } else if hides(None) {
                    Share::Some
                } else {
                    Share::None
                }
            }
        }
    }

    /// How many of the keys that begin with `prefix` are of an older release.
    pub(super) fn previous_below(&self, prefix: &str) -> Share {
        let reading = layout::below(prefix);
        let product = match &reading {
            Reading::NoRelease => return Share::None,
            Reading::Release(release) => release.product(),
            Reading::Open { product: None, .. } => return Share::Some,
            Reading::Open { product: Some(product), .. } => product,
        };
        if !self.concerns(product) {
            return Share::None;
        }
        if matches!(reading, Reading::Open { version: None, .. }) {
            return Share::Some;
        }
        match self.hides_below(prefix) {
            Share::All => Share::None,
            Share::None => Share::All,
            Share::Some => Share::Some,
        }
    }

    /// Whether a release of the product in this folder is under test.
    fn concerns(&self, folder: &str) -> bool {
        self.under_test.iter().any(|under_test| under_test.is_in(folder))
    }

    /// The first release under test that hides a release.
    ///
    /// Where several of a product are under test, each judges its own channel: with 83.0.1, 84.0b5
    /// and 78.6.0esr under test, 84.0b4 is an older beta, although it is newer than 83.0.1, and
    /// 83.0 is an older release, although it is newer than 78.6.0esr. A channel of which nothing is
    /// under test is judged by all of them.
    fn hides_release(&self, release: &ReleaseId) -> Option<&ReleaseId> {
        let of_product = || self.under_test.iter().filter(|under_test| under_test.is_in(&release.product));
        let same_channel =
            |under_test: &&ReleaseId| under_test.version.channel() == release.version.channel();
        let own_channel = of_product().any(|under_test| same_channel(&under_test));
        of_product()
            .filter(|under_test| !own_channel || same_channel(under_test))
            .find(|under_test| under_test.hides(release))
    }
}

fn all_or_none(all: bool) -> Share {
    if all { Share::All } else { Share::None }
}

#[cfg(test)]
mod tests {
    use super::{ReleaseConfig, ReleaseId};

    #[test]
    fn names_are_read_from_the_right() {
        for (text, product, version, build) in [
            ("firefox-83.0b3-build1", "firefox", "83.0b3", Some(1)),
            ("Firefox-83.0-build12", "firefox", "83.0", Some(12)),
            ("devedition-84.0b1-build2", "devedition", "84.0b1", Some(2)),
            ("mozilla-vpn-2.35.0-build1", "mozilla-vpn", "2.35.0", Some(1)),
            ("thunderbird-78.5.0esr", "thunderbird", "78.5.0esr", None),
        ] {
            let release = ReleaseId::parse(text).expect("a release");
            assert_eq!(
                (release.product(), release.version().to_string().as_str(), release.build()),
                (product, version, build)
            );
            assert_eq!(release.to_string(), text.to_lowercase());
        }
    }

    #[test]
    fn what_does_not_name_a_release_is_refused() {
        for text in [
            "",
            "firefox",
            "83.0",
            "-83.0",
            "firefox-83.0-build",
            "firefox-83.0-buildx",
            "firefox-83.0-build-1",
            "firefox-build1",
            "firefox-83-build1",
            "fire/fox-83.0",
            "fire fox-83.0",
        ] {
            assert!(ReleaseId::parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_name_that_would_hide_nothing_is_refused_with_what_was_meant() {
        for (text, message) in [
            (
                "firefox-83",
                "\"firefox-83\" does not name a release: 83 is not a version; did you mean firefox-83.0?",
            ),
            (
                "firefox-83-build2",
                "\"firefox-83-build2\" does not name a release: 83 is not a version; did you mean firefox-83.0-build2?",
            ),
            (
                "firefx-83.0-build1",
                "\"firefx-83.0-build1\" does not name a release: there is no product firefx; did you mean firefox-83.0-build1?",
            ),
            (
                "thunderbrid-78.5.0esr",
                "\"thunderbrid-78.5.0esr\" does not name a release: there is no product thunderbrid; did you mean thunderbird-78.5.0esr?",
            ),
        ] {
            assert_eq!(ReleaseId::parse(text).expect_err("refused").to_string(), message);
        }
        for text in ["new-product-1.0", "klar-83.0", "fenix-83.0", "mobile-83.0", "vpn-2.35.0"] {
            assert!(ReleaseId::parse(text).is_ok(), "{text}: what is not known may be new");
        }
    }

    fn hidden(under_test: &[&str], key: &str) -> bool {
        let under_test = under_test.iter().map(|name| ReleaseId::parse(name).expect("a release")).collect();
        ReleaseConfig { under_test }.hides(key).is_some()
    }

    #[test]
    fn a_release_under_test_hides_itself_and_everything_newer_of_its_product() {
        for (key, expected) in [
            ("pub/firefox/candidates/83.0b3-candidates/build2/win64/de/a.mar", true),
            ("pub/firefox/candidates/83.0b3-candidates/build3/win64/de/a.mar", true),
            ("pub/firefox/candidates/83.0b3-candidates/build10/win64/de/a.mar", true),
            ("pub/firefox/candidates/83.0b3-candidates/build1/win64/de/a.mar", false),
            ("pub/firefox/candidates/83.0b3-candidates/", true),
            ("pub/firefox/candidates/83.0b2-candidates/build9/win64/de/a.mar", false),
            ("pub/firefox/candidates/83.0b10-candidates/build1/win64/de/a.mar", true),
            ("pub/firefox/candidates/83.0-candidates/build1/win64/de/a.mar", true),
            ("pub/firefox/releases/83.0b3/win64/de/a.exe", true),
            ("pub/firefox/releases/83.0b2/win64/de/a.exe", false),
            ("pub/firefox/releases/82.0.3/win64/de/a.exe", false),
            ("pub/firefox/releases/84.0/win64/de/a.exe", true),
            ("pub/firefox/releases/partners/acme/de/83.0b3/mac/a.dmg", true),
            ("pub/firefox/releases/partners/acme/de/82.0/mac/a.dmg", false),
            ("pub/mozilla.org/firefox/releases/83.0b3/win64/de/a.exe", true),
            ("pub/firefox//releases/83.0b3//win64/de/a.exe", true),
            ("pub/devedition/releases/83.0b3/win64/de/a.exe", false),
            ("pub/thunderbird/releases/84.0/win64/de/a.exe", false),
            ("pub/firefox/releases/latest/README.txt", false),
            ("pub/firefox/nightly/latest-mozilla-central/firefox-84.0a1.en-US.mac.dmg", false),
            ("pub/firefox/nightly/2020/10/2020-10-20-09-41-42-mozilla-central/a.mar", false),
            ("maven2/org/mozilla/geckoview/geckoview/999.0/geckoview-999.0.aar", false),
        ] {
            assert_eq!(hidden(&["firefox-83.0b3-build2"], key), expected, "{key}");
        }
    }

    #[test]
    fn an_esr_hides_releases_with_higher_numbers_and_a_release_hides_esrs_that_are_not_older() {
        for (under_test, version, expected) in [
            ("firefox-140.3.0esr-build1", "140.3.0esr", true),
            ("firefox-140.3.0esr-build1", "140.4.0esr", true),
            ("firefox-140.3.0esr-build1", "141.0", true),
            ("firefox-140.3.0esr-build1", "140.2.0esr", false),
            ("firefox-140.3.0esr-build1", "128.14.0esr", false),
            ("firefox-140.0esr-build1", "140.0", false),
            ("firefox-140.0-build1", "140.0esr", true),
            ("firefox-143.0-build1", "140.3.0esr", false),
        ] {
            let key = format!("pub/firefox/releases/{version}/SHA256SUMS");
            assert_eq!(hidden(&[under_test], &key), expected, "{under_test} and {version}");
        }
    }

    #[test]
    fn several_releases_may_be_under_test_and_each_hides_its_own_folder() {
        let under_test = ["firefox-83.0-build1", "devedition-84.0b1", "mozilla-vpn-2.35.0-build1"];
        for (key, expected) in [
            ("pub/firefox/releases/83.0/a", true),
            ("pub/devedition/candidates/84.0b1-candidates/build1/a", true),
            ("pub/devedition/releases/83.0b9/a", false),
            ("pub/vpn/releases/2.35.0/a", true),
            ("pub/vpn/releases/2.34.1/a", false),
        ] {
            assert_eq!(hidden(&under_test, key), expected, "{key}");
        }
    }

    #[test]
    fn releases_under_test_of_one_product_judge_their_own_channels() {
        let under_test = ["firefox-83.0.1-build1", "firefox-84.0b5-build2", "firefox-78.6.0esr-build1"];
        for (version, expected) in [
            ("82.0.3", false),
            ("83.0", false),
            ("83.0.1", true),
            ("84.0", true),
            ("83.0b9", false),
            ("84.0b4", false),
            ("84.0b5", true),
            ("84.0b10", true),
            ("78.5.0esr", false),
            ("78.6.0esr", true),
            ("78.7.0esr", true),
            // Of this channel none is under test.
            ("84.0a1", true),
            ("78.0a1", false),
        ] {
            let key = format!("pub/firefox/releases/{version}/a");
            assert_eq!(hidden(&under_test, &key), expected, "{version}");
        }
    }

    #[test]
    fn previous_is_what_is_recognised_as_older() {
        let under_test = ["firefox-83.0b3-build2", "devedition-84.0b1-build1"]
            .map(|name| ReleaseId::parse(name).expect("a release"));
        let config = ReleaseConfig { under_test: under_test.to_vec() };
        for (key, expected) in [
            ("pub/firefox/candidates/83.0b3-candidates/build1/a", true),
            ("pub/firefox/candidates/83.0b3-candidates/build2/a", false),
            ("pub/firefox/candidates/83.0b3-candidates/readme", false),
            ("pub/firefox/releases/82.0/a", true),
            ("pub/firefox/releases/78.5.0esr/a", true),
            ("pub/firefox/releases/83.0b3/a", false),
            ("pub/firefox/releases/84.0/a", false),
            ("pub/devedition/releases/83.0b9/a", true),
            ("pub/firefox/releases/partners/acme/82.0/a", true),
            ("pub/thunderbird/releases/78.5.0/a", false),
            ("pub/firefox/nightly/latest-mozilla-central/a", false),
            ("pub/firefox/nightly/2020/10/2020-10-20-09-41-42-mozilla-central/a", false),
            ("pub/firefox/releases/latest/a", false),
            ("maven2/org/mozilla/a/1/a-1.pom", false),
        ] {
            assert_eq!(config.is_previous(key), expected, "{key}");
        }
    }

    #[test]
    fn a_folder_that_begins_with_a_hidden_version_is_hidden() {
        assert!(hidden(&["firefox-83.0-build1"], "pub/firefox/releases/83.0-real/a"));
        assert!(!hidden(&["firefox-83.0-build1"], "pub/firefox/releases/1.5rc1/a"));
    }

    #[test]
    fn misspelt_settings_are_refused() {
        assert!(toml::from_str::<ReleaseConfig>("under_test = [\"firefox-83.0\"]").is_ok());
        assert!(toml::from_str::<ReleaseConfig>("under_tests = []").is_err());
        let error = toml::from_str::<ReleaseConfig>("under_test = [\"firefox\"]").expect_err("no version");
        assert!(error.to_string().contains("firefox-83.0b3-build1"), "{error}");
    }
}
