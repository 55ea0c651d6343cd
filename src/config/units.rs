//! Amounts as people write them: `"10s"`, `"64 KiB"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time, written `500ms`, `10s`, `5m`, `1h` or `7d`, or several of these in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// A number of bytes, written `512`, `64 KiB`, `5 MiB` or `5 GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

/// Why a text is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a length of time: write one such as \"500ms\", \"10s\", \"5m\", \"1h\" or \"7d\"")]
pub struct InvalidSpan(String);

/// Why a text is not a number of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a size: write one such as \"512\", \"64 KiB\", \"5 MiB\" or \"5 GiB\"")]
pub struct InvalidSize(String);

/// The units of time and their milliseconds, largest first.
const TIME_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// The units of size and their bytes, largest first.
const SIZE_UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Span {
    /// The length of time.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl Size {
    /// The number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<u64> for Size {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

/// Splits a number off the front.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest.trim_start()))
}

/// Splits a unit off the front.
fn unit<'text>(text: &'text str, units: &[(&str, u64)]) -> Option<(u64, &'text str)> {
    let end = text.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let (_, factor) = units.iter().find(|(known, _)| *known == name)?;
    Some((*factor, rest.trim_start()))
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let read = || {
            let mut rest = text.trim();
            let mut total_ms: u64 = 0;
            while !rest.is_empty() {
                let (count, after) = number(rest)?;
                let (factor, after) = unit(after, &TIME_UNITS)?;
                total_ms = total_ms.checked_add(count.checked_mul(factor)?)?;
                rest = after;
            }
            (!text.trim().is_empty()).then_some(Self(Duration::from_millis(total_ms)))
        };
        read().ok_or_else(|| InvalidSpan(text.chars().take(80).collect()))
    }
}

impl FromStr for Size {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let read = || {
            let (count, rest) = number(text.trim())?;
            let (factor, rest) = if rest.is_empty() { (1, "") } else { unit(rest, &SIZE_UNITS)? };
            rest.is_empty().then_some(Self(count.checked_mul(factor)?))
        };
        read().ok_or_else(|| InvalidSize(text.chars().take(80).collect()))
    }
}

/// The largest unit that needs no fraction.
fn whole(amount: u64, units: &'static [(&'static str, u64)]) -> (u64, &'static str) {
    let fitting = units.iter().find(|(_, factor)| amount >= *factor && amount.is_multiple_of(*factor));
    fitting
        .map_or((amount, units.last().map_or("", |(name, _)| name)), |(name, factor)| (amount / factor, name))
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total_ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (count, name) = whole(total_ms, &TIME_UNITS);
        write!(formatter, "{count}{name}")
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, name) = whole(self.0, &SIZE_UNITS);
        write!(formatter, "{count} {name}")
    }
}

macro_rules! as_text {
    ($type:ty) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

as_text!(Span);
as_text!(Size);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Size, Span};

    #[test]
    fn lengths_of_time_are_read_and_shown() {
        for (text, ms, shown) in [
            ("500ms", 500, "500ms"),
            ("10s", 10_000, "10s"),
            (" 90 s ", 90_000, "90s"),
            ("1h", 3_600_000, "1h"),
            ("1h30m", 5_400_000, "90m"),
            ("7d", 604_800_000, "7d"),
            ("0s", 0, "0ms"),
        ] {
            let span: Span = text.parse().expect("a length of time");
            assert_eq!(
                (span.duration(), span.to_string().as_str()),
                (Duration::from_millis(ms), shown),
                "{text}"
            );
        }
        for text in ["", "10", "s", "-1s", "1.5h", "10 parsecs", "99999999999999999d", "10s!"] {
            assert!(text.parse::<Span>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes, shown) in [
            ("512", 512, "512 B"),
            ("64 KiB", 65_536, "64 KiB"),
            ("64KiB", 65_536, "64 KiB"),
            ("5 GiB", 5_368_709_120, "5 GiB"),
            ("1500 B", 1500, "1500 B"),
            ("0", 0, "0 B"),
        ] {
            let size: Size = text.parse().expect("a size");
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, shown), "{text}");
        }
        for text in ["", "KiB", "64 KB", "-1", "1.5 GiB", "99999999 TiB", "5 GiB 3 MiB"] {
            assert!(text.parse::<Size>().is_err(), "{text:?} was taken");
        }
    }
}
