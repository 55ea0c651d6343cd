//! What the hostile upstream lists: ListObjectsV2 as S3 words it, and directories as
//! archive.mozilla.org shows them, in JSON and HTML.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::files::{File, decoded};

/// AWS: `encoding-type=url` leaves these as they are.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A query's parameters, without their escapes.
pub(super) fn query(target: &str) -> BTreeMap<String, String> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(&value.replace('+', " ")))
    });
    pairs.collect()
}

/// ListObjectsV2 of the bucket that is the first step of the paths.
pub(super) fn list(files: &BTreeMap<String, File>, bucket: &str, query: &BTreeMap<String, String>) -> String {
    let of = |name: &str| query.get(name).map_or("", String::as_str);
    let (prefix, delimiter) = (of("prefix"), of("delimiter"));
    let after = query.get("continuation-token").map_or(of("start-after"), String::as_str);
    let most = query.get("max-keys").and_then(|text| text.parse::<usize>().ok()).unwrap_or(1000).min(1000);
    let encoded = |text: &str| match of("encoding-type") {
        "url" => utf8_percent_encode(text, PLAIN).to_string(),
        _ => text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
    };

    let folder = format!("{bucket}/");
    let keys = files.iter().filter_map(|(path, file)| Some((path.strip_prefix(&folder)?, file)));
    let mut body = String::new();
    let (mut count, mut last, mut truncated) = (0, String::new(), false);
    let mut rolled = BTreeSet::new();
    for (key, file) in keys.filter(|(key, _)| key.starts_with(prefix) && *key > after) {
        let common = key[prefix.len()..].split_once(delimiter).filter(|_| !delimiter.is_empty());
        let common = common.map(|(step, _)| format!("{prefix}{step}{delimiter}"));
        if common.as_ref().is_some_and(|common| rolled.contains(common)) {
            key.clone_into(&mut last);
            continue;
        }
        if count == most {
            truncated = true;
            break;
        }
        count += 1;
        key.clone_into(&mut last);
        let written = match common {
            Some(common) => {
                let shown = encoded(&common);
                rolled.insert(common);
                write!(body, "<CommonPrefixes><Prefix>{shown}</Prefix></CommonPrefixes>")
            }
            None => write!(
                body,
                "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size>\
                 <StorageClass>STANDARD</StorageClass></Contents>",
                encoded(key),
                modified(file).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                file.value("ETag").unwrap_or_default().replace('"', "&quot;"),
                file.len()
            ),
        };
        written.expect("a String takes everything");
    }
    let token = if truncated && most > 0 {
        format!("<NextContinuationToken>{}</NextContinuationToken>", encoded(&last))
    } else {
        String::new()
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>{bucket}</Name><Prefix>{}</Prefix><KeyCount>{count}</KeyCount><MaxKeys>{most}</MaxKeys>\
         <EncodingType>url</EncodingType><IsTruncated>{truncated}</IsTruncated>{token}{body}</ListBucketResult>",
        encoded(prefix)
    )
}

/// A directory: names of folders with their slash, and files.
fn directory<'a>(
    files: &'a BTreeMap<String, File>,
    folder: &str,
) -> (BTreeSet<&'a str>, Vec<(&'a str, &'a File)>) {
    let (mut folders, mut here) = (BTreeSet::new(), Vec::new());
    for (path, file) in files {
        let Some(rest) = path.strip_prefix(folder).filter(|rest| !rest.is_empty()) else { continue };
        match rest.find('/') {
            Some(end) => drop(folders.insert(&rest[..=end])),
            None => here.push((rest, file)),
        }
    }
    (folders, here)
}

/// A directory as JSON; `None` if nothing is below it.
pub(super) fn json(files: &BTreeMap<String, File>, folder: &str) -> Option<String> {
    let (folders, here) = directory(files, folder);
    let entry = |(name, file): &(&str, &File)| {
        let modified = modified(file).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        serde_json::json!({ "last_modified": modified, "name": name, "size": file.len() })
    };
    let entries: Vec<_> = here.iter().map(entry).collect();
    let page = serde_json::json!({ "prefixes": folders, "files": entries });
    (!folders.is_empty() || !here.is_empty()).then(|| page.to_string())
}

/// The same as HTML, with the columns of archive.mozilla.org.
pub(super) fn html(files: &BTreeMap<String, File>, folder: &str) -> Option<String> {
    let (folders, here) = directory(files, folder);
    let link = |name: &str| {
        let escaped = utf8_percent_encode(&format!("/{folder}{name}"), PLAIN).to_string();
        format!("<a href=\"{escaped}\">{}</a>", name.replace('&', "&amp;").replace('<', "&lt;"))
    };
    let mut rows = String::from("<tr><td>Dir</td><td><a href=\"../\">..</a></td><td></td><td></td></tr>\n");
    for name in &folders {
        writeln!(rows, "<tr><td>Dir</td><td>{}</td><td></td><td></td></tr>", link(name)).ok()?;
    }
    for (name, file) in &here {
        let modified = modified(file).strftime("%d-%b-%Y %H:%M");
        writeln!(
            rows,
            "<tr><td>File</td><td>{}</td><td>{}</td><td>{modified}</td></tr>",
            link(name),
            file.len()
        )
        .ok()?;
    }
    let page = format!(
        "<!DOCTYPE html>\n<html><head><title>Directory Listing: /{folder}</title></head><body>\
         <h1>Index of /{folder}</h1><table>\n<tr><th>Type</th><th>Name</th><th>Size</th><th>Last Modified</th></tr>\n\
         {rows}</table></body></html>"
    );
    (!folders.is_empty() || !here.is_empty()).then_some(page)
}

fn modified(file: &File) -> jiff::Timestamp {
    let text = file.value("Last-Modified").unwrap_or(super::files::MODIFIED);
    let time = httpdate::parse_http_date(text).expect("files have dates that read");
    jiff::Timestamp::try_from(time).expect("the date is within bounds")
}
