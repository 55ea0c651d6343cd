//! Patterns over keys.
//!
//! `*` stays within one segment, `**` as a whole segment crosses `/`, `?` is one byte other than
//! `/`, `[..]` one of a set and `{a,b}` one of several. A key is matched as its bytes: `//`, `..`
//! and line breaks are ordinary, and a pattern without `*` at its end must match to the end.

use globset::{GlobBuilder, GlobMatcher};

use crate::model::ObjectKey;

/// A pattern over keys, ready to match.
#[derive(Debug, Clone)]
pub(super) struct Pattern(GlobMatcher);

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, globset::Error> {
        let glob = GlobBuilder::new(text)
            .literal_separator(true)
            .backslash_escape(true)
            .empty_alternates(true)
            .build()?;
        Ok(Self(glob.compile_matcher()))
    }

    pub(super) fn matches(&self, key: &ObjectKey) -> bool {
        self.0.is_match(key.as_str())
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.glob().glob()
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;
    use crate::model::ObjectKey;

    #[test]
    fn patterns_match_keys_as_a_shell_would_match_paths() {
        for (pattern, key, expected) in [
            ("pub/**", "pub/a", true),
            ("pub/**", "pub/a/b/c", true),
            ("pub/**", "pub/", true),
            ("pub/**", "pub//a", true),
            ("pub/**", "pub/a\nb", true),
            ("pub/**", "pub", false),
            ("pub/**", "public/a", false),
            ("pub/**", "/pub/a", false),
            ("pub/**", "private/pub/a", false),
            ("**", "a/b/c", true),
            ("**", "/", true),
            ("**/*.mar", "a/b/c.mar", true),
            ("**/*.mar", "c.mar", true),
            ("pub/*/a", "pub/firefox/a", true),
            ("pub/*/a", "pub/x/y/a", false),
            ("pub/*", "pub/a", true),
            ("pub/*", "pub/a/b", false),
            ("pub/**/a", "pub/a", true),
            ("pub/**/a", "pub/x/y/a", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("a[0-9]", "a7", true),
            ("a[!0-9]", "a7", false),
            ("pub/{firefox,devedition}/**", "pub/devedition/x", true),
            ("pub/{firefox,devedition}/**", "pub/thunderbird/x", false),
            ("a{,b}", "a", true),
            ("é*", "éa", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("exact", "Exact", false),
        ] {
            let matches =
                Pattern::parse(pattern).expect("a pattern").matches(&ObjectKey::parse(key).expect("a key"));
            assert_eq!(matches, expected, "{pattern} on {key:?}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in ["a[", "a{b", "a]b}", "[z-a]"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern:?} was taken");
        }
    }
}
