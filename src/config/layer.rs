//! Values with their places and origins, and how layers of them come together. Pure.
//!
//! A later layer replaces single values. Buckets and credentials are told apart by their names, so
//! that a layer can add one, or change one thing about one; every other list is replaced whole.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

use super::origin::Origin;

/// Where a value stands: `[table] key`, or `key` of the `[[table]]` with this name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The table; empty at the top of the file.
    pub(super) table: String,
    /// Which one, where there are many.
    pub(super) item: Option<String>,
    /// The key.
    pub(super) key: String,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// The tables of which there are many, and the key that tells them apart.
const NAMED: [(&str, &str); 2] = [("bucket", "name"), ("credential", "access_key_id")];

/// The key that tells tables of this name apart.
pub(super) fn naming_key(table: &str) -> Option<&'static str> {
    NAMED.iter().find(|(name, _)| *name == table).map(|(_, key)| *key)
}

impl Place {
    /// A key of a table that there is once.
    pub(super) fn of(table: &str, key: &str) -> Self {
        Self { table: table.to_owned(), item: None, key: key.to_owned() }
    }

    /// A key of one table among many.
    pub(super) fn of_item(table: &str, item: &str, key: &str) -> Self {
        Self { table: table.to_owned(), item: Some(item.to_owned()), key: key.to_owned() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.table.is_empty() {
            write!(formatter, "{}.", self.table)?;
        }
        if let Some(item) = &self.item {
            write!(formatter, "{item}.")?;
        }
        formatter.write_str(&self.key)
    }
}

/// Splits a table into its values. `origin` says where the one at a path of keys came from; a
/// number in that path is the index of a `[[table]]`.
pub(super) fn entries(table: &Table, origin: impl Fn(&[&str], Option<usize>) -> Origin) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (name, value) in table {
        match (value, naming_key(name)) {
            (Value::Array(items), Some(naming)) => {
                for (index, item) in items.iter().enumerate() {
                    let Value::Table(item) = item else { continue };
                    let Some(Value::String(title)) = item.get(naming) else { continue };
                    entries.extend(item.iter().map(|(key, value)| Entry {
                        place: Place::of_item(name, title, key),
                        value: value.clone(),
                        origin: origin(&[name, key], Some(index)),
                    }));
                }
            }
            (Value::Table(inner), _) => entries.extend(inner.iter().map(|(key, value)| Entry {
                place: Place::of(name, key),
                value: value.clone(),
                origin: origin(&[name, key], None),
            })),
            (value, _) => entries.push(Entry {
                place: Place::of("", name),
                value: value.clone(),
                origin: origin(&[name], None),
            }),
        }
    }
    entries
}

/// What is in force: the last word on every place.
#[derive(Debug, Clone, Default)]
pub(super) struct Effective(BTreeMap<Place, (Value, Origin)>);

impl Effective {
    /// Lays a stronger layer over what there is.
    pub(super) fn overlay(&mut self, layer: impl IntoIterator<Item = Entry>) {
        self.0.extend(layer.into_iter().map(|entry| (entry.place, (entry.value, entry.origin))));
    }

    /// A value and its origin.
    pub(super) fn get(&self, place: &Place) -> Option<(&Value, &Origin)> {
        self.0.get(place).map(|(value, origin)| (value, origin))
    }

    /// Whether there is anything in a table.
    pub(super) fn has(&self, table: &str) -> bool {
        self.0.keys().any(|place| place.table == table)
    }

    /// Everything, in the order of places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Place, &Value, &Origin)> {
        self.0.iter().map(|(place, (value, origin))| (place, value, origin))
    }

    /// As one file would say it.
    pub(super) fn table(&self) -> Table {
        let mut whole = Table::new();
        let mut tables: BTreeMap<&str, Table> = BTreeMap::new();
        let mut items: BTreeMap<&str, BTreeMap<&str, Table>> = BTreeMap::new();
        for (place, (value, _)) in &self.0 {
            let target = match (&place.item, place.table.as_str()) {
                (Some(item), table) => items.entry(table).or_default().entry(item).or_default(),
                (None, "") => &mut whole,
                (None, table) => tables.entry(table).or_default(),
            };
            target.insert(place.key.clone(), value.clone());
        }
        whole.extend(tables.into_iter().map(|(name, table)| (name.to_owned(), Value::Table(table))));
        for (table, items) in items {
            whole.insert(table.to_owned(), Value::Array(items.into_values().map(Value::Table).collect()));
        }
        whole
    }
}

/// One value alone, as a file would say it.
pub(super) fn alone(place: &Place, value: &Value) -> Table {
    let mut effective = Effective::default();
    effective.overlay([Entry { place: place.clone(), value: value.clone(), origin: Origin::Default }]);
    effective.table()
}

#[cfg(test)]
mod tests {
    use super::{Effective, Place, entries};
    use crate::config::origin::Origin;

    fn layered(layers: &[(&str, Origin)]) -> Effective {
        let mut effective = Effective::default();
        for (text, origin) in layers {
            let table = text.parse().expect("TOML");
            effective.overlay(entries(&table, |_, _| origin.clone()));
        }
        effective
    }

    #[test]
    fn later_layers_replace_single_values_and_say_so() {
        let preset = Origin::Preset("mozilla".to_owned());
        let effective = layered(&[
            ("[server]\nlisten = \"a\"\nregion = \"r\"", Origin::Default),
            ("[server]\nlisten = \"b\"", preset.clone()),
        ]);
        let found = |key| {
            let (value, origin) = effective.get(&Place::of("server", key)).expect("a value");
            (value.as_str().expect("text").to_owned(), origin.clone())
        };
        assert_eq!(found("listen"), ("b".to_owned(), preset));
        assert_eq!(found("region"), ("r".to_owned(), Origin::Default));
    }

    #[test]
    fn buckets_merge_by_name_and_other_lists_are_replaced() {
        let effective = layered(&[
            (
                "[[bucket]]\nname = \"one\"\nanonymous = \"read\"\n[[bucket]]\nname = \"two\"\n[[archive]]\npath = \"/a/\"",
                Origin::Default,
            ),
            ("[[bucket]]\nname = \"one\"\nfallback = []\n[[archive]]\npath = \"/b/\"", Origin::Flag("--x")),
        ]);
        let expected: toml::Table = "[[bucket]]\nname = \"one\"\nanonymous = \"read\"\nfallback = []\n\
             [[bucket]]\nname = \"two\"\n[[archive]]\npath = \"/b/\""
            .parse()
            .expect("TOML");
        assert_eq!(effective.table(), expected);
    }
}
