//! What a configuration says about the releases under test: these, none on purpose, or nothing.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use super::release::{ReleaseConfig, ReleaseId};

/// The word that says that nothing is under test.
pub const NONE: &str = "none";

/// What is said. A stage keeps its release: only where nothing is said does the kept one count.
///
/// An empty list says nothing, as an empty variable does: every copy of the preset has one, and a stage
/// that lost its release by that would show what it is to hide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Said {
    /// Nothing.
    #[default]
    Nothing,
    /// That nothing is under test: `none`.
    NoRelease,
    /// At least one release.
    Releases(ReleaseConfig),
}

impl Said {
    /// The releases under test, if something is said.
    pub fn config(&self) -> Option<ReleaseConfig> {
        match self {
            Self::Nothing => None,
            Self::NoRelease => Some(ReleaseConfig::default()),
            Self::Releases(config) => Some(config.clone()),
        }
    }
}

/// One word of the list.
enum Word {
    NoRelease,
    Release(ReleaseId),
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        if text == NONE {
            return Ok(Self::NoRelease);
        }
        ReleaseId::parse(&text).map(Self::Release).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SaidVisitor)
    }
}

struct SaidVisitor;

impl<'de> Visitor<'de> for SaidVisitor {
    type Value = Said;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of releases such as [\"firefox-83.0b3-build1\"], or \"none\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Said, E> {
        if text == NONE {
            Ok(Said::NoRelease)
        } else {
            Err(E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Said, A::Error> {
        let (mut under_test, mut none) = (Vec::new(), false);
        while let Some(word) = words.next_element()? {
            match word {
                Word::NoRelease => none = true,
                Word::Release(release) => under_test.push(release),
            }
        }
        match (none, under_test.is_empty()) {
            (true, false) => Err(de::Error::custom("\"none\" stands alone: name releases, or say \"none\"")),
            (true, true) => Ok(Said::NoRelease),
            (false, true) => Ok(Said::Nothing),
            (false, false) => Ok(Said::Releases(ReleaseConfig { under_test })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Said;

    #[derive(Debug, serde::Deserialize)]
    struct Table {
        under_test: Said,
    }

    fn said(value: &str) -> Result<Said, String> {
        let table = toml::from_str::<Table>(&format!("under_test = {value}"));
        table.map(|table| table.under_test).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn none_is_said_on_purpose_and_an_empty_list_says_nothing() {
        assert_eq!(said("[]"), Ok(Said::Nothing));
        assert_eq!(said("\"none\""), Ok(Said::NoRelease));
        assert_eq!(said("[\"none\"]"), Ok(Said::NoRelease));
        let Ok(Said::Releases(config)) = said("[\"firefox-83.0\", \"devedition-84.0b1\"]") else {
            panic!("two releases")
        };
        assert_eq!(config.to_string(), "firefox-83.0, devedition-84.0b1");
        assert_eq!(Said::NoRelease.config().map(|config| config.to_string()).as_deref(), Some("none"));
        assert_eq!(Said::Nothing.config(), None);
    }

    #[test]
    fn what_is_neither_is_refused_with_what_to_write() {
        for (value, told) in [
            ("[\"none\", \"firefox-83.0\"]", "stands alone"),
            ("\"firefox-83.0\"", "a list of releases"),
            ("[\"83.0\"]", "does not name a release"),
            ("7", "a list of releases"),
        ] {
            let refused = said(value).expect_err(value);
            assert!(refused.contains(told), "{value}: {refused}");
        }
    }
}
