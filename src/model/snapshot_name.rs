//! Names of snapshots.

use std::fmt;

/// What the present is called where a snapshot could be named.
pub const PRESENT: &str = "now";

/// A valid name of a snapshot.
///
/// Invariants: 1 to 64 bytes of `A-Z`, `a-z`, `0-9`, `-`, `_` and `.`; does not begin with `.`; is not
/// [`PRESENT`]. A name is therefore a file name that nothing hides, and needs no escaping in a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotName(Box<str>);

/// Why a text is not the name of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a name for a snapshot: it {rule}")]
pub struct InvalidSnapshotName {
    name: String,
    rule: &'static str,
}

impl SnapshotName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, InvalidSnapshotName> {
        match broken_rule(text) {
            None => Ok(Self(text.into())),
            // A hostile name may be megabytes; an error message carries only its beginning.
            Some(rule) => Err(InvalidSnapshotName { name: text.chars().take(80).collect(), rule }),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn broken_rule(text: &str) -> Option<&'static str> {
    if !(1..=64).contains(&text.len()) {
        return Some("must be 1 to 64 characters long");
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Some("may hold only A-Z, a-z, 0-9, '-', '_' and '.'");
    }
    if text.starts_with('.') {
        return Some("must not begin with a period");
    }
    (text == PRESENT).then_some("is what the present is called")
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for SnapshotName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SnapshotName({})", self.0)
    }
}

impl std::str::FromStr for SnapshotName {
    type Err = InvalidSnapshotName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl<'de> serde::Deserialize<'de> for SnapshotName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for SnapshotName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::SnapshotName;

    #[test]
    fn names_that_are_plain_file_names_are_taken() {
        let long = "a".repeat(64);
        for name in ["a", "before-N", "141.0-build1", "_", "-x", "A..b", &long] {
            assert_eq!(SnapshotName::parse(name).map(|name| name.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn names_that_could_be_taken_for_something_else_are_refused() {
        let long = "a".repeat(65);
        for name in ["", ".", "..", ".hidden", "a/b", "a b", "a\0", "ü", "a@b", "now", &long] {
            assert!(SnapshotName::parse(name).is_err(), "{name:?} was taken");
        }
    }
}
