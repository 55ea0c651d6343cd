//! One page of a directory index: which folders and files it shows. Pure.
//!
//! JSON as the archive gives it has sizes and times. Of a page for people only the links are taken:
//! the sizes on it are rounded, and no two servers write them alike.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;

use crate::admin::row::Fields;

/// What a page shows, by names of one step.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// Folders, without the slash at their end.
    pub(super) folders: BTreeSet<String>,
    /// Files of which the page says all that there is to know.
    pub(super) files: Vec<Fields>,
    /// Files of which it shows only the name.
    pub(super) names: BTreeSet<String>,
}

/// What is wrong with a page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidPage {
    /// Not the archive's listing.
    #[error("its index is JSON that does not read: {0}")]
    Json(String),
    /// A name that is a path, or none.
    #[error("its index has the name {0:?}, which is not one step of a path")]
    Name(String),
}

#[derive(Debug, serde::Deserialize)]
struct Listing {
    prefixes: Vec<String>,
    files: Vec<Fields>,
}

impl Page {
    /// Reads the archive's listing of a folder.
    pub(super) fn of_json(text: &[u8]) -> Result<Self, InvalidPage> {
        let listing: Listing =
            serde_json::from_slice(text).map_err(|error| InvalidPage::Json(error.to_string()))?;
        let is_bad = |name: &&str| !is_step(name);
        let folders = listing.prefixes.iter().map(|name| name.strip_suffix('/').unwrap_or(name));
        let files = listing.files.iter().map(|fields| fields.key.as_str());
        if let Some(name) = folders.clone().chain(files).find(is_bad) {
            return Err(InvalidPage::Name(name.chars().take(200).collect()));
        }
        Ok(Self {
            folders: folders.map(str::to_owned).collect(),
            files: listing.files,
            names: BTreeSet::new(),
        })
    }

    /// Reads the links of a page at `url`, which ends in `/`: those that lead one step further down.
    pub(super) fn of_html(text: &str, url: &str) -> Self {
        let mut page = Self::default();
        for link in links(text) {
            let Some(step) = step_below(url, &link) else { continue };
            match step.strip_suffix('/') {
                Some(folder) => page.folders.insert(folder.to_owned()),
                None => page.names.insert(step),
            };
        }
        page
    }
}

/// Whether a name is one step of a path, which could not lead anywhere else.
fn is_step(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && !matches!(name, "." | "..")
}

/// The step behind `url` to which a link on its page leads, with its slash.
fn step_below(url: &str, link: &str) -> Option<String> {
    let link = link.trim().split('#').next().unwrap_or_default();
    // Sorting, as in `?C=M;O=A`.
    if link.is_empty() || link.contains('?') {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = decoded(&format!("/{path}"))?;
    let same_host = |authority: &str| authority.eq_ignore_ascii_case(host);
    let target = if let Some(rest) = link.strip_prefix("//") {
        let (authority, path) = rest.split_once('/')?;
        same_host(authority).then(|| format!("/{path}"))?
    } else if let Some((linked_scheme, rest)) = link.split_once("://") {
        let (authority, path) = rest.split_once('/')?;
        (linked_scheme.eq_ignore_ascii_case(scheme) && same_host(authority)).then(|| format!("/{path}"))?
    } else if link.starts_with('/') {
        link.to_owned()
    } else {
        // `mailto:`; a name with a colon is written `./a:b`.
        if link.split('/').next().is_some_and(|first| first.contains(':')) {
            return None;
        }
        let step = decoded(link.strip_prefix("./").unwrap_or(link))?;
        return is_step(step.strip_suffix('/').unwrap_or(&step)).then_some(step);
    };
    let step = decoded(&target)?.strip_prefix(&path)?.to_owned();
    is_step(step.strip_suffix('/').unwrap_or(&step)).then_some(step)
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// The `href` of every `<a>`, with its character references resolved.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let name = rest.bytes().take(2).collect::<Vec<_>>();
        if matches!(&name[..], [b'a' | b'A', space] if space.is_ascii_whitespace()) {
            let (link, after) = href(&rest[2..]);
            found.extend(link);
            rest = after;
        }
    }
    found
}

/// Reads attributes up to the end of the tag.
fn href(tag: &str) -> (Option<String>, &str) {
    let mut link = None;
    let mut rest = tag;
    loop {
        rest = rest.trim_start_matches(|letter: char| letter.is_ascii_whitespace() || letter == '/');
        let end = rest.find(|letter: char| letter.is_ascii_whitespace() || matches!(letter, '=' | '>' | '/'));
        let Some(end) = end else { return (link, "") };
        let (name, after) = rest.split_at(end);
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix('=') {
            let (value, after) = attribute_value(after.trim_start());
            if name.eq_ignore_ascii_case("href") && link.is_none() {
                link = Some(unescaped(value));
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix('>') {
            return (link, after);
        } else if rest.is_empty() {
            return (link, "");
        }
    }
}

fn attribute_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    let end = text.find(|letter: char| letter.is_ascii_whitespace() || letter == '>');
    text.split_at(end.unwrap_or(text.len()))
}

/// Resolves the character references that servers write: those of markup, and numbers.
fn unescaped(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        whole.push_str(&rest[..start]);
        rest = &rest[start..];
        let resolved = rest.split_once(';').and_then(|(name, after)| Some((reference(&name[1..])?, after)));
        if let Some((letter, after)) = resolved {
            whole.push(letter);
            rest = after;
        } else {
            whole.push('&');
            rest = &rest[1..];
        }
    }
    whole + rest
}

fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidPage, Page};

    fn names(set: &std::collections::BTreeSet<String>) -> Vec<&str> {
        set.iter().map(String::as_str).collect()
    }

    const URL: &str = "https://archive.example:8443/pub/a%20b/";

    #[test]
    fn the_archives_json_has_folders_and_files() {
        let text = r#"{"prefixes": ["releases/", "nightly"], "files": [{"name": "README", "size": 12, "last_modified": "2026-11-20T21:20:19Z"}]}"#;
        let page = Page::of_json(text.as_bytes()).expect("a listing");
        assert_eq!(names(&page.folders), ["nightly", "releases"]);
        assert_eq!(page.files.len(), 1);
        assert_eq!((page.files[0].key.as_str(), page.files[0].size.as_deref()), ("README", Some("12")));
        assert!(page.names.is_empty());
    }

    #[test]
    fn json_that_could_lead_elsewhere_is_refused() {
        for name in ["", "/", "..", "../x", "a/b", "."] {
            let text = serde_json::json!({ "prefixes": [name], "files": [] }).to_string();
            assert!(matches!(Page::of_json(text.as_bytes()), Err(InvalidPage::Name(_))), "{name}");
            let text =
                serde_json::json!({ "prefixes": [], "files": [{ "name": name, "size": 1 }] }).to_string();
            assert!(matches!(Page::of_json(text.as_bytes()), Err(InvalidPage::Name(_))), "{name}");
        }
        for text in ["", "[]", "{}", "{\"prefixes\": []}"] {
            assert!(matches!(Page::of_json(text.as_bytes()), Err(InvalidPage::Json(_))), "{text}");
        }
    }

    #[test]
    fn links_of_one_step_down_are_taken_and_no_others() {
        for (link, folder, file) in [
            ("releases/", Some("releases"), None),
            ("./releases/", Some("releases"), None),
            ("README", None, Some("README")),
            ("/pub/a%20b/README", None, Some("README")),
            ("/pub/a b/README#top", None, Some("README")),
            ("https://archive.example:8443/pub/a%20b/x/", Some("x"), None),
            ("HTTPS://ARCHIVE.example:8443/pub/a%20b/x/", Some("x"), None),
            ("//archive.example:8443/pub/a%20b/x/", Some("x"), None),
            ("Firefox%20Setup%201.0.exe", None, Some("Firefox Setup 1.0.exe")),
            ("./a:b", None, Some("a:b")),
            ("%C3%A9&amp;&#x27;&#39;&quot;", None, Some("é&''\"")),
            ("a&b;c", None, Some("a&b;c")),
            ("", None, None),
            ("../", None, None),
            ("./", None, None),
            ("/pub/", None, None),
            ("/pub/a%20b/", None, None),
            ("/pub/a%20b/x/y", None, None),
            ("/pub/a%20b/..", None, None),
            ("/pub/a%20b/%2e%2e/", None, None),
            ("x%2Fy", None, None),
            ("..%2F", None, None),
            ("/other", None, None),
            ("https://elsewhere.example/pub/a%20b/x/", None, None),
            ("http://archive.example:8443/pub/a%20b/x/", None, None),
            ("//elsewhere.example/pub/a%20b/x", None, None),
            ("?C=M;O=A", None, None),
            ("x?C=M", None, None),
            ("#top", None, None),
            ("mailto:a@b", None, None),
            ("javascript:alert(1)", None, None),
            ("%FF", None, None),
        ] {
            let page = Page::of_html(&format!("<p><a href=\"{link}\">x</a>"), URL);
            let found = (names(&page.folders).first().copied(), names(&page.names).first().copied());
            assert_eq!(found, (folder, file), "{link}");
        }
    }

    #[test]
    fn tags_are_read_as_browsers_read_them() {
        for (text, expected) in [
            ("<A\n class='x' HREF=one>1</a><a data-href=\"x\" href='two'>2</A>", vec!["one", "two"]),
            ("<!-- <a href=\"hidden\"> --><a href = \"shown\" >", vec!["shown"]),
            ("<abbr href=\"no\"><a name=\"x\"><a href><area href=\"no\">", vec![]),
            ("<a href=\"same\"><a href=\"same\">", vec!["same"]),
            ("<a href=\"a>b\">x", vec!["a>b"]),
            ("<a href=\"unfinished", vec!["unfinished"]),
            ("<a href=", vec![]),
            ("<a ", vec![]),
            ("a < b <a/href=\"x\">", vec![]),
        ] {
            assert_eq!(names(&Page::of_html(text, URL).names), expected, "{text}");
        }
    }
}
