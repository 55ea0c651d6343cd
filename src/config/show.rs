//! What is in force and where each value came from, for people and for scripts.

use std::fmt::Write as _;

use serde_json::json;
use toml::Value;

use super::layer::Place;
use super::settings::Settings;
use crate::fallback;

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

/// A value without its secrets, however deep they are; of fallback rules, what they do not say as
/// well.
fn masked(place: &Place, value: &Value) -> Value {
    if is_secret(&place.key) {
        return Value::String(MASK.to_owned());
    }
    let is_rules = place.table == "bucket" && place.key == "fallback";
    let rules = is_rules.then(|| value.clone().try_into::<Vec<fallback::Rule>>().ok()).flatten();
    let spelt_out = rules.and_then(|rules| Value::try_from(rules).ok());
    without_secrets(spelt_out.as_ref().unwrap_or(value))
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

#[cfg(test)]
mod tests {
    use toml::Value;

    use super::masked;
    use crate::config::layer::Place;

    #[test]
    fn fallback_rules_are_shown_as_in_force_and_without_secrets() {
        let text = "r = [{ match = \"a\", mode = \"auto\", s3 = { bucket = \"prod\", region = \"us-east-1\", \
                    access_key_id = \"AKIDEXAMPLE\", secret_access_key = \"correct-horse\" } }]";
        let table: toml::Table = toml::from_str(text).expect("TOML");
        let shown = masked(&Place::of_item("bucket", "stage", "fallback"), &table["r"]).to_string();
        for part in
            ["list = \"merge\"", "methods = [\"GET\", \"HEAD\"]", "expires = \"3600s\"", "amazonaws.com"]
        {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        assert!(!shown.contains("horse"), "{shown}");
        // What is not a rule is shown as it is.
        let odd = Value::Array(vec![Value::Integer(1)]);
        assert_eq!(masked(&Place::of_item("bucket", "stage", "fallback"), &odd), odd);
    }
}
