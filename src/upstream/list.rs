//! Listings: the question, the page that comes back, and the pages that are remembered.
//!
//! AWS: `ListObjectsV2`; GCS answers the same by its XML API.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use percent_encoding::percent_decode_str;
use tokio::sync::OnceCell;

use super::head::{md5_of, unknown_time};
use super::memory::Memory;
use super::state::{footprint, lock};
use super::{Error, ListAsk, ListEntry, ListPage, Remote};
use crate::fallback::Upstream;
use crate::model::{ETag, Metadata, ObjectKey, Timestamp};
use crate::signature::encode_component;
use crate::xml::{Element, MalformedXml};

/// The longest document: 1,000 keys of 1,024 bytes, each byte escaped, need about 4 MB.
pub(super) const BYTES_MAX: usize = 8 << 20;

/// How many pages in a row may have nothing but a token for the next.
pub(super) const EMPTY_PAGES_MAX: usize = 100;

/// AWS: `ListObjectsV2`, `max-keys`.
const KEYS_MAX: usize = 1000;

/// The most memory for pages of one upstream.
const PAGES_BYTES_MAX: usize = 16 << 20;

/// Above every character that a key has behind a common prefix: it is the last of Unicode, and no
/// character of text.
const LAST: char = '\u{10FFFF}';

/// The address of a page; `None` for an upstream that is no bucket.
pub(super) fn url(upstream: &Upstream, ask: &ListAsk, token: Option<&str>) -> Option<String> {
    let bucket = upstream.place().bucket()?;
    let keys_max = ask.keys_max.clamp(1, KEYS_MAX).to_string();
    let start_after = start_after(ask);
    let query = [
        ("continuation-token", token),
        ("delimiter", ask.delimiter.as_deref()),
        ("encoding-type", Some("url")),
        ("list-type", Some("2")),
        ("max-keys", Some(keys_max.as_str())),
        ("prefix", Some(ask.prefix.as_str()).filter(|prefix| !prefix.is_empty())),
        ("start-after", Some(start_after.as_str()).filter(|after| !after.is_empty())),
    ];
    let pairs: Vec<_> = query
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", encode_component(value?.as_bytes()))))
        .collect();
    Some(format!("{}{}?{}", bucket.endpoint(), bucket.bucket(), pairs.join("&")))
}

/// Behind a common prefix, and not only behind the key of the same name: what is below it would
/// roll up into it again.
fn start_after(ask: &ListAsk) -> String {
    let mut after = ask.start_after.clone();
    if is_rolled(ask, &after) {
        after.push(LAST);
    }
    after
}

/// Whether a text is a common prefix of this listing.
fn is_rolled(ask: &ListAsk, text: &str) -> bool {
    let Some(delimiter) = ask.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()) else {
        return false;
    };
    let rest = text.strip_prefix(ask.prefix.as_str()).unwrap_or_default();
    rest.find(delimiter).is_some_and(|at| at + delimiter.len() == rest.len())
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A page as it is promised.
    Page(ListPage),
    /// Nothing, and a token for more.
    EmptyUntil(String),
}

/// Why a document is not a page of the listing that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) String);

impl From<MalformedXml> for Unreadable {
    fn from(error: MalformedXml) -> Self {
        Self(error.reason)
    }
}

/// Reads a page and checks that it is in order, within what was asked for, and behind its beginning.
pub(super) fn parse(document: &[u8], ask: &ListAsk) -> Result<Parsed, Unreadable> {
    let root = Element::parse(document, "ListBucketResult")?;
    let is_encoded = match root.find("EncodingType")? {
        Some(encoding) if encoding.text() == "url" => true,
        Some(encoding) => return Err(Unreadable(format!("unknown encoding {:?}", encoding.text()))),
        None => false,
    };
    let decode = |text: &str| if is_encoded { decoded(text) } else { Ok(text.to_owned()) };

    let objects = root.children_named("Contents").map(|contents| object(contents, decode));
    let objects = objects.collect::<Result<Vec<_>, _>>()?;
    let prefixes = root.children_named("CommonPrefixes").map(|prefixes| {
        let prefix = decode(prefixes.get("Prefix")?.text())?;
        let is_some_key = prefix.len() <= ObjectKey::BYTES_MAX;
        if is_some_key && is_rolled(ask, &prefix) { Ok(prefix) } else { Err(out_of_place(&prefix)) }
    });
    let prefixes = prefixes.collect::<Result<Vec<_>, _>>()?;
    let mut entries = merged(objects, prefixes)?;
    for entry in &entries {
        check_place(entry, ask)?;
    }
    // The common prefix that the last page ended with.
    entries.retain(|entry| entry.text() != ask.start_after || !is_rolled(ask, &ask.start_after));

    let mut truncated = match root.find("IsTruncated")?.map(Element::text) {
        Some("true") => true,
        Some("false") | None => false,
        Some(other) => return Err(Unreadable(format!("IsTruncated is {other:?}"))),
    };
    let keys_max = ask.keys_max.clamp(1, KEYS_MAX);
    if entries.len() > keys_max {
        entries.truncate(keys_max);
        truncated = true;
    }
    if truncated && entries.is_empty() {
        let token = root.get("NextContinuationToken")?.text();
        return Ok(Parsed::EmptyUntil(token.to_owned()));
    }
    entries.shrink_to_fit();
    Ok(Parsed::Page(ListPage { entries, truncated }))
}

impl ListEntry {
    /// The key, or the prefix.
    fn text(&self) -> &str {
        match self {
            Self::Object(remote) => remote.key.as_str(),
            Self::CommonPrefix(prefix) => prefix,
        }
    }
}

/// AWS: `encoding-type`: a space may come as `+`, and a `+` never comes as itself.
fn decoded(text: &str) -> Result<String, Unreadable> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8();
    decoded.map(Into::into).map_err(|_| Unreadable("a key is not UTF-8 when decoded".to_owned()))
}

fn object(
    contents: &Element,
    decode: impl Fn(&str) -> Result<String, Unreadable>,
) -> Result<ListEntry, Unreadable> {
    let key = decode(contents.get("Key")?.text())?;
    let key = ObjectKey::parse(&key).map_err(|error| Unreadable(error.to_string()))?;
    let size = contents.get("Size")?.text().trim();
    let is_number = size.bytes().all(|byte| byte.is_ascii_digit());
    let size = size.parse().ok().filter(|_| is_number);
    let size_bytes: u64 = size.ok_or_else(|| Unreadable(format!("{key} has no size")))?;
    let modified = match contents.find("LastModified")? {
        Some(time) => Timestamp::parse_iso(time.text())
            .ok_or_else(|| Unreadable(format!("{key} has no time")))?
            .truncated_to_seconds(),
        None => unknown_time(),
    };
    let tag = contents.find("ETag")?.and_then(|tag| ETag::parse(tag.text()).ok());
    Ok(ListEntry::Object(Box::new(Remote {
        key,
        size_bytes: Some(size_bytes),
        md5: tag.as_ref().and_then(md5_of),
        crc32c: None,
        etag: tag.unwrap_or_else(|| ETag::of_time_and_size(modified, Some(size_bytes))),
        modified,
        metadata: Metadata::default(),
    })))
}

/// Both lists as one. Each must be in order, and no text in both.
fn merged(objects: Vec<ListEntry>, prefixes: Vec<String>) -> Result<Vec<ListEntry>, Unreadable> {
    let mut entries = Vec::with_capacity(objects.len() + prefixes.len());
    let mut objects = objects.into_iter().peekable();
    let mut prefixes = prefixes.into_iter().map(ListEntry::CommonPrefix).peekable();
    loop {
        let object_is_next = match (objects.peek(), prefixes.peek()) {
            (Some(object), Some(prefix)) => object.text() < prefix.text(),
            (object, _) => object.is_some(),
        };
        let next = if object_is_next { objects.next() } else { prefixes.next() };
        let Some(next) = next else { return Ok(entries) };
        if entries.last().is_some_and(|last: &ListEntry| last.text() >= next.text()) {
            return Err(Unreadable(format!("{:?} is not in the order of keys", next.text())));
        }
        entries.push(next);
    }
}

fn check_place(entry: &ListEntry, ask: &ListAsk) -> Result<(), Unreadable> {
    let text = entry.text();
    let is_behind = match entry {
        ListEntry::Object(_) => text > ask.start_after.as_str(),
        // A prefix is shown as long as one key below it is behind the beginning.
        ListEntry::CommonPrefix(prefix) => {
            text > ask.start_after.as_str() || ask.start_after.starts_with(prefix.as_str())
        }
    };
    if is_behind && text.starts_with(&ask.prefix) { Ok(()) } else { Err(out_of_place(text)) }
}

fn out_of_place(text: &str) -> Unreadable {
    let text: String = text.chars().take(120).collect();
    Unreadable(format!("{text:?} does not belong to the page that was asked for"))
}

/// The pages of one upstream that were asked for a moment ago, or just now.
#[derive(Debug)]
pub(super) struct Pages {
    kept: Mutex<Memory<ListAsk, Arc<ListPage>>>,
    flying: Mutex<HashMap<ListAsk, Weak<Flight>>>,
}

/// A page on its way: the first that asks fetches it, the others wait. If the first leaves or fails,
/// the next one takes its place.
type Flight = OnceCell<Arc<ListPage>>;

impl Pages {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { kept: Mutex::new(Memory::new(ttl, PAGES_BYTES_MAX)), flying: Mutex::default() }
    }

    /// A page that is remembered, or else what `fetch` brings.
    pub(super) async fn get_or_fetch<F>(
        &self,
        ask: &ListAsk,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<ListPage>, Error>
    where
        F: Future<Output = Result<ListPage, Error>>,
    {
        let flight = {
            let mut flying = lock(&self.flying);
            if let Some(page) = lock(&self.kept).get(ask, Instant::now()) {
                return Ok(page);
            }
            flying.retain(|_, flight| flight.strong_count() > 0);
            let known = flying.get(ask).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let flight = Arc::new(Flight::new());
                flying.insert(ask.clone(), Arc::downgrade(&flight));
                flight
            })
        };
        let fetched = async {
            let page = Arc::new(fetch().await?);
            let bytes = page.entries.iter().map(entry_footprint).sum::<usize>() + 256;
            lock(&self.kept).put(ask.clone(), Arc::clone(&page), bytes, Instant::now());
            Ok(page)
        };
        flight.get_or_try_init(|| fetched).await.map(Arc::clone)
    }
}

fn entry_footprint(entry: &ListEntry) -> usize {
    size_of::<ListEntry>()
        + match entry {
            ListEntry::Object(remote) => footprint(remote),
            ListEntry::CommonPrefix(prefix) => prefix.len(),
        }
}

#[cfg(test)]
mod tests {
    use super::{LAST, Parsed, parse, url};
    use crate::fallback::{Place, S3Upstream, Upstream};
    use crate::model::Timestamp;
    use crate::upstream::{ListAsk, ListEntry, ListPage};

    fn ask(prefix: &str, delimiter: Option<&str>, start_after: &str) -> ListAsk {
        let delimiter = delimiter.map(str::to_owned);
        ListAsk { prefix: prefix.to_owned(), delimiter, start_after: start_after.to_owned(), keys_max: 1000 }
    }

    fn contents(key: &str) -> String {
        format!("<Contents><Key>{key}</Key><Size>5</Size></Contents>")
    }

    fn prefix(text: &str) -> String {
        format!("<CommonPrefixes><Prefix>{text}</Prefix></CommonPrefixes>")
    }

    fn page(parts: &str, ask: &ListAsk) -> Result<ListPage, String> {
        let document = format!(
            "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Name>prod</Name>{parts}</ListBucketResult>"
        );
        match parse(document.as_bytes(), ask).map_err(|error| error.0)? {
            Parsed::Page(page) => Ok(page),
            Parsed::EmptyUntil(token) => Err(format!("empty until {token}")),
        }
    }

    fn texts(page: &ListPage) -> Vec<&str> {
        page.entries.iter().map(ListEntry::text).collect()
    }

    #[test]
    fn keys_and_common_prefixes_are_merged_in_the_order_of_their_bytes() {
        let parts =
            [contents("a"), contents("c"), contents("z"), contents("é"), prefix("b/"), prefix("d/")].concat();
        let page = page(&parts, &ask("", Some("/"), "")).expect("a page");
        assert_eq!(texts(&page), ["a", "b/", "c", "d/", "z", "é"]);
        assert!(matches!(page.entries[1], ListEntry::CommonPrefix(_)) && !page.truncated);
    }

    #[test]
    fn an_entry_says_what_a_head_would() {
        let parts = "<Contents><ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag><Key>a</Key>\
            <LastModified>2026-11-20T21:20:19.987Z</LastModified><Size>5</Size>\
            <StorageClass>STANDARD</StorageClass><Owner><ID>x</ID></Owner></Contents>";
        let page = page(parts, &ask("", None, "")).expect("a page");
        let [ListEntry::Object(object)] = &page.entries[..] else { panic!("{page:?}") };
        assert_eq!(object.etag.as_str(), "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(object.md5.map(hex::encode).as_deref(), Some("5d41402abc4b2a76b9719d911017c592"));
        assert_eq!(object.modified, Timestamp::from_seconds(1_795_209_619));
        assert_eq!(object.size_bytes, Some(5));
    }

    #[test]
    fn escaped_keys_are_decoded_only_where_they_are_said_to_be() {
        let encoded = "<EncodingType>url</EncodingType>".to_owned() + &contents("a%2Fb+c%2B%C3%A9%00%20");
        let page = |parts: &str| page(parts, &ask("", None, ""));
        assert_eq!(texts(&page(&encoded).expect("a page")), ["a/b c+é\0 "]);
        assert_eq!(texts(&page(&contents("a%2Fb+c &amp;")).expect("a page")), ["a%2Fb+c &"]);
        assert!(page(&encoded.replace("%C3", "%FF")).is_err());
        assert!(page(&encoded.replace("url", "base64")).is_err());
    }

    #[test]
    fn what_was_not_asked_for_or_is_out_of_order_is_refused() {
        let all = ask("", Some("/"), "");
        for (parts, ask) in [
            (contents("b") + &contents("a"), &all),
            (contents("a") + &contents("a"), &all),
            (prefix("b/") + &prefix("a/"), &all),
            (contents("a/") + &prefix("a/"), &all),
            (prefix("a"), &all),
            (prefix("a/b/"), &all),
            (prefix("a/"), &ask("", None, "")),
            (contents("x/a"), &ask("y/", None, "")),
            (prefix("x/a/"), &ask("y/", Some("/"), "")),
            (contents("a"), &ask("", None, "a")),
            (contents("a"), &ask("", None, "b")),
            (prefix("a/"), &ask("", Some("/"), "b")),
            (prefix(&("x".repeat(1024) + "/")), &all),
            (contents(""), &all),
            (contents(&"x".repeat(1025)), &all),
            ("<Contents><Key>a</Key></Contents>".to_owned(), &all),
            (contents("a").replace('5', "+5"), &all),
            (contents("a").replace('5', ""), &all),
            (contents("a").replace("<Size>", "<LastModified>soon</LastModified><Size>"), &all),
            ("<IsTruncated>maybe</IsTruncated>".to_owned(), &all),
            ("<IsTruncated>true</IsTruncated>".to_owned(), &all),
        ] {
            assert!(page(&parts, ask).is_err(), "{parts}");
        }
    }

    #[test]
    fn a_page_begins_behind_a_key_within_or_behind_a_common_prefix() {
        for (start_after, parts, expected) in [
            ("a", contents("b"), &["b"][..]),
            // S3: keys behind the beginning still roll up into the prefix that the beginning is in.
            ("a/b", prefix("a/") + &prefix("b/"), &["a/", "b/"]),
            // A server that rolls up first and compares then shows the prefix once more.
            ("a/", prefix("a/") + &prefix("b/"), &["b/"]),
        ] {
            let page = page(&parts, &ask("", Some("/"), start_after)).expect("a page");
            assert_eq!(texts(&page), expected, "{start_after}");
        }
    }

    #[test]
    fn more_than_was_asked_for_is_cut_and_called_truncated() {
        let parts = [contents("a"), contents("c"), prefix("b/")].concat();
        let asked = ListAsk { keys_max: 2, ..ask("", Some("/"), "") };
        let page = page(&parts, &asked).expect("a page");
        assert_eq!((texts(&page), page.truncated), (vec!["a", "b/"], true));
    }

    #[test]
    fn a_truncated_page_has_entries_or_a_token() {
        let truncated = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>";
        let asked = ask("", Some("/"), "a/");
        assert_eq!(page(truncated, &asked), Err("empty until t".to_owned()));
        assert_eq!(page(&(truncated.to_owned() + &prefix("a/")), &asked), Err("empty until t".to_owned()));
        assert!(page(&(truncated.to_owned() + &contents("b")), &asked).expect("a page").truncated);
    }

    #[test]
    fn a_page_behind_a_common_prefix_begins_behind_all_below_it() {
        let text = "bucket = 'prod'\nregion = 'us-west-2'";
        let upstream =
            Upstream::new(Place::S3(toml::from_str::<S3Upstream>(text).expect("a bucket")), Vec::new());
        for (ask, expected) in [
            (ask("", Some("/"), "a/"), format!("a/{LAST}")),
            (ask("pub/", Some("/"), "pub/a/"), format!("pub/a/{LAST}")),
            (ask("", Some("ab"), "xab"), format!("xab{LAST}")),
            (ask("", Some("/"), "a/b"), "a/b".to_owned()),
            (ask("", Some("/"), "a/b/"), "a/b/".to_owned()),
            (ask("pub/", Some("/"), "pub/"), "pub/".to_owned()),
            (ask("", None, "a/"), "a/".to_owned()),
            (ask("", Some(""), "a/"), "a/".to_owned()),
        ] {
            let url = url(&upstream, &ask, None).expect("a bucket");
            let after = url.split_once("&start-after=").expect("it has a beginning").1;
            let after = percent_encoding::percent_decode_str(after).decode_utf8().expect("UTF-8");
            assert_eq!(after, expected, "{ask:?}");
        }
        let url = url(&upstream, &ListAsk { keys_max: 5000, ..ask("", None, "") }, None).expect("a bucket");
        assert_eq!(
            url,
            "https://s3.us-west-2.amazonaws.com/prod?encoding-type=url&list-type=2&max-keys=1000"
        );
    }
}
