//! One rule of `[[bucket.fallback]]`: which keys it covers, and what it does with them.

use std::sync::Arc;
use std::time::Duration;

use super::glob::Pattern;
use super::upstream::{InvalidUpstream, NotMappable, UnresolvedCredentials};
use super::written::RawRule;
use super::{ClientKind, Decision, Fetch, Redirect, RuleName, Target, Upstream};
use crate::model::{InvalidGlob, ObjectKey};

/// What a client does with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ReadMethod {
    /// `GetObject`.
    Get,
    /// `HeadObject`.
    Head,
}

/// What a rule does with the keys that it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Redirect plain clients, fetch for SDKs.
    Auto,
    /// Answer with an address.
    Redirect,
    /// Answer with an address that is signed and expires.
    Presign,
    /// Fetch the answer and pass it on.
    Proxy,
    /// Fetch the answer, pass it on and keep it.
    Cache,
    /// Answer that there is no such key.
    Deny,
}

/// What a rule adds to listings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListMode {
    /// What upstream lists; of an upstream that cannot be listed, the imported index.
    #[default]
    Merge,
    /// The imported index only.
    Index,
    /// Nothing.
    Local,
}

/// What a writer is told of a key while upstream does not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Offline {
    /// That upstream does not answer.
    #[default]
    Error,
    /// That there is no such key, so that an upload goes on.
    Absent,
}

/// The status of a redirect. Clients that fetch partial updates follow no others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RedirectStatus {
    /// 302.
    #[default]
    Found,
    /// 307.
    TemporaryRedirect,
}

impl RedirectStatus {
    /// The number.
    pub fn as_u16(self) -> u16 {
        match self {
            Self::Found => 302,
            Self::TemporaryRedirect => 307,
        }
    }
}

/// A rule: the first of its bucket's rules that covers a key decides.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(try_from = "RawRule", into = "RawRule")]
pub struct Rule {
    pub(super) pattern: Pattern,
    pub(super) methods: Vec<ReadMethod>,
    pub(super) clients: Vec<ClientKind>,
    pub(super) action: Action,
}

/// A mode with all that it needs.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Deny,
    Answer(Answer),
}

/// How production answers.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) upstream: Arc<Upstream>,
    pub(super) way: Way,
    pub(super) list: ListMode,
    pub(super) previous_only: bool,
    pub(super) offline: Offline,
}

/// Which way an answer takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Auto(Sending),
    Redirect(Sending),
    Presign(Sending),
    Proxy,
    Cache,
}

/// How a client is sent elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sending {
    pub(super) status: RedirectStatus,
    pub(super) probe: bool,
    /// How long the address holds, if it is signed.
    pub(super) signed_for: Option<Duration>,
}

/// Whether a rule is for a read, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applies {
    /// It is.
    Yes,
    /// Its pattern does not match the key.
    OtherKeys,
    /// It is for the other method.
    OtherMethod,
    /// It is for other clients.
    OtherClients,
}

/// Why a rule was refused.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRule {
    /// The pattern does not read.
    #[error("the fallback rule has a malformed `match`: {0}")]
    Pattern(#[from] InvalidGlob),
    /// The address does not read.
    #[error("the fallback rule for {pattern:?}: {source}")]
    Upstream {
        /// Whose.
        pattern: String,
        /// What is wrong.
        source: InvalidUpstream,
    },
    /// A setting is missing, contradicts another or has a value that it cannot have.
    #[error("the fallback rule for {pattern:?}: {problem}")]
    Setting {
        /// Whose.
        pattern: String,
        /// What is wrong and what to write.
        problem: String,
    },
}

impl Rule {
    /// The pattern as configured.
    pub fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    /// What the rule does.
    pub fn mode(&self) -> Mode {
        match &self.action {
            Action::Deny => Mode::Deny,
            Action::Answer(answer) => match answer.way {
                Way::Auto(_) => Mode::Auto,
                Way::Redirect(_) => Mode::Redirect,
                Way::Presign(_) => Mode::Presign,
                Way::Proxy => Mode::Proxy,
                Way::Cache => Mode::Cache,
            },
        }
    }

    /// Where it looks; `None` for `deny`.
    pub fn upstream(&self) -> Option<&Arc<Upstream>> {
        self.answer().map(|answer| &answer.upstream)
    }

    /// What it adds to listings.
    pub fn list(&self) -> ListMode {
        self.answer().map_or(ListMode::Local, |answer| answer.list)
    }

    /// Whether it is for files of older releases only.
    pub fn previous_only(&self) -> bool {
        self.answer().is_some_and(|answer| answer.previous_only)
    }

    /// Whether the rule is for this read.
    pub fn applies(&self, key: &str, method: ReadMethod, client: ClientKind) -> Applies {
        if !self.pattern.matches(key) {
            Applies::OtherKeys
        } else if !self.methods.contains(&method) {
            Applies::OtherMethod
        } else if !self.clients.contains(&client) {
            Applies::OtherClients
        } else {
            Applies::Yes
        }
    }

    pub(super) fn answer(&self) -> Option<&Answer> {
        match &self.action {
            Action::Deny => None,
            Action::Answer(answer) => Some(answer),
        }
    }

    /// What becomes of a key that the rule is for. `previous` is asked whether it is of an older
    /// release.
    pub(super) fn decide<'a>(
        &'a self,
        rule: RuleName<'a>,
        key: &'a ObjectKey,
        (method, client): (ReadMethod, ClientKind),
        previous: impl FnOnce() -> bool,
    ) -> Decision<'a> {
        let Some(answer) = self.answer() else { return Decision::Deny { rule } };
        if answer.previous_only && !previous() {
            return Decision::NotPrevious { rule };
        }
        // Whoever follows it or fetches it: what has no address has no answer.
        let Ok(url) = answer.upstream.object_url(key) else { return Decision::NotMappable { rule } };
        let upstream = &answer.upstream;
        let offline = answer.offline;
        let fetch = |keep| Decision::Fetch(Fetch { rule, upstream, keep, leads_back: false, offline });
        let send = |sending: &Sending| {
            let target = match (sending.signed_for, upstream.place().bucket()) {
                (Some(expires), Some(upstream)) => Target::Presigned { upstream, key, method, expires },
                (None, _) | (_, None) => Target::Plain(url),
            };
            let (status, probe) = (sending.status, sending.probe.then_some(upstream));
            Decision::Redirect(Redirect { rule, status, upstream, probe, target, offline })
        };
        match (&answer.way, client) {
            (Way::Redirect(sending) | Way::Presign(sending), _) | (Way::Auto(sending), ClientKind::Plain) => {
                send(sending)
            }
            (Way::Auto(_), ClientKind::Sdk) | (Way::Proxy, _) => fetch(false),
            (Way::Cache, _) => fetch(true),
        }
    }

    /// The answer of the rule to the server itself; what is kept is kept.
    pub(super) fn fetch<'a>(
        &'a self,
        rule: RuleName<'a>,
        key: &ObjectKey,
    ) -> Result<Option<Fetch<'a>>, NotMappable> {
        let Some(answer) = self.answer() else { return Ok(None) };
        answer.upstream.object_url(key)?;
        let keep = self.mode() == Mode::Cache;
        let (upstream, offline) = (&answer.upstream, answer.offline);
        Ok(Some(Fetch { rule, upstream, keep, leads_back: false, offline }))
    }

    /// With the key pair that it refers to, and with the one of `shared` that equals its upstream.
    pub(super) fn resolved(
        mut self,
        environment: impl Fn(&str) -> Option<String>,
        shared: &mut Vec<Arc<Upstream>>,
    ) -> Result<Self, UnresolvedCredentials> {
        if let Action::Answer(answer) = &mut self.action {
            let upstream = Upstream::clone(&answer.upstream).resolved(self.pattern.as_str(), environment)?;
            answer.upstream = if let Some(known) = shared.iter().find(|known| ***known == upstream) {
                Arc::clone(known)
            } else {
                shared.push(Arc::new(upstream));
                Arc::clone(&shared[shared.len() - 1])
            };
        }
        Ok(self)
    }
}
