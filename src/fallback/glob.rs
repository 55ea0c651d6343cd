//! Patterns over keys, and what they say of all keys below a prefix.
//!
//! A key is matched as it is: `//`, `..` and line breaks are ordinary, and a pattern without `*` at its
//! end must match to the end.

use crate::model::{Glob, InvalidGlob};

/// A pattern over keys, ready to match.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    whole: Glob,
    /// Its segments as far as each matches one segment of a key; for [`Pattern::over`].
    segments: Vec<Segment>,
    /// Whether keys may go on in any way behind these segments.
    open: bool,
    /// What must match a folder so that everything below it matches: of `HEAD/**`, the head.
    tree: Option<Tree>,
}

/// One segment of a pattern, which matches no `/`.
#[derive(Debug, Clone)]
struct Segment {
    /// What every match begins with.
    literal: String,
    /// `None` if the literal is all there is.
    glob: Option<Glob>,
}

/// The keys of a pattern that ends in `**`.
#[derive(Debug, Clone)]
enum Tree {
    /// Of `**`: all of them.
    Everything,
    /// Of `HEAD/**`: those below a folder that the head matches.
    Below(Glob),
}

/// How much of a set of keys something is true of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// Each of them, for certain.
    All,
    /// None of them, for certain.
    None,
    /// Anything.
    Some,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidGlob> {
        let whole = Glob::parse(text)?;
        let (segments, open) = segments(text);
        Ok(Self { whole, segments, open, tree: tree(text) })
    }

    pub(super) fn matches(&self, key: &str) -> bool {
        self.whole.is_match(key)
    }

    pub(super) fn as_str(&self) -> &str {
        self.whole.as_str()
    }

    /// How many of the keys that begin with `prefix` match.
    pub(super) fn over(&self, prefix: &str) -> Share {
        let all = match &self.tree {
            None => false,
            Some(Tree::Everything) => true,
            Some(Tree::Below(head)) => {
                prefix.match_indices('/').any(|(slash, _)| head.is_match(&prefix[..slash]))
            }
        };
        if all {
            Share::All
        } else if self.can_match_below(prefix) {
            Share::Some
        } else {
            Share::None
        }
    }

    /// Whether any key that begins with `prefix` could match.
    fn can_match_below(&self, prefix: &str) -> bool {
        let (folders, last) =
            prefix.rsplit_once('/').map_or((None, prefix), |(head, last)| (Some(head), last));
        let folders = folders.into_iter().flat_map(|head| head.split('/'));
        let mut segments = self.segments.iter();
        for folder in folders {
            match segments.next() {
                Some(segment) if segment.matches(folder) => {}
                Some(_) => return false,
                None => return self.open,
            }
        }
        // The key has a further segment, which begins with `last`.
        segments.next().map_or(self.open, |segment| segment.can_begin_with(last))
    }
}

impl Segment {
    fn matches(&self, folder: &str) -> bool {
        self.glob.as_ref().map_or_else(|| self.literal == folder, |glob| glob.is_match(folder))
    }

    fn can_begin_with(&self, text: &str) -> bool {
        self.literal.starts_with(text) || (self.glob.is_some() && text.starts_with(&self.literal))
    }
}

/// What begins a part of a pattern that is not literal.
const SPECIAL: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

/// The segments of a pattern up to the first that might match a `/`, and whether there is one.
///
/// Where a `/` is not plainly between two segments (in a class, between braces, escaped), this
/// stops before it.
fn segments(text: &str) -> (Vec<Segment>, bool) {
    let mut segments = Vec::new();
    for written in text.split('/') {
        let literal: String = written.chars().take_while(|character| !SPECIAL.contains(character)).collect();
        let glob = if literal == written {
            None
        } else if written == "**" || written.contains(['[', ']', '{', '}', '\\']) {
            return (segments, true);
        } else {
            match Glob::parse(written) {
                Ok(glob) => Some(glob),
                Err(_) => return (segments, true),
            }
        };
        segments.push(Segment { literal, glob });
    }
    (segments, false)
}

/// A head that reads by itself, so that `/**` behind it means what it says. A head that ends in
/// `**` would melt into it, and one of nothing but `**` and `/` matches everything by itself.
fn tree(text: &str) -> Option<Tree> {
    if text == "**" {
        return Some(Tree::Everything);
    }
    let head = text.strip_suffix("/**")?;
    let means_more =
        head.ends_with("**") || (head.contains("**") && head.trim_matches(['*', '/']).is_empty());
    if means_more {
        return None;
    }
    Glob::parse(head).ok().map(Tree::Below)
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Share};

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
            let matches = Pattern::parse(pattern).expect("a pattern").matches(key);
            assert_eq!(matches, expected, "{pattern} on {key:?}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in ["a[", "a{b", "a]b}", "[z-a]"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern:?} was taken");
        }
    }

    #[test]
    fn what_a_pattern_says_of_all_keys_below_a_prefix() {
        for (pattern, prefix, expected) in [
            ("**", "", Share::All),
            ("pub/**", "pub/", Share::All),
            ("pub/**", "pub/firefox/rel", Share::All),
            ("pub/**", "pub", Share::Some),
            ("pub/**", "", Share::Some),
            ("pub/**", "publ", Share::None),
            ("pub/**", "maven2/", Share::None),
            ("/**", "/x", Share::All),
            ("/**", "x", Share::None),
            ("pub/*/nightly/**", "pub/firefox/nightly/", Share::All),
            ("pub/*/nightly/**", "pub/firefox/", Share::Some),
            ("pub/*/nightly/**", "pub/firefox/releases/", Share::None),
            ("pub/*/nightly/**", "pub/firefox/re", Share::None),
            ("pub/*/nightly/**", "pub/firefox/ni", Share::Some),
            ("pub/{firefox,fenix}/**", "pub/fenix/a/", Share::All),
            ("pub/{firefox,fenix}/**", "pub/vpn/a/", Share::Some),
            ("pub/**/private/**", "pub/a/private/b/", Share::All),
            ("pub/**/private/**", "pub/a/", Share::Some),
            ("pub/**/private/**", "private/", Share::None),
            ("**/**", "a/", Share::Some),
            ("**//**", "a/", Share::Some),
            ("**/**//**", "a/", Share::Some),
            ("**/a/**", "x/a/", Share::All),
            ("*/**", "x/", Share::All),
            ("pub/*", "pub/", Share::Some),
            ("pub/*", "pub/a/", Share::None),
            ("pub/a*", "pub/b", Share::None),
            ("pub/a*c", "pub/ab", Share::Some),
            ("exact/key", "exact/", Share::Some),
            ("exact/key", "exact/key", Share::Some),
            ("exact/key", "exact/key/", Share::None),
            ("exact/key", "exact/kez", Share::None),
            ("a[!x]b/**", "a/b/", Share::All),
            ("a\\*/**", "a*/", Share::All),
            ("a\\/**", "a/", Share::Some),
        ] {
            let pattern = Pattern::parse(pattern).expect("a pattern");
            assert_eq!(pattern.over(prefix), expected, "{} below {prefix:?}", pattern.as_str());
        }
    }
}
