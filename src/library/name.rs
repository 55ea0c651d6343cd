//! The name of a stage, and the names that the engine's things get from it.

use std::fmt;
use std::str::FromStr;

/// The name of a stage.
///
/// Invariant: 1 to 40 characters of `a-z`, `0-9` and `-`, with a letter or digit at both ends, so
/// that it is a DNS label, and with what is put around it the name of a container, a volume and a
/// network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageName(Box<str>);

/// Why a text is not the name of a stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} cannot be the name of a stage: {why}{}", .proposal.as_ref().map_or(String::new(), |name| format!("; {name:?} would do")))]
pub struct InvalidStageName {
    text: String,
    why: &'static str,
    proposal: Option<String>,
}

/// The longest name: with a companion's name it still is a DNS label.
const LENGTH_MAX: usize = 40;
/// What the engine's things are called before the stage's name.
const PREFIX: &str = "understudy-";
/// Between the stage's name and the number of a card.
const CARD: &str = ".card.";

/// Why a text is not a DNS label of this length; also for companions.
pub(super) fn label_trouble(text: &str) -> Option<&'static str> {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    if text.is_empty() {
        Some("it is empty")
    } else if text.len() > LENGTH_MAX {
        Some("it is longer than 40 characters")
    } else if !bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-') {
        Some("it may have a-z, 0-9 and '-'")
    } else if !ends(bytes.first()) || !ends(bytes.last()) {
        Some("it begins and ends with a letter or digit")
    } else {
        None
    }
}

impl StageName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, InvalidStageName> {
        match label_trouble(text) {
            None => Ok(Self(text.into())),
            Some(why) => {
                Err(InvalidStageName { text: text.chars().take(80).collect(), why, proposal: proposal(text) })
            }
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What its container, its volume and its network are called.
    pub fn thing(&self) -> String {
        format!("{PREFIX}{self}")
    }

    /// What the container of a companion is called.
    pub fn companion(&self, companion: &str) -> String {
        format!("{PREFIX}{self}.{companion}")
    }

    /// What the volume is called that is its card with this number.
    pub fn card(&self, number: u64) -> String {
        format!("{PREFIX}{self}{CARD}{number}")
    }

    /// The stage whose volume or whose card is called so.
    pub fn of_volume(volume: &str) -> Option<Self> {
        let rest = volume.strip_prefix(PREFIX)?;
        let name = Self::parse(rest.split_once(CARD).map_or(rest, |(name, _)| name)).ok()?;
        (volume == name.thing() || name.card_number(volume).is_some()).then_some(name)
    }

    /// The number of one of its cards.
    pub fn card_number(&self, volume: &str) -> Option<u64> {
        let digits = volume.strip_prefix(&self.thing())?.strip_prefix(CARD)?;
        let number: u64 = digits.parse().ok()?;
        (number.to_string() == digits).then_some(number)
    }
}

/// A name that is like the text.
fn proposal(text: &str) -> Option<String> {
    let kept = text.to_lowercase().chars().fold(String::new(), |mut name, letter| {
        if letter.is_ascii_alphanumeric() {
            name.push(letter);
        } else if !name.ends_with('-') {
            name.push('-');
        }
        name
    });
    let kept: String = kept.trim_matches('-').chars().take(LENGTH_MAX).collect();
    let kept = kept.trim_end_matches('-').to_owned();
    (!kept.is_empty()).then_some(kept)
}

impl fmt::Display for StageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for StageName {
    type Err = InvalidStageName;

    fn from_str(text: &str) -> Result<Self, InvalidStageName> {
        Self::parse(text)
    }
}

impl<'de> serde::Deserialize<'de> for StageName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for StageName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::StageName;

    #[test]
    fn names_are_dns_labels() {
        let longest = "a".repeat(40);
        let too_long = "a".repeat(41);
        for (text, taken) in [
            ("a", true),
            ("83-0b3", true),
            ("nick-83", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            ("-a", false),
            ("a-", false),
            ("a.b", false),
            ("a_b", false),
            ("A", false),
            ("é", false),
            ("a b", false),
            ("a/b", false),
        ] {
            assert_eq!(StageName::parse(text).is_ok(), taken, "{text:?}");
        }
    }

    #[test]
    fn a_refusal_proposes_what_would_do() {
        for (text, proposal) in
            [("Nick's 83.0b3", Some("nick-s-83-0b3")), ("--A--", Some("a")), ("é", None), ("", None)]
        {
            let error = StageName::parse(text).expect_err("not a name").to_string();
            match proposal {
                Some(proposal) => {
                    assert!(error.ends_with(&format!("; {proposal:?} would do")), "{error}");
                    StageName::parse(proposal).expect("a proposal is a name");
                }
                None => assert!(!error.contains("would do"), "{error}"),
            }
        }
    }

    #[test]
    fn cards_are_told_by_their_numbers_and_never_mixed_up() {
        let name = StageName::parse("a").expect("a name");
        assert_eq!(name.thing(), "understudy-a");
        assert_eq!(name.companion("balrog"), "understudy-a.balrog");
        for (volume, number) in [
            (name.card(7), Some(7)),
            ("understudy-a".to_owned(), None),
            ("understudy-a.card.".to_owned(), None),
            ("understudy-a.card.07".to_owned(), None),
            ("understudy-a.card.-1".to_owned(), None),
            ("understudy-ab.card.1".to_owned(), None),
        ] {
            assert_eq!(name.card_number(&volume), number, "{volume}");
        }
        for (volume, stage) in [
            ("understudy-a", Some("a")),
            ("understudy-a.card.7", Some("a")),
            ("understudy-a.card.07", None),
            ("understudy-a.other", None),
            ("understudy-", None),
            ("understudy", None),
            ("a", None),
        ] {
            assert_eq!(StageName::of_volume(volume), stage.map(|_| name.clone()), "{volume}");
        }
    }
}
