//! One rule of `[[bucket.fallback]]`: which keys it covers, and what it does with them.

use std::time::Duration;

use super::glob::Pattern;
use super::upstream::{InvalidUpstream, S3Upstream, UnresolvedCredentials, UrlPrefix, mappable};
use super::{Decision, Redirect, RuleName, Target};
use crate::model::ObjectKey;

/// How long a presigned link holds unless the rule says otherwise.
const EXPIRES_DEFAULT: Duration = Duration::from_hours(1);

/// AWS: "the maximum validity for a presigned URL is seven days".
const EXPIRES_MAX: Duration = Duration::from_hours(7 * 24);

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
    /// Answer with an address.
    Redirect,
    /// Answer with an address that is signed and expires.
    Presign,
    /// Answer that there is no such key.
    Deny,
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
    pattern: Pattern,
    methods: Vec<ReadMethod>,
    action: Action,
}

/// A mode with all that it needs.
#[derive(Debug, Clone)]
enum Action {
    Redirect { to: UrlPrefix, status: RedirectStatus },
    Presign { s3: Box<S3Upstream>, status: RedirectStatus, expires: Duration },
    Deny,
}

/// Why a rule was refused.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRule {
    /// The pattern does not read.
    #[error("the fallback rule has a malformed `match`: {0}")]
    Pattern(#[from] globset::Error),
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

/// A rule as it is written.
#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    r#match: String,
    mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    methods: Option<Vec<ReadMethod>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3: Option<S3Upstream>,
    #[serde(skip_serializing)]
    gcs: Option<serde::de::IgnoredAny>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing)]
    list: Option<String>,
    #[serde(skip_serializing)]
    probe: Option<bool>,
}

impl Rule {
    /// The pattern as configured.
    pub fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    /// What the rule does.
    pub fn mode(&self) -> Mode {
        match self.action {
            Action::Redirect { .. } => Mode::Redirect,
            Action::Presign { .. } => Mode::Presign,
            Action::Deny => Mode::Deny,
        }
    }

    /// Whether the rule is for this key and method.
    pub fn applies(&self, key: &ObjectKey, method: ReadMethod) -> bool {
        self.methods.contains(&method) && self.pattern.matches(key)
    }

    /// What becomes of a key that the rule is for.
    pub(super) fn decide<'a>(
        &'a self,
        name: RuleName<'a>,
        key: &'a ObjectKey,
        method: ReadMethod,
    ) -> Decision<'a> {
        let (target, status) = match &self.action {
            Action::Deny => return Decision::Deny { rule: name },
            Action::Redirect { to, status } => (to.join(key).map(Target::Plain), *status),
            Action::Presign { s3, status, expires } => {
                let presigned = Target::Presigned { upstream: s3, key, method, expires: *expires };
                (mappable(key).map(|()| presigned), *status)
            }
        };
        match target {
            Ok(target) => Decision::Redirect(Redirect { rule: name, status, probe: None, target }),
            Err(_) => Decision::NotMappable { rule: name },
        }
    }

    /// With the key pair that it refers to.
    pub(super) fn resolved(
        mut self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, UnresolvedCredentials> {
        if let Action::Presign { s3, status, expires } = self.action {
            let s3 = Box::new(s3.resolved(self.pattern.as_str(), environment)?);
            self.action = Action::Presign { s3, status, expires };
        }
        Ok(self)
    }
}

impl TryFrom<RawRule> for Rule {
    type Error = InvalidRule;

    fn try_from(raw: RawRule) -> Result<Self, InvalidRule> {
        if raw.r#match.is_empty() {
            return Err(raw.refuse("`match` is empty: write a pattern over keys, such as \"pub/**\""));
        }
        let pattern = Pattern::parse(&raw.r#match)?;
        raw.check_what_is_not_supported()?;
        let methods = raw.methods.clone().unwrap_or_else(|| vec![ReadMethod::Get, ReadMethod::Head]);
        if methods.is_empty() {
            return Err(raw.refuse("`methods` is empty: leave it out for GET and HEAD"));
        }
        let action = raw.action()?;
        Ok(Self { pattern, methods, action })
    }
}

impl RawRule {
    fn refuse(&self, problem: impl Into<String>) -> InvalidRule {
        InvalidRule::Setting { pattern: self.r#match.clone(), problem: problem.into() }
    }

    fn check_what_is_not_supported(&self) -> Result<(), InvalidRule> {
        let later = |what: &str| Err(self.refuse(format!("{what} is not supported yet")));
        match self.list.as_deref() {
            None | Some("local") => {}
            Some("merge") => return later("list = \"merge\""),
            Some(other) => return Err(self.refuse(format!("list = {other:?}: write \"local\""))),
        }
        if self.probe == Some(true) {
            return later("probe = true");
        }
        if self.gcs.is_some() {
            return later("`gcs`");
        }
        match self.mode.as_str() {
            "auto" | "proxy" | "cache" => later(&format!("mode = {:?}", self.mode)),
            _ => Ok(()),
        }
    }

    fn action(&self) -> Result<Action, InvalidRule> {
        if self.to.is_some() && self.s3.is_some() {
            return Err(self.refuse("it has both `to` and `s3`: keep one"));
        }
        let status = self.status()?;
        match self.mode.as_str() {
            "redirect" => {
                let Some(to) = &self.to else {
                    return Err(self.refuse("mode = \"redirect\" needs `to`, an address prefix"));
                };
                let to = UrlPrefix::parse(to).map_err(|source| self.refuse_upstream(source))?;
                Ok(Action::Redirect { to, status })
            }
            "presign" => {
                let Some(s3) = &self.s3 else {
                    return Err(self.refuse(
                        "mode = \"presign\" needs `s3`, such as s3 = { bucket = \"...\", region = \"...\", credentials = \"...\" }",
                    ));
                };
                Ok(Action::Presign { s3: Box::new(s3.clone()), status, expires: self.expires()? })
            }
            "deny" => Ok(Action::Deny),
            other => {
                Err(self.refuse(format!("mode = {other:?}: write \"redirect\", \"presign\" or \"deny\"")))
            }
        }
    }

    fn refuse_upstream(&self, source: InvalidUpstream) -> InvalidRule {
        InvalidRule::Upstream { pattern: self.r#match.clone(), source }
    }

    fn status(&self) -> Result<RedirectStatus, InvalidRule> {
        match self.status {
            None | Some(302) => Ok(RedirectStatus::Found),
            Some(307) => Ok(RedirectStatus::TemporaryRedirect),
            Some(other) => Err(self.refuse(format!("status = {other}: write 302 or 307"))),
        }
    }

    fn expires(&self) -> Result<Duration, InvalidRule> {
        let Some(text) = &self.expires else { return Ok(EXPIRES_DEFAULT) };
        let expires =
            text.parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
        match expires {
            Some(expires) if (Duration::from_secs(1)..=EXPIRES_MAX).contains(&expires) => Ok(expires),
            _ => {
                Err(self.refuse(format!("expires = {text:?}: write 1s to 7 days, such as \"15m\" or \"1h\"")))
            }
        }
    }
}

impl From<Rule> for RawRule {
    /// As it is in force: with every default spelt out.
    fn from(rule: Rule) -> Self {
        let mut raw = Self {
            r#match: rule.pattern.as_str().to_owned(),
            mode: "deny".to_owned(),
            methods: Some(rule.methods),
            to: None,
            s3: None,
            gcs: None,
            status: None,
            expires: None,
            list: None,
            probe: None,
        };
        match rule.action {
            Action::Deny => {}
            Action::Redirect { to, status } => {
                "redirect".clone_into(&mut raw.mode);
                raw.to = Some(to.to_string());
                raw.status = Some(status.as_u16());
            }
            Action::Presign { s3, status, expires } => {
                "presign".clone_into(&mut raw.mode);
                raw.s3 = Some(*s3);
                raw.status = Some(status.as_u16());
                raw.expires = Some(format!("{}s", expires.as_secs()));
            }
        }
        raw
    }
}
