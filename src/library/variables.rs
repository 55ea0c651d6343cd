//! The variables by which the clients of a stage find it. Pure.

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

/// The variables of a stage.
///
/// Beetmover: `docker.d/worker.yml` takes the key pairs of its staging buckets from `DEP_ID` and its
/// like, and where S3 is from `AWS_ENDPOINT_URL`; the client of Google Cloud Storage is sent here by
/// `API_ENDPOINT_OVERRIDE` and keeps its account, unlike with `STORAGE_EMULATOR_HOST`.
pub fn variables(address: &Address, id: &AccessKeyId, secret: &SecretKey) -> Vec<Variable> {
    let url = address.url();
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
        ("ARCHIVE_PREFIX", format!("{url}/pub"), Group::UpdateTask),
    ]
    .into_iter()
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
    use super::{Address, Group, Variable, shell, variables};
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
        let all = variables(&Address::Network, &id, &secret);
        let of = |group| all.iter().filter(|variable| variable.group == group).count();
        assert_eq!((of(Group::Person), of(Group::Beetmover), of(Group::UpdateTask)), (6, 7, 1));
        let prefix = all.iter().find(|variable| variable.name == "ARCHIVE_PREFIX").expect("a prefix");
        assert_eq!(shell(prefix), "export ARCHIVE_PREFIX='http://store:8000/pub'");
    }

    #[test]
    fn a_value_cannot_end_its_quotes() {
        let variable = Variable { name: "X", value: "a'$(b)".to_owned(), group: Group::Person };
        assert_eq!(shell(&variable), "export X='a'\\''$(b)'");
    }
}
