//! The variables by which the clients of a stage find it. Pure.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

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
    /// On the machine, which leads to the store here.
    Machine(std::net::SocketAddr),
    /// On the stage's own network.
    Network,
}

impl Address {
    /// The store's address from there.
    pub fn url(&self) -> String {
        match self {
            Self::Machine(address) if address.ip().is_unspecified() => {
                format!("http://127.0.0.1:{}", address.port())
            }
            Self::Machine(address) => format!("http://{address}"),
            Self::Network => format!("http://store:{PORT}"),
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
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// Of its key pair.
    pub id: &'a AccessKeyId,
    /// Of its key pair.
    pub secret: &'a SecretKey,
    /// The key file of its service account; a stage of an older image has none.
    pub account: Option<&'a Account>,
}

/// The key file of a service account, as clients at some address need it.
#[derive(Clone, PartialEq, Eq)]
pub struct Account(serde_json::Map<String, serde_json::Value>);

impl fmt::Debug for Account {
    /// Without the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Account")
    }
}

impl Account {
    /// Reads the file that a checkout has left; none if it is no such file.
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().map(Self)
    }

    /// As beetmover takes it from a variable: in base64. Tokens are to be had at the store, and that
    /// is elsewhere for each client.
    fn variable(&self, url: &str) -> String {
        let mut file = self.0.clone();
        let inside = Address::Network.url();
        for value in file.values_mut() {
            if let Some(path) = value.as_str().and_then(|text| text.strip_prefix(&inside)) {
                *value = format!("{url}{path}").into();
            }
        }
        STANDARD.encode(serde_json::Value::from(file).to_string())
    }
}

/// The variables of a stage.
///
/// Beetmover: `docker.d/worker.yml` takes the key pairs of its staging buckets from `DEP_ID` and its
/// like, and where S3 is from `AWS_ENDPOINT_URL`; the client of Google Cloud Storage is sent here by
/// `API_ENDPOINT_OVERRIDE` and keeps its account, unlike with `STORAGE_EMULATOR_HOST`.
pub fn variables(address: &Address, keys: Keys<'_>) -> Vec<Variable> {
    let Keys { id, secret, account } = keys;
    let url = address.url();
    let account = account.map(|account| account.variable(&url));
    [
        ("AWS_ENDPOINT_URL", url.clone(), Group::Person),
        ("AWS_ENDPOINT_URL_S3", url.clone(), Group::Person),
        ("AWS_ACCESS_KEY_ID", id.to_string(), Group::Person),
        ("AWS_SECRET_ACCESS_KEY", secret.expose().to_owned(), Group::Person),
        ("AWS_DEFAULT_REGION", REGION.to_owned(), Group::Person),
        ("AWS_REGION", REGION.to_owned(), Group::Person),
        ("API_ENDPOINT_OVERRIDE", url.clone(), Group::Beetmover),
        ("DEP_ID", id.to_string(), Group::Beetmover),
        ("DEP_KEY", secret.expose().to_owned(), Group::Beetmover),
        ("DEP_PARTNER_ID", id.to_string(), Group::Beetmover),
        ("DEP_PARTNER_KEY", secret.expose().to_owned(), Group::Beetmover),
        ("MAVEN_ID", id.to_string(), Group::Beetmover),
        ("MAVEN_KEY", secret.expose().to_owned(), Group::Beetmover),
        ("MAVEN_NIGHTLY_ID", id.to_string(), Group::Beetmover),
        ("MAVEN_NIGHTLY_KEY", secret.expose().to_owned(), Group::Beetmover),
        ("ARCHIVE_PREFIX", format!("{url}/pub"), Group::UpdateTask),
    ]
    .into_iter()
    .chain(account.map(|account| ("GCS_DEP_CREDS", account, Group::Beetmover)))
    .map(|(name, value, group)| Variable { name, value, group })
    .collect()
}

/// A line that a shell takes.
pub fn shell(variable: &Variable) -> String {
    let quoted = variable.value.replace('\'', "'\\''");
    format!("export {}='{quoted}'", variable.name)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::{Account, Address, Group, Keys, STANDARD, Variable, shell, variables};
    use crate::model::{AccessKeyId, SecretKey};

    #[test]
    fn addresses() {
        for (address, url) in [
            (Address::Machine("127.0.0.1:49153".parse().expect("an address")), "http://127.0.0.1:49153"),
            (Address::Machine("0.0.0.0:1".parse().expect("an address")), "http://127.0.0.1:1"),
            (Address::Machine("10.0.0.1:1".parse().expect("an address")), "http://10.0.0.1:1"),
            (Address::Machine("[::1]:1".parse().expect("an address")), "http://[::1]:1"),
            (Address::Network, "http://store:8000"),
        ] {
            assert_eq!(address.url(), url);
        }
    }

    #[test]
    fn everybody_gets_what_they_need() {
        let id = AccessKeyId::parse("UNDERSTUDYAAAAAAAAAA").expect("an id");
        let secret = SecretKey::parse("correct-horse").expect("a secret");
        let all = variables(&Address::Network, Keys { id: &id, secret: &secret, account: None });
        let of = |group| all.iter().filter(|variable| variable.group == group).count();
        assert_eq!((of(Group::Person), of(Group::Beetmover), of(Group::UpdateTask)), (6, 9, 1));
        let prefix = all.iter().find(|variable| variable.name == "ARCHIVE_PREFIX").expect("a prefix");
        assert_eq!(shell(prefix), "export ARCHIVE_PREFIX='http://store:8000/pub'");
    }

    #[test]
    fn an_account_gets_its_tokens_where_the_client_finds_the_store() {
        let id = AccessKeyId::parse("UNDERSTUDYAAAAAAAAAA").expect("an id");
        let secret = SecretKey::parse("correct-horse").expect("a secret");
        let file = br#"{"private_key": "a b", "token_uri": "http://store:8000/token"}"#;
        let account = Account::parse(file).expect("an object");
        for (address, token) in [
            (Address::Network, "http://store:8000/token"),
            (
                Address::Machine("127.0.0.1:49153".parse().expect("an address")),
                "http://127.0.0.1:49153/token",
            ),
        ] {
            let all = variables(&address, Keys { id: &id, secret: &secret, account: Some(&account) });
            let found = all.iter().find(|variable| variable.name == "GCS_DEP_CREDS").expect("an account");
            let text = STANDARD.decode(&found.value).expect("base64");
            let file: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
            assert_eq!((&file["token_uri"], &file["private_key"]), (&token.into(), &"a b".into()));
        }
        assert!(Account::parse(b"{\"private").is_none(), "a file that is not whole");
    }

    #[test]
    fn a_value_cannot_end_its_quotes() {
        let variable = Variable { name: "X", value: "a'$(b)".to_owned(), group: Group::Person };
        assert_eq!(shell(&variable), "export X='a'\\''$(b)'");
    }
}
