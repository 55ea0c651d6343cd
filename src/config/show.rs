//! What is in force and where each value came from, for people and for scripts.

use std::fmt::Write as _;

use serde_json::json;
use toml::Value;

use super::layer::Place;
use super::settings::Settings;

/// What stands in the place of a secret.
const MASK: &str = "***";

impl Settings {
    /// A line for each value: its place, the value, where it came from.
    pub fn as_table(&self) -> String {
        let rows: Vec<[String; 3]> = self
            .effective
            .iter()
            .map(|(place, value, origin)| {
                [place.to_string(), masked(place, value).to_string(), origin.to_string()]
            })
            .collect();
        let width = |column: usize| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).min(WIDTH_MAX)
        };
        let (first, second) = (width(0), width(1));
        let mut text = String::new();
        for [place, value, origin] in &rows {
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "{place:first$}  {value:second$}  {origin}");
        }
        text
    }

    /// The same as JSON: a list of objects with `key`, `value` and `origin`.
    pub fn as_json(&self) -> serde_json::Value {
        let values = self.effective.iter().map(|(place, value, origin)| {
            let value = serde_json::to_value(masked(place, value)).unwrap_or_default();
            json!({ "key": place.to_string(), "value": value, "origin": origin.to_string() })
        });
        values.collect()
    }
}

/// A column does not grow wider for the sake of one long value.
const WIDTH_MAX: usize = 56;

/// A value without its secrets, however deep they are.
fn masked(place: &Place, value: &Value) -> Value {
    if is_secret(&place.key) { Value::String(MASK.to_owned()) } else { without_secrets(value) }
}

fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(without_secrets).collect()),
        Value::Table(table) => Value::Table(
            table
                .iter()
                .map(|(key, value)| {
                    let value =
                        if is_secret(key) { Value::String(MASK.to_owned()) } else { without_secrets(value) };
                    (key.clone(), value)
                })
                .collect(),
        ),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
            value.clone()
        }
    }
}

fn is_secret(key: &str) -> bool {
    key.contains("secret")
}
