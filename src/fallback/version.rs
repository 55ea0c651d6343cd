//! Mozilla versions as a total order.
//!
//! `84.0a1` < `84.0a2` < `84.0b1` < `84.0b10` < `84.0` < `84.0esr` < `84.0.1` < `84.1.0esr`.
//! The numbers decide before the train does: an ESR is newer than the release with the same
//! numbers and older than any release with higher ones. Release candidates and other spellings of
//! the years before 2011 (`1.5rc1`, `3.6.3plugin1`) are not versions in this sense.

use std::cmp::Ordering;
use std::fmt;

/// A version of a Mozilla product.
///
/// Invariants: two to four numbers; numbers that are missing count as 0, so `2.35` equals
/// `2.35.0`.
#[derive(Debug, Clone, Copy)]
pub struct Version {
    numbers: [u32; Version::NUMBERS_MAX],
    written: usize,
    stage: Stage,
}

/// Where on its way to a release a version is; later is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Alpha(u32),
    Beta(u32),
    Release,
    Esr,
}

/// A line of releases, each of which follows the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Alpha,
    Beta,
    Release,
    Esr,
}

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a Mozilla version: write one like 84.0, 84.0.1, 84.0b3, 84.0a1 or 78.5.0esr")]
pub struct InvalidVersion(pub(super) String);

impl Version {
    const NUMBERS_MAX: usize = 4;

    /// Reads a version.
    pub fn parse(text: &str) -> Result<Self, InvalidVersion> {
        Self::read(text).ok_or_else(|| InvalidVersion(text.chars().take(80).collect()))
    }

    fn read(text: &str) -> Option<Self> {
        let (dotted, stage) = match text.find(|character: char| character.is_ascii_alphabetic()) {
            None => (text, Stage::Release),
            Some(at) => (&text[..at], Stage::read(&text[at..])?),
        };
        let mut numbers = [0; Self::NUMBERS_MAX];
        let mut written = 0;
        for part in dotted.split('.') {
            *numbers.get_mut(written)? = number(part)?;
            written += 1;
        }
        (written >= 2).then_some(Self { numbers, written, stage })
    }

    /// Which line of releases it belongs to.
    pub(super) fn channel(&self) -> Channel {
        match self.stage {
            Stage::Alpha(_) => Channel::Alpha,
            Stage::Beta(_) => Channel::Beta,
            Stage::Release => Channel::Release,
            Stage::Esr => Channel::Esr,
        }
    }

    fn rank(&self) -> ([u32; Self::NUMBERS_MAX], Stage) {
        (self.numbers, self.stage)
    }
}

impl Stage {
    fn read(suffix: &str) -> Option<Self> {
        match suffix.split_at_checked(1)? {
            _ if suffix == "esr" => Some(Self::Esr),
            ("a", rest) => Some(Self::Alpha(number(rest)?)),
            ("b", rest) => Some(Self::Beta(number(rest)?)),
            _ => None,
        }
    }
}

/// `u32::from_str` would also take a sign.
fn number(text: &str) -> Option<u32> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.numbers.iter().take(self.written).enumerate() {
            write!(formatter, "{}{number}", if index == 0 { "" } else { "." })?;
        }
        match self.stage {
            Stage::Alpha(number) => write!(formatter, "a{number}"),
            Stage::Beta(number) => write!(formatter, "b{number}"),
            Stage::Release => Ok(()),
            Stage::Esr => formatter.write_str("esr"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    fn version(text: &str) -> Version {
        Version::parse(text).expect("a version")
    }

    #[test]
    fn versions_are_in_the_order_in_which_they_are_made() {
        let ascending = [
            "0.10.1",
            "2.0.0.20",
            "3.6.28",
            "38.0",
            "38.0.5b1",
            "38.0.5",
            "78.5.0esr",
            "84.0a1",
            "84.0a2",
            "84.0b1",
            "84.0b2",
            "84.0b10",
            "84.0",
            "84.0.1",
            "84.0.2",
            "115.0.2esr",
            "128.14.0esr",
            "140.0",
            "140.0esr",
            "140.0.1",
            "140.0.1esr",
            "140.1.0esr",
            "141.0a1",
        ];
        for (place, left) in ascending.iter().enumerate() {
            for (other_place, right) in ascending.iter().enumerate() {
                assert_eq!(
                    version(left).cmp(&version(right)),
                    place.cmp(&other_place),
                    "{left} against {right}"
                );
            }
        }
    }

    #[test]
    fn numbers_that_are_missing_count_as_0_and_versions_are_shown_as_written() {
        assert_eq!(version("2.35"), version("2.35.0"));
        for text in ["2.35", "2.35.0", "84.0b10", "78.5.0esr", "84.0a1"] {
            assert_eq!(version(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_version_is_refused() {
        for text in [
            "",
            "84",
            "84.",
            ".84",
            "84..0",
            "84.0b",
            "84.0a",
            "84.0c1",
            "84.0b3esr",
            "84.0ESR",
            "84.0 ",
            "+84.0",
            "84.-1",
            "84.0b+1",
            "1.5rc1",
            "3.6.3plugin1",
            "1.2.3.4.5",
            "99999999999.0",
            "latest",
            "latest-beta",
            "84.0é",
            "８４.0",
        ] {
            assert!(Version::parse(text).is_err(), "{text:?} was taken");
        }
    }
}
