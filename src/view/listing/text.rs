//! Texts in the order of their UTF-8 bytes: what comes next, what comes before. Pure.

use crate::model::ObjectKey;

/// The least text greater than `text`.
pub(super) fn behind(text: &str) -> String {
    format!("{text}\0")
}

/// The least text greater than every text that begins with `prefix`; `None` if there is none.
///
/// UTF-8 orders texts by their characters, so the last character that has a successor gets it, and
/// what stands behind it goes.
pub(super) fn successor(prefix: &str) -> Option<String> {
    let mut kept = prefix.to_owned();
    while let Some(last) = kept.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            kept.push(next);
            return Some(kept);
        }
    }
    None
}

/// A text less than `text` with as little as possible between them: what comes behind it is `text`
/// and what follows, and hardly ever anything else.
pub(super) fn before(text: &str) -> String {
    let mut kept = text.to_owned();
    match kept.pop() {
        // Nothing lies between a text and the same with a NUL.
        None | Some('\0') => {}
        Some(last) => {
            kept.extend((char::MIN..last).next_back());
            if kept.len() + char::MAX.len_utf8() <= ObjectKey::BYTES_MAX {
                kept.push(char::MAX);
            }
        }
    }
    kept
}

/// What `key` rolls up into: `prefix`, and up to the end of the first delimiter behind it.
pub(super) fn common_prefix<'key>(
    key: &'key str,
    prefix: &str,
    delimiter: Option<&str>,
) -> Option<&'key str> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let at = key.strip_prefix(prefix)?.find(delimiter)?;
    Some(&key[..prefix.len() + at + delimiter.len()])
}

#[cfg(test)]
mod tests {
    use super::{before, behind, common_prefix, successor};

    #[test]
    fn a_text_lies_between_what_comes_before_it_and_what_comes_behind() {
        for (text, expected) in [
            ("a/", "a.\u{10FFFF}"),
            ("a0", "a/\u{10FFFF}"),
            ("a\0", "a"),
            ("\u{E000}", "\u{D7FF}\u{10FFFF}"),
            ("", ""),
        ] {
            assert_eq!(before(text), expected, "{text:?}");
        }
        for text in ["a", "é", "a\u{10FFFF}", "\u{1}"] {
            assert!(before(text).as_str() < text && text < behind(text).as_str(), "{text:?}");
        }
        let long = "é".repeat(512);
        assert!(before(&long).len() <= 1024 && before(&long) < long);
    }

    #[test]
    fn behind_a_prefix_is_behind_all_that_begins_with_it() {
        assert_eq!(successor("a/").as_deref(), Some("a0"));
        assert_eq!(successor("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(successor("\u{10FFFF}"), None);
    }

    #[test]
    fn keys_roll_up_behind_the_prefix_and_with_the_delimiter() {
        for (key, prefix, delimiter, expected) in [
            ("a/b/c", "", Some("/"), Some("a/")),
            ("a/b/c", "a/", Some("/"), Some("a/b/")),
            ("a/b", "a/", Some("/"), None),
            ("aéébé", "a", Some("éb"), Some("aééb")),
            ("a/b", "", Some(""), None),
            ("a/b", "", None, None),
        ] {
            assert_eq!(common_prefix(key, prefix, delimiter), expected, "{key} {prefix} {delimiter:?}");
        }
    }
}
