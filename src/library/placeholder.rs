//! Places in a catalogue's texts that a checkout fills in: `${store.url}`. `$$` is one dollar.

use std::collections::BTreeMap;

/// What a checkout fills in.
pub(super) type Values = BTreeMap<&'static str, String>;

/// The places that there are.
pub(super) const KNOWN: [&str; 9] = [
    "store.url",
    "store.host",
    "store.port",
    "access_key_id",
    "secret_access_key",
    "region",
    "stage",
    "release",
    "person",
];

/// Why a text cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlaceholder {
    /// It names what there is not.
    #[error("${{{0}}} is not known: there are {known}; write $$ for a dollar", known = KNOWN.map(|name| format!("${{{name}}}")).join(", "))]
    Unknown(String),
    /// It does not end.
    #[error("\"${{\" without its \"}}\" in {0:?}")]
    Open(String),
}

/// A text with its places filled in.
pub(super) fn filled(text: &str, values: &Values) -> Result<String, InvalidPlaceholder> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        rest = if let Some(place) = after.strip_prefix('{') {
            let (name, after) =
                place.split_once('}').ok_or_else(|| InvalidPlaceholder::Open(text.to_owned()))?;
            let value = values.get(name).ok_or_else(|| InvalidPlaceholder::Unknown(name.to_owned()))?;
            filled.push_str(value);
            after
        } else {
            filled.push('$');
            after.strip_prefix('$').unwrap_or(after)
        };
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Whether a text can be filled in.
pub(super) fn check(text: &str) -> Result<(), InvalidPlaceholder> {
    let values = KNOWN.into_iter().map(|name| (name, String::new())).collect();
    filled(text, &values).map(drop)
}

#[cfg(test)]
mod tests {
    use super::{InvalidPlaceholder, Values, check, filled};

    #[test]
    fn places_are_filled_in() {
        let values: Values =
            [("store.url", "http://store:8000".to_owned()), ("stage", "$$one".to_owned())].into();
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("${store.url}/pub/", "http://store:8000/pub/"),
            ("${stage}-${stage}", "$$one-$$one"),
            ("$${stage}", "${stage}"),
            ("1$", "1$"),
            ("a$b$$c", "a$b$c"),
        ] {
            assert_eq!(filled(text, &values).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused() {
        assert_eq!(check("${stag}"), Err(InvalidPlaceholder::Unknown("stag".to_owned())));
        assert_eq!(check("a${stage"), Err(InvalidPlaceholder::Open("a${stage".to_owned())));
        let told = InvalidPlaceholder::Unknown("stag".to_owned()).to_string();
        assert!(told.starts_with("${stag} is not known: there are ${store.url}, "), "{told}");
    }
}
