//! What is in force, as the types of the rooms that it is for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Value;

use super::credentials;
use super::environment::{self, Environment};
use super::error::Error;
use super::file;
use super::flags::{self, Flags};
use super::grammar::{Anonymous, Grammar, ServerTable};
use super::layer::{Effective, Entry, Place, entries};
use super::listen::Listen;
use super::origin::Origin;
use crate::fallback::{self, Fallback, OwnNames, Said};
use crate::model::{BucketName, Credential, Grant, HostName};
use crate::protocol::browser;
use crate::{archive, protocol, s3, server, store, upstream, view};

/// Everything that the server needs to be told.
#[derive(Debug)]
pub struct Settings {
    /// For `server`.
    pub server: server::Config,
    /// For `store`. With an ephemeral store the folder is only where a person would look for it.
    pub store: store::Options,
    /// For `s3`.
    pub s3: s3::Config,
    /// For `archive`.
    pub archive: Vec<archive::Config>,
    /// For `protocol`.
    pub limits: protocol::Config,
    /// Rules of all buckets, and the releases under test as far as something is said about them.
    pub fallback: Arc<Fallback>,
    /// What is said about the releases under test. The stage keeps one: where nothing is said, that counts.
    pub under_test: Said,
    /// For `upstream`.
    pub upstream: upstream::Config,
    /// For `view`.
    pub cache: view::Config,
    /// What everybody may do.
    pub anonymous: Vec<Grant>,
    /// Buckets that are there from the start.
    pub buckets: Vec<BucketName>,
    /// Key pairs; none if the data folder has yet to make its own.
    pub credentials: Vec<Credential>,
    /// What is allowed but deserves a second look.
    pub warnings: Vec<String>,
    pub(super) effective: Effective,
}

impl Settings {
    /// Puts flags, environment, file, preset and defaults together; the first that says
    /// something about a value decides.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, Error> {
        let mut effective = Effective::default();
        effective.overlay(defaults());
        let file = match chosen(flags.config.as_deref(), "--config", environment, "UNDERSTUDY_CONFIG") {
            Some((path, _)) => read_file(Path::new(path))?,
            None => Vec::new(),
        };
        let in_file = file.iter().find(|entry| entry.place == Place::of("", "preset"));
        let preset = chosen(flags.preset.as_deref(), "--preset", environment, "UNDERSTUDY_PRESET")
            .map(|(name, origin)| (name.to_owned(), origin))
            .or_else(|| {
                let name = in_file.and_then(|entry| entry.value.as_str())?;
                Some((name.to_owned(), in_file?.origin.clone()))
            });
        if let Some((name, origin)) = preset {
            let text = preset_text(&name)
                .ok_or_else(|| Error::UnknownPreset { place: origin.to_string(), name: name.clone() })?;
            effective.overlay(file::preset(&name, text)?);
            let place = Place::of("", "preset");
            effective.overlay([Entry { place, value: Value::String(name), origin }]);
        }
        // A stronger layer may have chosen another preset than the file did.
        effective.overlay(file.into_iter().filter(|entry| entry.place != Place::of("", "preset")));
        let below = listen_of(&effective);
        effective.overlay(environment::layer(environment, below)?);
        effective.overlay(flags::layer(flags)?);
        complete_credentials(&mut effective)?;
        Self::build(effective, environment)
    }

    /// Checks what only shows when everything is together.
    fn build(effective: Effective, environment: &Environment) -> Result<Self, Error> {
        let Grammar { server, limits, upstream, cache, bucket, credential, archive, release, preset: _ } =
            grammar(&effective)?;
        let tls = tls(&effective, &server)?;
        let mut anonymous = server.anonymous.grants(None);
        let mut buckets = Vec::new();
        let mut rules = Vec::new();
        for bucket in bucket {
            anonymous.extend(bucket.anonymous.grants(Some(&bucket.name)));
            buckets.push(bucket.name.clone());
            rules.push((bucket.name, bucket.fallback));
        }
        let archive = if archive.is_empty() { vec![archive::Config::default()] } else { archive };
        let aliases = archive.iter().flat_map(archive::Config::hosts).cloned();
        let mut fallback = Fallback::of_rules(rules, |name| environment.get(name).cloned())?
            .of_stage(OwnNames::new(texts(&server.hosts), aliases));
        if let Some(said) = release.under_test.config() {
            fallback = fallback.with_release(said)?;
        }
        let names = browser::Names {
            strict: !server.hosts.is_empty(),
            hosts: archive
                .iter()
                .flat_map(archive::Config::hosts)
                .cloned()
                .chain(texts(&server.hosts))
                .collect(),
            domains: lowercase(&server.base_domains),
            websites: texts(&server.website_hosts).collect(),
        };
        let mut settings = Self {
            store: limits.store(&server),
            limits: limits.bodies(),
            s3: s3::Config { base_domains: lowercase(&server.base_domains), region: server.region.clone() },
            server: server::Config {
                listen: server.listen.socket_address(),
                tls,
                trusted_proxies: server.trusted_proxies,
                names,
                limits: limits.server(),
            },
            archive,
            fallback: Arc::new(fallback),
            under_test: release.under_test,
            upstream: upstream.config(),
            cache: cache.config(),
            anonymous,
            buckets,
            credentials: credential.into_iter().map(credentials::credential).collect(),
            warnings: Vec::new(),
            effective,
        };
        settings.warnings = settings.second_looks(&server.anonymous, environment);
        Ok(settings)
    }

    /// Whether what is stored goes when the server does.
    pub fn ephemeral(&self) -> bool {
        self.store.durability == store::Durability::Ephemeral
    }

    /// Whether the key pairs are those that the data folder made for itself.
    pub fn credentials_are_kept(&self) -> bool {
        let kept = credentials::path(&self.store.data_dir);
        self.effective.iter().any(|(place, _, origin)| {
            place.table == "credential" && matches!(origin, Origin::File { path, .. } if *path == kept)
        })
    }

    /// Whether somebody said where the data is, instead of leaving it at the default.
    pub fn data_dir_is_named(&self) -> bool {
        let origin = self.effective.get(&Place::of("server", "data_dir")).map(|(_, origin)| origin);
        origin.is_some_and(|origin| !matches!(origin, Origin::Default))
    }

    /// As if the data folder were the default one, which no test can have for itself.
    #[cfg(test)]
    pub(crate) fn forget_that_data_dir_is_named(&mut self) {
        let place = Place::of("server", "data_dir");
        let value = self.store.data_dir.to_string_lossy().into_owned();
        self.effective.overlay([Entry { place, value: Value::String(value), origin: Origin::Default }]);
    }

    /// How this machine reaches the server, if it is running.
    pub fn local_url(&self) -> String {
        let scheme = if self.server.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", reachable(self.server.listen))
    }

    fn second_looks(&self, anonymous: &Anonymous, environment: &Environment) -> Vec<String> {
        let mut warnings: Vec<String> = environment::unknown(environment)
            .into_iter()
            .map(|name| format!("the environment variable {name} means nothing to understudy: is it a slip?"))
            .collect();
        let address = self.server.listen.ip();
        let writes = |grant: &Grant| grant.permissions.contains(&crate::model::Permission::Write);
        if !address.is_loopback() && self.anonymous.iter().any(writes) {
            warnings.push(format!(
                "anybody who can reach {address} can write and delete here without a signature: \
                 listen on 127.0.0.1, or choose --anonymous read"
            ));
        }
        let known: BTreeSet<&BucketName> = self.buckets.iter().collect();
        if *anonymous != Anonymous::None {
            for bucket in known {
                let place = Place::of_item("bucket", bucket.as_str(), "anonymous");
                let closed =
                    self.effective.get(&place).is_some_and(|(value, _)| value.as_str() == Some("none"));
                if closed {
                    warnings.push(format!(
                        "the bucket {bucket} says anonymous = \"none\", but server.anonymous opens every bucket: \
                         set that to \"none\" and open the buckets one by one"
                    ));
                }
            }
        }
        warnings
    }
}

/// An address that a client on this machine can use: nobody can connect to "every address".
pub fn reachable(address: std::net::SocketAddr) -> std::net::SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The text of a preset.
pub fn preset_text(name: &str) -> Option<&'static str> {
    (name == "mozilla").then_some(fallback::MOZILLA)
}

/// What a flag says, or else a variable.
fn chosen<'a>(
    flag: Option<&'a str>,
    flag_name: &'static str,
    environment: &'a Environment,
    variable_name: &'static str,
) -> Option<(&'a str, Origin)> {
    match flag {
        Some(value) => Some((value, Origin::Flag(flag_name))),
        None => environment::variable(environment, variable_name)
            .map(|value| (value, Origin::Environment(variable_name))),
    }
}

fn read_file(path: &Path) -> Result<Vec<Entry>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => file::read(path, &text),
        Err(source) => Err(Error::Unreadable { path: path.to_owned(), source }),
    }
}

/// What holds if nobody says anything.
fn defaults() -> Vec<Entry> {
    let table = toml::Table::try_from(Grammar::default()).expect("the grammar's own defaults are TOML");
    entries(&table, |_, _| Origin::Default)
}

fn listen_of(effective: &Effective) -> Listen {
    let written = effective.get(&Place::of("server", "listen")).and_then(|(value, _)| value.as_str());
    written.and_then(|text| text.parse().ok()).unwrap_or_else(|| ServerTable::default().listen)
}

/// A key pair from the environment says nothing about grants: it may do everything. Without any
/// key pair, those that the data folder made for itself count.
fn complete_credentials(effective: &mut Effective) -> Result<(), Error> {
    let ephemeral = effective
        .get(&Place::of("server", "ephemeral"))
        .is_some_and(|(value, _)| value.as_bool() == Some(true));
    if !effective.has("credential") && !ephemeral {
        let data_dir = effective.get(&Place::of("server", "data_dir")).and_then(|(value, _)| value.as_str());
        let data_dir = PathBuf::from(data_dir.unwrap_or_default());
        effective.overlay(credentials::layer(&data_dir)?);
    }
    let ids: BTreeSet<String> = effective
        .iter()
        .filter(|(place, ..)| place.table == "credential")
        .filter_map(|(place, ..)| place.item.clone())
        .collect();
    let all = Value::Array(vec![Value::String(Grant::all().to_string())]);
    for id in ids {
        let place = Place::of_item("credential", &id, "grants");
        if effective.get(&place).is_none() {
            effective.overlay([Entry { place, value: all.clone(), origin: Origin::Default }]);
        }
    }
    Ok(())
}

/// All layers as one file. Each was checked by itself, so only what they say together can fail.
fn grammar(effective: &Effective) -> Result<Grammar, Error> {
    effective.table().try_into().map_err(|error: toml::de::Error| Error::Conflict {
        place: "the layers of the configuration together".to_owned(),
        reason: error.message().to_owned(),
    })
}

fn tls(effective: &Effective, server: &ServerTable) -> Result<Option<server::TlsFiles>, Error> {
    let half = |present: &str, missing: &str| {
        let origin = effective.get(&Place::of("server", present)).map(|(_, origin)| origin.to_string());
        Err(Error::Conflict {
            place: format!("server.{present} ({})", origin.unwrap_or_default()),
            reason: format!(
                "TLS needs both a certificate and its key: set {missing} too, or leave {present} out"
            ),
        })
    };
    match (&server.tls_cert, &server.tls_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            Ok(Some(server::TlsFiles { certificate: certificate.clone(), key: key.clone() }))
        }
        (Some(_), None) => half("tls_cert", "tls_key"),
        (None, Some(_)) => half("tls_key", "tls_cert"),
    }
}

fn texts(names: &[HostName]) -> impl Iterator<Item = String> {
    names.iter().map(ToString::to_string)
}

fn lowercase(names: &[String]) -> Vec<String> {
    names.iter().map(|name| name.trim_matches('.').to_ascii_lowercase()).collect()
}
