//! Environment variables, as a layer. Pure: the variables are handed in.

use std::collections::BTreeMap;

use toml::Value;

use super::error::Error;
use super::grammar::Grammar;
use super::layer::{Entry, Place, alone};
use super::listen::Listen;
use super::origin::Origin;

/// The environment: names and values.
pub type Environment = BTreeMap<String, String>;

/// How the text of a variable becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Switch,
    /// Separated by commas.
    List,
}

/// Variables that set one key, and where it stands.
const SINGLE: [(&str, Kind, &str, &str); 16] = [
    ("UNDERSTUDY_DATA_DIR", Kind::Text, "server", "data_dir"),
    ("UNDERSTUDY_EPHEMERAL", Kind::Switch, "server", "ephemeral"),
    ("UNDERSTUDY_ANONYMOUS", Kind::Text, "server", "anonymous"),
    ("UNDERSTUDY_TLS_CERT", Kind::Text, "server", "tls_cert"),
    ("UNDERSTUDY_TLS_KEY", Kind::Text, "server", "tls_key"),
    ("UNDERSTUDY_BASE_DOMAINS", Kind::List, "server", "base_domains"),
    ("UNDERSTUDY_REGION", Kind::Text, "server", "region"),
    ("UNDERSTUDY_TRUSTED_PROXIES", Kind::List, "server", "trusted_proxies"),
    ("UNDERSTUDY_HOSTS", Kind::List, "server", "hosts"),
    ("UNDERSTUDY_WEBSITE_HOSTS", Kind::List, "server", "website_hosts"),
    ("UNDERSTUDY_BALLAST_SIZE", Kind::Text, "limits", "ballast_size"),
    ("UNDERSTUDY_VERIFY_READS", Kind::Text, "limits", "verify_reads"),
    ("UNDERSTUDY_UNDER_TEST", Kind::List, "release", "under_test"),
    ("UNDERSTUDY_UPSTREAM_CA_FILE", Kind::Text, "upstream", "ca_file"),
    ("UNDERSTUDY_CACHE_MAX_SIZE", Kind::Text, "cache", "max_size"),
    ("UNDERSTUDY_CACHE_MAX_AGE", Kind::Text, "cache", "max_age"),
];

/// Variables that are read elsewhere or in another way.
const OTHERS: [&str; 9] = [
    "UNDERSTUDY_LISTEN",
    "UNDERSTUDY_BUCKETS",
    "UNDERSTUDY_ACCESS_KEY_ID",
    "UNDERSTUDY_SECRET_ACCESS_KEY",
    "UNDERSTUDY_PRESET",
    "UNDERSTUDY_CONFIG",
    "UNDERSTUDY_LOG",
    "UNDERSTUDY_LOG_FORMAT",
    "UNDERSTUDY_CATALOGUE",
];

/// A variable's value; an empty one counts as unset, as compose files leave them.
pub(super) fn variable<'environment>(
    environment: &'environment Environment,
    name: &str,
) -> Option<&'environment str> {
    environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

/// Everything that the environment says. `below` is the address that weaker layers give: `PORT`
/// changes its port and leaves the rest.
pub(super) fn layer(environment: &Environment, below: Listen) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for (name, kind, table, key) in SINGLE {
        let Some(text) = variable(environment, name) else { continue };
        let value = match kind {
            Kind::Text => Value::String(text.to_owned()),
            Kind::Switch => Value::Boolean(switch(name, text)?),
            Kind::List => Value::Array(list(text)),
        };
        entries.push(checked(name, Place::of(table, key), value)?);
    }
    entries.extend(listen(environment, below)?);
    for bucket in variable(environment, "UNDERSTUDY_BUCKETS").map(list).unwrap_or_default() {
        let Value::String(title) = &bucket else { continue };
        let place = Place::of_item("bucket", title, "name");
        entries.push(checked("UNDERSTUDY_BUCKETS", place, bucket)?);
    }
    entries.extend(credential(environment)?);
    Ok(entries)
}

/// Variables that look like ours and that nobody reads: a slip, most likely.
pub(super) fn unknown(environment: &Environment) -> Vec<String> {
    let known = |name: &str| OTHERS.contains(&name) || SINGLE.iter().any(|(known, ..)| *known == name);
    environment.keys().filter(|name| name.starts_with("UNDERSTUDY_") && !known(name)).cloned().collect()
}

fn listen(environment: &Environment, below: Listen) -> Result<Option<Entry>, Error> {
    let refused = |name, reason: &dyn std::fmt::Display| Error::Variable { name, reason: reason.to_string() };
    let address = variable(environment, "UNDERSTUDY_LISTEN")
        .map(str::parse::<Listen>)
        .transpose()
        .map_err(|error| refused("UNDERSTUDY_LISTEN", &error))?;
    let port = variable(environment, "PORT")
        .map(|text| {
            text.parse::<u16>().map_err(|_| {
                refused("PORT", &format!("{text:?} is not a port: write a number from 0 to 65535"))
            })
        })
        .transpose()?;
    let (listen, origin) = match (address, port) {
        (Some(address), Some(port)) if !address.has_port() => (address.with_port(port), "UNDERSTUDY_LISTEN"),
        (Some(address), _) => (address, "UNDERSTUDY_LISTEN"),
        (None, Some(port)) => (below.with_port(port), "PORT"),
        (None, None) => return Ok(None),
    };
    Ok(Some(Entry {
        place: Place::of("server", "listen"),
        value: Value::String(listen.to_string()),
        origin: Origin::Environment(origin),
    }))
}

/// The key pair of the environment, which may do everything unless the file says otherwise.
fn credential(environment: &Environment) -> Result<Vec<Entry>, Error> {
    let id_name = "UNDERSTUDY_ACCESS_KEY_ID";
    let secret_name = "UNDERSTUDY_SECRET_ACCESS_KEY";
    let (id, secret) = match (variable(environment, id_name), variable(environment, secret_name)) {
        (None, None) => return Ok(Vec::new()),
        (Some(id), Some(secret)) => (id, secret),
        (Some(_), None) => {
            return Err(Error::Variable {
                name: secret_name,
                reason: format!("set it too, or unset {id_name}"),
            });
        }
        (None, Some(_)) => {
            return Err(Error::Variable {
                name: id_name,
                reason: format!("set it too, or unset {secret_name}"),
            });
        }
    };
    if crate::model::AccessKeyId::parse(id).is_none() {
        let reason = "it must be 3 to 128 letters, digits, '_', '-' or '.'".to_owned();
        return Err(Error::Variable { name: id_name, reason });
    }
    if crate::model::SecretKey::parse(secret).is_none() {
        // What was written is not repeated: it may be a real secret with a slip in it.
        let reason = "it must be 8 to 256 visible ASCII characters".to_owned();
        return Err(Error::Variable { name: secret_name, reason });
    }
    let entry = |key: &str, value: &str, origin| Entry {
        place: Place::of_item("credential", id, key),
        value: Value::String(value.to_owned()),
        origin: Origin::Environment(origin),
    };
    Ok(vec![entry("access_key_id", id, id_name), entry("secret_access_key", secret, secret_name)])
}

fn switch(name: &'static str, text: &str) -> Result<bool, Error> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => {
            Err(Error::Variable { name, reason: format!("{text:?} is neither true nor false: write 1 or 0") })
        }
    }
}

fn list(text: &str) -> Vec<Value> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| Value::String(item.to_owned())).collect()
}

/// A value that the grammar takes at this place.
fn checked(name: &'static str, place: Place, value: Value) -> Result<Entry, Error> {
    match alone(&place, &value).try_into::<Grammar>() {
        Ok(_) => Ok(Entry { place, value, origin: Origin::Environment(name) }),
        Err(error) => Err(Error::Variable { name, reason: error.message().to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Environment, layer, unknown};
    use crate::config::listen::Listen;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn below() -> Listen {
        "127.0.0.1:8000".parse().expect("an address")
    }

    #[test]
    fn the_port_variable_moves_the_port_and_nothing_else() {
        for (pairs, expected) in [
            (&[][..], None),
            (&[("PORT", "9000")], Some("127.0.0.1:9000 environment PORT")),
            (&[("UNDERSTUDY_LISTEN", "0.0.0.0")], Some("0.0.0.0:8000 environment UNDERSTUDY_LISTEN")),
            (
                &[("UNDERSTUDY_LISTEN", "0.0.0.0"), ("PORT", "9000")],
                Some("0.0.0.0:9000 environment UNDERSTUDY_LISTEN"),
            ),
            (
                &[("UNDERSTUDY_LISTEN", "0.0.0.0:1"), ("PORT", "9000")],
                Some("0.0.0.0:1 environment UNDERSTUDY_LISTEN"),
            ),
            (&[("PORT", "")], None),
        ] {
            let entries = layer(&environment(pairs), below()).expect("a layer");
            let found = entries.iter().find(|entry| entry.place.key == "listen");
            let found =
                found.map(|entry| format!("{} {}", entry.value.as_str().expect("text"), entry.origin));
            assert_eq!(found.as_deref(), expected, "{pairs:?}");
        }
    }

    #[test]
    fn lists_are_split_at_commas() {
        let entries = layer(&environment(&[("UNDERSTUDY_BUCKETS", "one, two,,")]), below()).expect("a layer");
        let places: Vec<_> = entries.iter().map(|entry| entry.place.to_string()).collect();
        assert_eq!(places, ["bucket.one.name", "bucket.two.name"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_the_variable_and_what_to_write() {
        for (pairs, told) in [
            (&[("PORT", "http")][..], "PORT: \"http\" is not a port"),
            (&[("UNDERSTUDY_LISTEN", "here")], "UNDERSTUDY_LISTEN: \"here\" is not an address"),
            (&[("UNDERSTUDY_BUCKETS", "one,TWO")], "UNDERSTUDY_BUCKETS: \"TWO\" is not a bucket name"),
            (
                &[("UNDERSTUDY_ANONYMOUS", "all")],
                "UNDERSTUDY_ANONYMOUS: invalid value: string \"all\", expected \"none\"",
            ),
            (&[("UNDERSTUDY_EPHEMERAL", "perhaps")], "UNDERSTUDY_EPHEMERAL: \"perhaps\" is neither"),
            (&[("UNDERSTUDY_TRUSTED_PROXIES", "proxy")], "is not a range of addresses"),
            (&[("UNDERSTUDY_CACHE_MAX_SIZE", "much")], "UNDERSTUDY_CACHE_MAX_SIZE: \"much\" is not a size"),
            (&[("UNDERSTUDY_BALLAST_SIZE", "heavy")], "UNDERSTUDY_BALLAST_SIZE: \"heavy\" is not a size"),
            (&[("UNDERSTUDY_VERIFY_READS", "maybe")], "UNDERSTUDY_VERIFY_READS: \"maybe\" is not a choice"),
            (&[("UNDERSTUDY_ACCESS_KEY_ID", "abc")], "UNDERSTUDY_SECRET_ACCESS_KEY: set it too"),
            (&[("UNDERSTUDY_SECRET_ACCESS_KEY", "abcdefgh")], "UNDERSTUDY_ACCESS_KEY_ID: set it too"),
            (
                &[("UNDERSTUDY_ACCESS_KEY_ID", "abc"), ("UNDERSTUDY_SECRET_ACCESS_KEY", "hunter2")],
                "UNDERSTUDY_SECRET_ACCESS_KEY: it must be 8 to 256",
            ),
        ] {
            let refused = layer(&environment(pairs), below()).expect_err("a mistake").to_string();
            assert!(refused.contains(told), "{refused}");
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn misspelt_variables_are_noticed() {
        let environment =
            environment(&[("UNDERSTUDY_BUCKET", "one"), ("UNDERSTUDY_LOG", "info"), ("HOME", "/")]);
        assert_eq!(unknown(&environment), ["UNDERSTUDY_BUCKET"]);
    }
}
