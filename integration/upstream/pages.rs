//! Whole listings of a stage, page by page, by every face that lists.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::http::Answer;
use super::server::Server;
use super::stage::{BUCKET, elements, json, send};

/// How a bucket is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// ListObjects.
    V1,
    /// ListObjectsV2.
    V2,
    /// ListObjectVersions.
    Versions,
    /// `storage.objects.list`.
    Gcs,
}

impl Dialect {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::V1, Self::V2, Self::Versions, Self::Gcs];
}

/// What is listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// Only keys that begin with this.
    pub(crate) prefix: &'a str,
    /// What rolls keys up; empty for nothing.
    pub(crate) delimiter: &'a str,
    /// Entries of a page.
    pub(crate) page: usize,
}

/// One page: keys and prefixes in order, and the query of the next.
pub(crate) struct Page {
    /// Keys and prefixes.
    pub(crate) entries: Vec<String>,
    /// What to add to the query for the next page; `None` at the end.
    pub(crate) next: Option<String>,
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Asks for one page; `from` is empty or [`Page::next`].
#[track_caller]
pub(crate) fn page(server: &Server, dialect: Dialect, ask: Ask<'_>, from: &str) -> Page {
    try_page(server, dialect, ask, from)
        .unwrap_or_else(|answer| panic!("{dialect:?} {ask:?} {from}: {answer:?}"))
}

/// The same; an answer that is no page is an error.
#[track_caller]
pub(crate) fn try_page(server: &Server, dialect: Dialect, ask: Ask<'_>, from: &str) -> Result<Page, Answer> {
    let (prefix, delimiter, most) = (escaped(ask.prefix), escaped(ask.delimiter), ask.page);
    let common = format!("prefix={prefix}&delimiter={delimiter}{from}");
    let target = match dialect {
        Dialect::V1 => format!("/{BUCKET}?{common}&max-keys={most}"),
        Dialect::V2 => format!("/{BUCKET}?list-type=2&{common}&max-keys={most}"),
        Dialect::Versions => format!("/{BUCKET}?versions&{common}&max-keys={most}"),
        Dialect::Gcs => format!("/storage/v1/b/{BUCKET}/o?{common}&maxResults={most}"),
    };
    let answer = send(server, "GET", &target, "", b"");
    if answer.status != 200 {
        return Err(answer);
    }
    let found = match dialect {
        Dialect::Gcs => gcs(&json(&answer)),
        Dialect::V1 | Dialect::V2 | Dialect::Versions => xml(dialect, &answer.text()),
    };
    let sorted = found.entries.is_sorted_by(|one, two| one < two);
    assert!(sorted, "{target}: not in order: {:?}", found.entries);
    assert!(found.entries.len() <= most, "{target}: {} entries", found.entries.len());
    assert!(
        found.next.is_none() || !found.entries.is_empty(),
        "{target}: an empty page that is not the last"
    );
    Ok(found)
}

fn gcs(found: &serde_json::Value) -> Page {
    let items = found["items"].as_array().into_iter().flatten();
    let names = items.map(|item| item["name"].as_str().expect("a name").to_owned());
    let prefixes = found["prefixes"].as_array().into_iter().flatten();
    let prefixes = prefixes.map(|prefix| prefix.as_str().expect("a prefix").to_owned());
    let mut entries: Vec<_> = names.chain(prefixes).collect();
    entries.sort_unstable();
    let next = found["nextPageToken"].as_str().map(|token| format!("&pageToken={}", escaped(token)));
    Page { entries, next }
}

fn xml(dialect: Dialect, text: &str) -> Page {
    let one = |name: &str| elements(text, name).into_iter().next();
    let prefixes: Vec<_> =
        elements(text, "CommonPrefixes").iter().flat_map(|inside| elements(inside, "Prefix")).collect();
    let mut entries = elements(text, "Key");
    if dialect == Dialect::V2 {
        let count = (entries.len() + prefixes.len()).to_string();
        assert_eq!(one("KeyCount"), Some(count), "KeyCount of {text}");
    }
    entries.extend(prefixes);
    entries.sort_unstable();
    let truncated = one("IsTruncated").expect("IsTruncated") == "true";
    let last = entries.last().cloned().unwrap_or_default();
    let next = match dialect {
        Dialect::V1 => format!("&marker={}", escaped(&one("NextMarker").unwrap_or(last))),
        Dialect::V2 => {
            let token = one("NextContinuationToken");
            assert_eq!(token.is_some(), truncated, "the token of {text}");
            format!("&continuation-token={}", escaped(&token.unwrap_or_default()))
        }
        Dialect::Versions | Dialect::Gcs => {
            let version = one("NextVersionIdMarker").filter(|version| !version.is_empty());
            let version = version.map(|version| format!("&version-id-marker={}", escaped(&version)));
            let key = escaped(&one("NextKeyMarker").unwrap_or_default());
            format!("&key-marker={key}{}", version.unwrap_or_default())
        }
    };
    Page { entries, next: truncated.then_some(next) }
}

/// Everything, page by page; fails for an entry that comes twice or out of order.
#[track_caller]
pub(crate) fn all(server: &Server, dialect: Dialect, ask: Ask<'_>) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    let mut from = String::new();
    loop {
        let found = page(server, dialect, ask, &from);
        if let (Some(last), Some(first)) = (entries.last(), found.entries.first()) {
            assert!(last < first, "{dialect:?} {ask:?}: {first:?} comes after {last:?}");
        }
        entries.extend(found.entries);
        match found.next {
            Some(next) => from = next,
            None => return entries,
        }
    }
}

/// A directory by the archive face, as JSON: names of folders and files.
#[track_caller]
pub(crate) fn directory(server: &Server, folder: &str) -> Vec<String> {
    let answer = send(server, "GET", &format!("/{folder}"), "Accept: application/json\r\n", b"");
    if answer.status == 404 {
        return Vec::new();
    }
    let found = json(&answer);
    let folders = found["prefixes"].as_array().into_iter().flatten().map(|name| name.as_str());
    let files = found["files"].as_array().into_iter().flatten().map(|file| file["name"].as_str());
    let mut names: Vec<_> = folders.chain(files).map(|name| name.expect("a name").to_owned()).collect();
    names.sort_unstable();
    names
}

/// What a listing must be, the slow way.
pub(crate) fn naive(keys: impl IntoIterator<Item = impl AsRef<str>>, ask: Ask<'_>) -> Vec<String> {
    let rolled = |key: &str| {
        let rest = key.strip_prefix(ask.prefix)?;
        let end = if ask.delimiter.is_empty() { None } else { rest.find(ask.delimiter) };
        Some(end.map_or(key, |end| &key[..ask.prefix.len() + end + ask.delimiter.len()]).to_owned())
    };
    let mut entries: Vec<_> = keys.into_iter().filter_map(|key| rolled(key.as_ref())).collect();
    entries.sort_unstable();
    entries.dedup();
    entries
}
