//! The formats of a list of what production holds: JSON lines, CSV with a header, and the archive's own
//! JSON listing. Read one row at a time, each with its place for messages.

use std::io::{BufRead, BufReader, Read};

use clap::ValueEnum;

use crate::admin::row::{Fields, InvalidRow};

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// By its beginning
    Auto,
    /// A JSON object on each line
    Jsonl,
    /// Columns with a header line
    Csv,
    /// A JSON listing such as archive.mozilla.org gives of one folder
    Archive,
}

/// What is wrong with a list.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadList {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A row does not read.
    #[error("{place}: {told}")]
    At {
        /// Which one: a line, or a file of an archive's listing.
        place: String,
        /// What is wrong with it.
        told: String,
    },
}

impl BadList {
    /// What is wrong with a row of a list.
    pub(super) fn at(place: &str, told: &dyn std::fmt::Display) -> Self {
        Self::At { place: place.to_owned(), told: told.to_string() }
    }
}

/// The archive's listing of a folder.
#[derive(Debug, serde::Deserialize)]
struct Listing {
    #[serde(default)]
    prefixes: Vec<String>,
    files: Vec<Fields>,
}

/// What a list says besides its rows.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// Folders that it names and does not list.
    pub(super) folders: Vec<String>,
}

/// Hands each row to `take`, with its place: `12` for a line, `file 3` in an archive's listing.
pub(super) fn read(
    input: impl Read,
    format: Format,
    take: impl FnMut(&str, &Fields) -> Result<(), BadList>,
) -> Result<Told, BadList> {
    let mut input = BufReader::with_capacity(64 << 10, input);
    match format {
        Format::Auto => {
            let found = by_beginning(&mut input)?;
            read_as(input, found, take)
        }
        Format::Jsonl | Format::Csv | Format::Archive => read_as(input, format, take),
    }
}

fn read_as(
    input: impl BufRead,
    format: Format,
    take: impl FnMut(&str, &Fields) -> Result<(), BadList>,
) -> Result<Told, BadList> {
    match format {
        Format::Auto | Format::Jsonl => json_lines(input, take),
        Format::Csv => columns(input, take),
        Format::Archive => archive(input, take),
    }
}

/// A JSON object whose first line is not a row is an archive's listing; what is no object is CSV.
fn by_beginning(input: &mut impl BufRead) -> Result<Format, BadList> {
    let beginning = input.fill_buf()?;
    let text = beginning.trim_ascii_start();
    if !text.starts_with(b"{") {
        return Ok(if text.is_empty() { Format::Jsonl } else { Format::Csv });
    }
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_listing = match serde_json::from_slice::<serde_json::Value>(line) {
        Ok(object) => object.get("files").is_some() || object.get("prefixes").is_some(),
        // A row is on one line, and none is as long as the buffer.
        Err(error) => error.is_eof(),
    };
    Ok(if is_listing { Format::Archive } else { Format::Jsonl })
}

fn json_lines(
    mut input: impl BufRead,
    mut take: impl FnMut(&str, &Fields) -> Result<(), BadList>,
) -> Result<Told, BadList> {
    let mut line = Vec::new();
    let mut number = 0_u64;
    while input.read_until(b'\n', &mut line)? > 0 {
        number += 1;
        let place = number.to_string();
        let text = std::str::from_utf8(&line).map_err(|_| BadList::at(&place, &"it is not UTF-8"))?;
        if !text.trim().is_empty() {
            take(&place, &Fields::parse(text).map_err(|error| BadList::at(&place, &error))?)?;
        }
        line.clear();
    }
    Ok(Told::default())
}

/// Names of columns, in lower case, and which field they are.
const COLUMNS: [(&str, Column); 15] = [
    ("key", Column::Key),
    ("name", Column::Key),
    ("size", Column::Size),
    ("size_bytes", Column::Size),
    ("modified", Column::Modified),
    ("time", Column::Modified),
    ("updated", Column::Modified),
    ("last_modified", Column::Modified),
    ("lastmodified", Column::Modified),
    ("etag", Column::ETag),
    ("md5", Column::Md5),
    ("md5hash", Column::Md5),
    ("md5_hash", Column::Md5),
    ("crc32c", Column::Crc32c),
    ("crc32c_hash", Column::Crc32c),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Key,
    Size,
    Modified,
    ETag,
    Md5,
    Crc32c,
}

impl Column {
    fn parse(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        COLUMNS.iter().find(|(known, _)| *known == name).map(|(_, column)| *column)
    }
}

fn columns(
    input: impl BufRead,
    mut take: impl FnMut(&str, &Fields) -> Result<(), BadList>,
) -> Result<Told, BadList> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(input);
    let broken = |error: csv::Error| {
        let place = error.position().map_or_else(|| "1".to_owned(), |at| at.line().to_string());
        BadList::at(&place, &without_place(&error))
    };
    let header = reader.headers().map_err(broken)?.clone();
    let columns: Vec<Option<Column>> = header.iter().map(Column::parse).collect();
    for (column, name) in [(Column::Key, "key"), (Column::Size, "size")] {
        if columns.iter().filter(|found| **found == Some(column)).count() != 1 {
            let told =
                format!("the header needs exactly one column {name:?}; it has {:?}", header.as_slice());
            return Err(BadList::at("1", &told));
        }
    }
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(broken)? {
        let place = record.position().map_or(0, csv::Position::line).to_string();
        let mut fields = Fields::default();
        for (column, cell) in columns.iter().zip(&record) {
            let cell = cell.to_owned();
            match column {
                Some(Column::Key) => fields.key = cell,
                Some(Column::Size) => fields.size = Some(cell),
                Some(Column::Modified) => fields.modified = Some(cell),
                Some(Column::ETag) => fields.etag = Some(cell),
                Some(Column::Md5) => fields.md5 = Some(cell),
                Some(Column::Crc32c) => fields.crc32c = Some(cell),
                None => {}
            }
        }
        take(&place, &fields)?;
    }
    Ok(Told::default())
}

/// The reason alone: the place is told already.
fn without_place(error: &csv::Error) -> String {
    if let csv::ErrorKind::UnequalLengths { expected_len, len, .. } = error.kind() {
        return format!("it has {len} columns, the header has {expected_len}");
    }
    if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) {
        return "it is not UTF-8".to_owned();
    }
    error.to_string()
}

fn archive(
    input: impl BufRead,
    mut take: impl FnMut(&str, &Fields) -> Result<(), BadList>,
) -> Result<Told, BadList> {
    let listing: Listing = serde_json::from_reader(input).map_err(|error| {
        let told = InvalidRow::Listing(error.to_string());
        BadList::at(&error.line().to_string(), &told)
    })?;
    for (index, fields) in listing.files.iter().enumerate() {
        take(&format!("file {}", index + 1), fields)?;
    }
    let Listing { prefixes, files } = listing;
    let is_listed = |folder: &String| files.iter().any(|fields| fields.key.starts_with(folder.as_str()));
    Ok(Told { folders: prefixes.into_iter().filter(|folder| !is_listed(folder)).collect() })
}

#[cfg(test)]
mod tests {
    use super::{BadList, Format, Told, read};

    /// Places and rows, on a line each.
    fn rows(text: &str, format: Format) -> Result<(Vec<String>, Told), BadList> {
        let mut rows = Vec::new();
        let told = read(text.as_bytes(), format, |place, fields| {
            let row = fields.row("").map_err(|error| BadList::at(place, &error))?;
            rows.push(format!("{place}: {}", crate::admin::row::render(&row)));
            Ok(())
        })?;
        Ok((rows, told))
    }

    const A: &str = r#"{"key":"a","size":1}"#;
    const B: &str = r#"{"key":"b","size":2,"modified":"2026-11-20T21:20:19.000Z"}"#;

    #[test]
    fn every_format_gives_the_same_rows() {
        for (text, format, places) in [
            (format!("{A}\n\n{B}"), Format::Jsonl, ["1", "3"]),
            ("name,size,md5,last_modified,owner\na,1,,,x\nb,2,,2026-11-20 21:20:19,y\n".to_owned(), Format::Csv, ["2", "3"]),
            (
                "Last_Modified , KEY,Size\n,\"a\",1\n20261120T212019Z,b,2\n".replace("20261120T212019Z", "1795209619"),
                Format::Csv,
                ["2", "3"],
            ),
            (
                "{\"prefixes\": [\"x/\"], \"files\": [\n{\"name\": \"a\", \"size\": 1},\n{\"name\": \"b\", \"size\": 2, \"last_modified\": \"2026-11-20T21:20:19Z\"}]}".to_owned(),
                Format::Archive,
                ["file 1", "file 2"],
            ),
        ] {
            let expected = [format!("{}: {A}", places[0]), format!("{}: {B}", places[1])];
            for format in [format, Format::Auto] {
                let (found, told) = rows(&text, format).expect("a list");
                assert_eq!(found, expected, "{text}");
                let folders = if text.contains("prefixes") { vec!["x/".to_owned()] } else { Vec::new() };
                assert_eq!(told.folders, folders, "{text}");
            }
        }
    }

    #[test]
    fn a_listing_over_several_lines_and_a_bad_row_are_told_apart() {
        let (found, _) = rows("{\n  \"prefixes\": [],\n  \"files\": []\n}", Format::Auto).expect("a listing");
        assert_eq!(found, [""; 0]);
        let (found, _) = rows("", Format::Auto).expect("an empty list");
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, format, told) in [
            (format!("{A}\n{{\"key\":\"b\"}}\n"), Format::Auto, "2: missing field `size`"),
            (format!("{A}\nb,2\n"), Format::Auto, "2: expected value"),
            ("key,size\na,1\nb\n".to_owned(), Format::Auto, "3: it has 1 columns, the header has 2"),
            ("key,size\na,1\nb,x\n".to_owned(), Format::Auto, "3: size: \"x\" is not a number of bytes"),
            ("a,1\nb,2\n".to_owned(), Format::Auto, "1: the header needs exactly one column \"key\""),
            ("key,name,size\n".to_owned(), Format::Auto, "1: the header needs exactly one column \"key\""),
            ("key\n".to_owned(), Format::Auto, "1: the header needs exactly one column \"size\""),
            ("key,size\n\"\n1\",x\n".to_owned(), Format::Csv, "2: size:"),
            ("{\"files\": [{\"name\": \"a\"}]}".to_owned(), Format::Auto, "1: not a listing"),
            (
                "{\"files\": [{\"name\": \"a\", \"size\": 1, \"last_modified\": \"x\"}]}".to_owned(),
                Format::Auto,
                "file 1: modified:",
            ),
            ("{\"prefixes\": []}".to_owned(), Format::Auto, "1: not a listing"),
        ] {
            let refused = rows(&text, format).expect_err("a mistake").to_string();
            assert!(refused.starts_with(told), "{text}: {refused}");
        }
    }
}
