//! A configuration file: checked as a whole, then taken apart into values that know their lines.

use std::collections::BTreeSet;
use std::path::Path;

use toml::Table;
use toml::de::{DeTable, DeValue};

use super::error::Error;
use super::grammar::Grammar;
use super::layer::{Entry, entries, naming_key};
use super::origin::Origin;

/// Reads the text of a file.
pub(super) fn read(path: &Path, text: &str) -> Result<Vec<Entry>, Error> {
    let refused = |error: &toml::de::Error| refusal(path, text, error);
    toml::from_str::<Grammar>(text).map_err(|error| refused(&error))?;
    let table: Table = toml::from_str(text).map_err(|error| refused(&error))?;
    let spanned = DeTable::parse(text).map_err(|error| refused(&error))?;
    let lines = Lines { text, table: spanned.get_ref() };
    refuse_twins(path, &table, &lines)?;
    Ok(entries(&table, |keys, index| Origin::File { path: path.to_owned(), line: lines.of(keys, index) }))
}

/// The text of a preset, whose lines nobody needs.
pub(super) fn preset(name: &str, text: &str) -> Result<Vec<Entry>, Error> {
    let mut layer = read(Path::new(name), text)?;
    for entry in &mut layer {
        entry.origin = Origin::Preset(name.to_owned());
    }
    Ok(layer)
}

/// Says on which line something is wrong. The line itself is not shown: it may hold a secret.
fn refusal(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let start = error.span().map_or(0, |span| span.start);
    let line = line_of(text, start);
    let written = text.lines().nth(line - 1).unwrap_or_default();
    let key = written.split_once('=').map(|(key, _)| key.trim().to_owned()).filter(|key| !key.is_empty());
    Error::Line { path: path.to_owned(), line, key, reason: error.message().to_owned() }
}

/// Two tables of one name in one file: one would silently hide the other.
fn refuse_twins(path: &Path, table: &Table, lines: &Lines<'_>) -> Result<(), Error> {
    for (name, value) in table {
        let Some((naming, items)) = naming_key(name).zip(value.as_array()) else { continue };
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let Some(title) = item.get(naming).and_then(|title| title.as_str()) else { continue };
            if !seen.insert(title) {
                return Err(Error::Line {
                    path: path.to_owned(),
                    line: lines.of(&[name, naming], Some(index)),
                    key: Some(naming.to_owned()),
                    reason: format!(
                        "there is a [[{name}]] {title:?} already: put both into one, or rename one"
                    ),
                });
            }
        }
    }
    Ok(())
}

/// Finds the line of a value.
struct Lines<'text> {
    text: &'text str,
    table: &'text DeTable<'text>,
}

impl Lines<'_> {
    /// The line of the value under these keys, in the `index`th table where there are many.
    fn of(&self, keys: &[&str], index: Option<usize>) -> usize {
        let mut table = self.table;
        let mut start = 0;
        for key in keys {
            let Some((found, value)) = table.get_key_value(*key) else { break };
            start = found.span().start;
            table = match (value.get_ref(), index) {
                (DeValue::Table(inner), _) => inner,
                (DeValue::Array(items), Some(index)) => match items.get(index).map(toml::Spanned::get_ref) {
                    Some(DeValue::Table(inner)) => inner,
                    _ => break,
                },
                _ => break,
            };
        }
        line_of(self.text, start)
    }
}

/// The line, counted from 1, on which a byte stands.
fn line_of(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::read;

    #[test]
    fn every_value_knows_its_line() {
        let text = "# comment\npreset = \"mozilla\"\n\n[server]\nlisten = \"0.0.0.0:80\"\n\n[[bucket]]\nname = \"one\"\n\n\
                    [[bucket]]\nname = \"two\"\nanonymous = [\n  \"pub/\",\n]\n\n[[archive]]\npath = \"/pub/\"\n";
        let entries = read(Path::new("stage.toml"), text).expect("a configuration");
        let found: Vec<_> = entries.iter().map(|entry| format!("{} {}", entry.place, entry.origin)).collect();
        for expected in [
            "preset stage.toml:2",
            "server.listen stage.toml:5",
            "bucket.one.name stage.toml:8",
            "bucket.two.name stage.toml:11",
            "bucket.two.anonymous stage.toml:12",
            "archive stage.toml:16",
        ] {
            assert!(found.contains(&expected.to_owned()), "{expected} is not in {found:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_file_line_key_and_what_to_write() {
        for (text, told) in [
            (
                "[server]\nlistne = \"x\"",
                "stage.toml, line 2 (listne): unknown field `listne`, expected one of `listen`",
            ),
            (
                "\n[server]\nlisten = \"example.com:80\"",
                "stage.toml, line 3 (listen): \"example.com:80\" is not an address",
            ),
            ("[limits]\nhead_timeout = 10", "stage.toml, line 2 (head_timeout): invalid type: integer `10`"),
            ("[limits]\nobject_size = \"5 GB\"", "write one such as"),
            ("[server]\ntrusted_proxies = [\"10.1.2.3/8\"]", "did you mean \"10.0.0.0/8\""),
            ("[[bucket]]\nname = \"UPPER\"", "may hold only a-z, 0-9"),
            ("[[bucket]]\nanonymous = \"read\"", "missing field `name`"),
            ("[[bucket]]\nname = \"one\"\nanonymous = \"raed\"", "\"none\", \"read\", \"read-write\""),
            (
                "[[bucket]]\nname = \"one\"\n[[bucket]]\nname = \"one\"",
                "stage.toml, line 4 (name): there is a [[bucket]] \"one\" already",
            ),
            ("[release]\nunder_test = [\"83.0\"]", "does not name a release"),
            ("[server\n", "stage.toml, line 1"),
        ] {
            let refused = read(Path::new("stage.toml"), text).expect_err("a mistake").to_string();
            assert!(refused.contains(told), "{text:?}: {refused}");
        }
    }

    #[test]
    fn a_secret_with_a_slip_is_not_repeated() {
        for secret in ["\"hunter2\"", "31415926535", "\"hunter2\\u0000hunter2\"", "[\"hunter2\"]"] {
            let text =
                format!("[[credential]]\naccess_key_id = \"abc\"\ngrants = []\nsecret_access_key = {secret}");
            let refused = read(Path::new("stage.toml"), &text).expect_err("a mistake").to_string();
            assert!(!refused.contains("hunter2") && !refused.contains("31415926535"), "{refused}");
            assert!(refused.contains("8 to 256 visible ASCII characters"), "{refused}");
        }
    }
}
