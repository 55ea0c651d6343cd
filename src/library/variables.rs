//! The variables by which the clients of a stage find it. Pure.

use std::fmt;
use std::net::SocketAddr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Serialize;

use super::catalogue::STORE;
use super::plan::{PORT, REGION};
use crate::model::{AccessKeyId, SecretKey};

/// Who needs a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The AWS CLI, SDKs, scripts.
    Person,
    /// A worker that runs beetmover.
    Beetmover,
    /// Tasks that make and verify updates.
    UpdateTask,
}

/// A variable.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its value, which may be a secret.
    pub value: String,
    /// Who needs it.
    pub group: Group,
}

/// Where a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// On a machine that reaches the engine's.
    Machine {
        /// Where the engine's machine leads to the store.
        published: SocketAddr,
        /// That machine, if it is not this one.
        engine: Option<String>,
    },
    /// On the stage's own network.
    Network,
}

impl Address {
    /// The store's address from there.
    pub fn url(&self) -> String {
        format!("http://{}", self.authority())
    }

    /// The store's host and port from there.
    pub fn authority(&self) -> String {
        match self {
            // A port that is open on all addresses of a machine is reached by any of them.
            Self::Machine { published, engine } if published.ip().is_unspecified() => {
                let own = if published.is_ipv6() { "[::1]" } else { "127.0.0.1" };
                format!("{}:{}", engine.as_deref().unwrap_or(own), published.port())
            }
            Self::Machine { published, .. } => published.to_string(),
            Self::Network => format!("{STORE}:{PORT}"),
        }
    }

    /// The machine that this leads to only from itself, where that is not this one.
    pub fn only_from(&self) -> Option<&str> {
        match self {
            Self::Machine { published, engine } if published.ip().is_loopback() => engine.as_deref(),
            Self::Machine { .. } | Self::Network => None,
        }
    }
}

impl Group {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Person => "the AWS CLI, SDKs and scripts",
            Self::Beetmover => "a beetmover worker",
            Self::UpdateTask => "tasks that make and verify updates: where archive.mozilla.org/pub is",
        }
    }
}

/// The keys of a stage.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Its key pair.
    pub access_key_id: AccessKeyId,
    /// Its key pair.
    pub secret_key: SecretKey,
    /// The key file of its service account, if it has one.
    pub account: Option<Account>,
}

/// The key file of a service account. `Debug` masks it.
#[derive(Clone)]
pub struct Account(serde_json::Map<String, serde_json::Value>);

impl Account {
    /// Reads a key file.
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().map(Self)
    }

    /// The key file in base64, as beetmover wants it, with addresses for a client that finds the
    /// stage at `url`.
    fn creds(&self, url: &str) -> String {
        let mut fields = self.0.clone();
        for (name, value) in &mut fields {
            let path = value.as_str().and_then(|text| text.split_once("://")?.1.split_once('/'));
            if let Some((_, path)) = path.filter(|_| name.ends_with("_uri")) {
                *value = format!("{url}/{path}").into();
            }
        }
        BASE64_STANDARD.encode(serde_json::Value::from(fields).to_string())
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Account(***)")
    }
}

/// The variables of a stage.
///
/// Beetmover: `docker.d/worker.yml` takes the key pairs of its staging buckets from `DEP_ID` and its
/// like, and where S3 is from `AWS_ENDPOINT_URL`; the client of Google Cloud Storage is sent here by
/// `API_ENDPOINT_OVERRIDE` and keeps its account, unlike with `STORAGE_EMULATOR_HOST`. The account is
/// `GCS_DEP_CREDS`, which `beetmoverscript/gcloud.py` takes out of base64 into a file.
pub fn variables(address: &Address, keys: &Keys) -> Vec<Variable> {
    let url = address.url();
    let (id, secret) = (keys.access_key_id.to_string(), keys.secret_key.expose().to_owned());
    let creds = keys.account.as_ref().map(|account| account.creds(&url));
    let mut all = vec![
        ("AWS_ENDPOINT_URL", url.clone(), Group::Person),
        ("AWS_ENDPOINT_URL_S3", url.clone(), Group::Person),
        ("AWS_ACCESS_KEY_ID", id.clone(), Group::Person),
        ("AWS_SECRET_ACCESS_KEY", secret.clone(), Group::Person),
        ("AWS_DEFAULT_REGION", REGION.to_owned(), Group::Person),
        ("AWS_REGION", REGION.to_owned(), Group::Person),
        ("API_ENDPOINT_OVERRIDE", url.clone(), Group::Beetmover),
    ];
    all.extend(creds.map(|creds| ("GCS_DEP_CREDS", creds, Group::Beetmover)));
    for (name_of_id, name_of_key) in [
        ("DEP_ID", "DEP_KEY"),
        ("DEP_PARTNER_ID", "DEP_PARTNER_KEY"),
        ("MAVEN_ID", "MAVEN_KEY"),
        ("MAVEN_NIGHTLY_ID", "MAVEN_NIGHTLY_KEY"),
    ] {
        all.push((name_of_id, id.clone(), Group::Beetmover));
        all.push((name_of_key, secret.clone(), Group::Beetmover));
    }
    all.push(("ARCHIVE_PREFIX", format!("{url}/pub"), Group::UpdateTask));
    all.into_iter().map(|(name, value, group)| Variable { name, value, group }).collect()
}

/// A line that a shell takes.
pub fn shell(variable: &Variable) -> String {
    let quoted = variable.value.replace('\'', "'\\''");
    format!("export {}='{quoted}'", variable.name)
}

#[cfg(test)]
mod tests {
    use super::{Account, Address, BASE64_STANDARD, Group, Keys, Variable, shell, variables};
    use base64::Engine as _;

    use crate::model::{AccessKeyId, SecretKey};

    #[test]
    fn addresses() {
        for (published, engine, url, only_from) in [
            ("127.0.0.1:49153", None, "http://127.0.0.1:49153", None),
            ("127.0.0.1:49153", Some("box"), "http://127.0.0.1:49153", Some("box")),
            ("0.0.0.0:1", None, "http://127.0.0.1:1", None),
            ("0.0.0.0:1", Some("box"), "http://box:1", None),
            ("10.0.0.1:1", Some("box"), "http://10.0.0.1:1", None),
            ("[::1]:1", None, "http://[::1]:1", None),
            ("[::]:1", None, "http://[::1]:1", None),
        ] {
            let published = published.parse().expect("an address");
            let address = Address::Machine { published, engine: engine.map(str::to_owned) };
            assert_eq!((address.url().as_str(), address.only_from()), (url, only_from));
        }
        assert_eq!(Address::Network.url(), "http://store:8000");
    }

    const KEY_FILE: &str = r#"{"type":"service_account","private_key":"-----BEGIN\n://x/y",
        "token_uri":"http://store:8000/__gcs__/token"}"#;

    fn keys() -> Keys {
        Keys {
            access_key_id: AccessKeyId::parse("UNDERSTUDYAAAAAAAAAA").expect("an id"),
            secret_key: SecretKey::parse("correct-horse").expect("a secret"),
            account: Account::parse(KEY_FILE.as_bytes()),
        }
    }

    #[test]
    fn everybody_gets_what_they_need() {
        let all = variables(&Address::Network, &keys());
        let of = |group| all.iter().filter(|variable| variable.group == group).count();
        assert_eq!((of(Group::Person), of(Group::Beetmover), of(Group::UpdateTask)), (6, 10, 1));
        let prefix = all.iter().find(|variable| variable.name == "ARCHIVE_PREFIX").expect("a prefix");
        assert_eq!(shell(prefix), "export ARCHIVE_PREFIX='http://store:8000/pub'");
        // A stage that was made by an older image has no account.
        let without = variables(&Address::Network, &Keys { account: None, ..keys() });
        assert_eq!(without.len() + 1, all.len());
    }

    #[test]
    fn an_account_asks_for_tokens_where_the_client_finds_the_stage() {
        let published = "127.0.0.1:7".parse().expect("an address");
        let all = variables(&Address::Machine { published, engine: None }, &keys());
        let creds = all.iter().find(|variable| variable.name == "GCS_DEP_CREDS").expect("an account");
        let file = BASE64_STANDARD.decode(&creds.value).expect("base64");
        let file: serde_json::Value = serde_json::from_slice(&file).expect("JSON");
        assert_eq!(file["token_uri"], "http://127.0.0.1:7/__gcs__/token");
        assert_eq!(file["private_key"], "-----BEGIN\n://x/y", "nothing else is changed");
        assert!(!format!("{:?}", keys()).contains("BEGIN"));
    }

    #[test]
    fn a_value_cannot_end_its_quotes() {
        let variable = Variable { name: "X", value: "a'$(b)".to_owned(), group: Group::Person };
        assert_eq!(shell(&variable), "export X='a'\\''$(b)'");
    }
}
