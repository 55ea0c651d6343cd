//! Flags of the command line, as a layer. Pure.

use toml::Value;

use super::error::Error;
use super::grammar::Grammar;
use super::layer::{Entry, Place, alone};
use super::origin::Origin;

/// What the command line says; what it does not say is empty.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`
    pub config: Option<String>,
    /// `--preset`
    pub preset: Option<String>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--data-dir`
    pub data_dir: Option<String>,
    /// `--ephemeral`
    pub ephemeral: bool,
    /// `--bucket`, any number of times
    pub buckets: Vec<String>,
    /// `--anonymous`
    pub anonymous: Option<String>,
    /// `--tls-cert`
    pub tls_cert: Option<String>,
    /// `--tls-key`
    pub tls_key: Option<String>,
}

/// Everything that the flags say, but for the file and the preset, which are layers of their own.
pub(super) fn layer(flags: &Flags) -> Result<Vec<Entry>, Error> {
    let single = [
        ("--listen", &flags.listen, "listen"),
        ("--data-dir", &flags.data_dir, "data_dir"),
        ("--anonymous", &flags.anonymous, "anonymous"),
        ("--tls-cert", &flags.tls_cert, "tls_cert"),
        ("--tls-key", &flags.tls_key, "tls_key"),
    ];
    let single = single.into_iter().filter_map(|(name, text, key)| {
        text.as_ref().map(|text| (name, Place::of("server", key), Value::String(text.clone())))
    });
    let ephemeral =
        flags.ephemeral.then(|| ("--ephemeral", Place::of("server", "ephemeral"), Value::Boolean(true)));
    let buckets = flags
        .buckets
        .iter()
        .map(|bucket| ("--bucket", Place::of_item("bucket", bucket, "name"), Value::String(bucket.clone())));
    single.chain(ephemeral).chain(buckets).map(|(name, place, value)| checked(name, place, value)).collect()
}

/// A value that the grammar takes at this place.
fn checked(name: &'static str, place: Place, value: Value) -> Result<Entry, Error> {
    match alone(&place, &value).try_into::<Grammar>() {
        Ok(_) => Ok(Entry { place, value, origin: Origin::Flag(name) }),
        Err(error) => Err(Error::Flag { name, reason: error.message().to_owned() }),
    }
}
