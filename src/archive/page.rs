//! What a person sees: the directory index as HTML, and the few words of an answer without a file.
//!
//! mozdownload (`parser.py`) takes each `<a>` whose text is the last step of its `href`;
//! mozregression (`network.py`) takes the last step of every `href` on the page, and fails on an
//! `<a>` without one. So the page has no links but the parent's and its entries'.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::index::Index;
use super::route::path_of;
use crate::protocol::body::ResponseBody;
use crate::protocol::request::Response;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --quiet: #667; --link: #0060df }
@media (prefers-color-scheme: dark) { :root { --quiet: #99a; --link: #8bf } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.2rem; font-weight: 600; overflow-wrap: anywhere }
table { width: 100%; border-collapse: collapse }
th, td { padding: .2rem .6rem; text-align: left; vertical-align: baseline }
th { font-weight: 600; border-bottom: 1px solid var(--line) }
tr:hover td { background: #8881 }
td { font-variant-numeric: tabular-nums }
td:nth-child(1), td:nth-child(4) { color: var(--quiet); white-space: nowrap }
td:nth-child(2) { width: 100%; overflow-wrap: anywhere }
th:nth-child(3), td:nth-child(3) { text-align: right; white-space: nowrap }
a { color: var(--link); text-decoration: none }
a:hover, a:focus { text-decoration: underline }
p { color: var(--quiet) }
";

/// The page of a directory; `prefix` is empty or ends in `/`.
pub(super) fn index(prefix: &str, index: &Index) -> String {
    let title = format!("Index of /{prefix}");
    let page: Markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="UTF-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                table {
                    thead { tr { th { "Type" } th { "Name" } th { "Size" } th { "Last Modified" } } }
                    "\n" tbody { "\n" (rows(prefix, index)) }
                }
                @if index.cut { p { "There is more in this directory than is shown." } }
            }
        }
    };
    page.into_string()
}

fn rows(prefix: &str, index: &Index) -> Markup {
    html! {
        @if let Some(parent) = parent(prefix) {
            tr { td { "Dir" } td { a href=(path_of(parent)) { ".." } } td {} td {} } "\n"
        }
        @for name in &index.directories {
            tr { td { "Dir" } td { (link(prefix, name)) } td {} td {} } "\n"
        }
        @for (name, file) in &index.files {
            tr {
                td { "File" }
                td { (link(prefix, name)) }
                td { (file.size()) }
                td { (file.modified.index_date()) }
            }
            "\n"
        }
    }
}

fn link(prefix: &str, name: &str) -> Markup {
    html! { a href=(path_of(&format!("{prefix}{name}"))) { (name) } }
}

/// The directory above; `None` above the root.
fn parent(prefix: &str) -> Option<&str> {
    let inner = prefix.strip_suffix('/')?;
    Some(inner.rfind('/').map_or("", |slash| &prefix[..=slash]))
}

/// The answer that is a directory's index.
pub(super) fn index_response(json: bool, prefix: &str, listed: &Index) -> Response {
    let (content_type, text) = if json {
        ("application/json", listed.json())
    } else {
        ("text/html; charset=utf-8", index(prefix, listed))
    };
    let mut response = document(StatusCode::OK, content_type, text);
    let headers = response.headers_mut();
    // Production says 15 minutes. A rehearsal wants to see what it has just put here.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    response
}

/// Production's page for people, as it is.
pub(super) fn passed_on(html: Vec<u8>) -> Response {
    let length = HeaderValue::from(html.len());
    let mut response = Response::new(ResponseBody::bytes(html));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The answer that says in a line why there is no file.
pub(super) fn words(status: StatusCode, why: &str) -> Response {
    let mut response = document(status, "text/plain; charset=utf-8", format!("{status}\n{why}\n"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn document(status: StatusCode, content_type: &'static str, text: String) -> Response {
    let length = HeaderValue::from(text.len());
    let mut response = Response::new(ResponseBody::bytes(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

#[cfg(test)]
mod tests {
    use super::{index, parent};
    use crate::archive::index::{File, Index};
    use crate::model::Timestamp;

    fn listed(directories: &[&str], files: &[&str]) -> Index {
        let file = File { size_bytes: 2048, modified: Timestamp::from_ms(1_795_209_619_123) };
        Index {
            directories: directories.iter().map(|name| (*name).to_owned()).collect(),
            files: files.iter().map(|name| ((*name).to_owned(), file)).collect(),
            ..Index::default()
        }
    }

    /// `href` and text of each link, as a parser that decodes entities sees them.
    fn links(page: &str) -> Vec<(String, String)> {
        let plain = |text: &str| {
            text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
        };
        page.split("<a ")
            .skip(1)
            .map(|rest| {
                let rest = rest.strip_prefix("href=\"").expect("a link with an address");
                let (href, rest) = rest.split_once("\">").expect("an end of the address");
                let (text, _) = rest.split_once("</a>").expect("an end of the link");
                (plain(href), plain(text))
            })
            .collect()
    }

    #[test]
    fn the_page_says_what_the_archive_says() {
        let page = index("pub/firefox/", &listed(&["releases/"], &["README"]));
        for part in [
            "<title>Index of /pub/firefox/</title>",
            "<h1>Index of /pub/firefox/</h1>",
            "<th>Type</th><th>Name</th><th>Size</th><th>Last Modified</th>",
            "<tr><td>Dir</td><td><a href=\"/pub/\">..</a></td><td></td><td></td></tr>",
            "<tr><td>Dir</td><td><a href=\"/pub/firefox/releases/\">releases/</a></td><td></td><td></td></tr>",
            "<tr><td>File</td><td><a href=\"/pub/firefox/README\">README</a></td><td>2K</td><td>20-Nov-2026 21:20</td></tr>",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
    }

    /// mozdownload's rule: the last step of the address, slash kept, is the text or the text quoted.
    #[test]
    fn every_entry_and_nothing_else_is_a_link_that_mozdownload_takes() {
        let names = ["Firefox Setup 1.0.exe", "a&b<c>\"d'.txt", "é+%20", "plain-1.0~x_y", "?#;"];
        let page = index("pub/", &listed(&["firefox/", "a b/"], &names));
        let taken: Vec<_> = links(&page)
            .into_iter()
            .filter(|(href, text)| {
                let step = href.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                let step = if href.ends_with('/') { format!("{step}/") } else { step.to_owned() };
                step == *text || step == crate::signature::encode_path(text.as_bytes())
            })
            .map(|(_, text)| text)
            .collect();
        let mut expected = vec!["a b/", "firefox/"];
        expected.extend(std::collections::BTreeSet::from(names));
        assert_eq!(taken, expected);
        assert_eq!(links(&page).len(), expected.len() + 1, "the parent is the one link besides");
    }

    #[test]
    fn names_cannot_leave_their_place_in_the_page() {
        let page = index("pub/<script>/", &listed(&[], &["<script>alert(1)</script>", "\" onclick=\"x"]));
        assert!(!page.contains("<script>"), "{page}");
        assert!(!page.contains("\" onclick"), "{page}");
    }

    #[test]
    fn parents_lead_to_the_root_and_no_further() {
        for (prefix, expected) in [
            ("", None),
            ("pub/", Some("")),
            ("pub/a/", Some("pub/")),
            ("pub//", Some("pub/")),
            ("/", Some("")),
        ] {
            assert_eq!(parent(prefix), expected, "{prefix}");
        }
        assert!(!index("", &listed(&["pub/"], &[])).contains(">..<"));
    }
}
