//! A rule as it is written in the configuration, and as `config show` writes it.

use std::sync::Arc;
use std::time::Duration;

use super::glob::Pattern;
use super::place::{Place, Upstream, check_host};
use super::rule::{
    Action, Answer, InvalidRule, ListMode, Offline, ReadMethod, RedirectStatus, Rule, Sending, Way,
};
use super::upstream::{GcsUpstream, InvalidUpstream, S3Upstream, UrlPrefix};
use super::{ClientKind, Mode};

/// How long a presigned link holds unless the rule says otherwise.
const EXPIRES_DEFAULT: Duration = Duration::from_hours(1);

/// AWS: "the maximum validity for a presigned URL is seven days".
const EXPIRES_MAX: Duration = Duration::from_hours(7 * 24);

const MODES: &str = "\"auto\", \"redirect\", \"presign\", \"proxy\", \"cache\" or \"deny\"";

/// A rule as it is written.
#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    r#match: String,
    mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    methods: Option<Vec<ReadMethod>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clients: Option<Vec<ClientKind>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3: Option<S3Upstream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gcs: Option<GcsUpstream>,
}

impl TryFrom<RawRule> for Rule {
    type Error = InvalidRule;

    fn try_from(raw: RawRule) -> Result<Self, InvalidRule> {
        if raw.r#match.is_empty() {
            return Err(raw.refuse("`match` is empty: write a pattern over keys, such as \"pub/**\""));
        }
        let pattern = Pattern::parse(&raw.r#match)?;
        let methods = raw.methods.clone().unwrap_or_else(|| vec![ReadMethod::Get, ReadMethod::Head]);
        if methods.is_empty() {
            return Err(raw.refuse("`methods` is empty: leave it out for GET and HEAD"));
        }
        let clients = raw.clients.clone().unwrap_or_else(|| vec![ClientKind::Plain, ClientKind::Sdk]);
        if clients.is_empty() {
            return Err(raw.refuse("`clients` is empty: leave it out for \"plain\" and \"sdk\""));
        }
        Ok(Self { pattern, methods, clients, action: raw.action()? })
    }
}

impl RawRule {
    fn refuse(&self, problem: impl Into<String>) -> InvalidRule {
        InvalidRule::Setting { pattern: self.r#match.clone(), problem: problem.into() }
    }

    fn refuse_upstream(&self, source: InvalidUpstream) -> InvalidRule {
        InvalidRule::Upstream { pattern: self.r#match.clone(), source }
    }

    fn action(&self) -> Result<Action, InvalidRule> {
        let mode = self.mode()?;
        let list = self.list()?;
        let offline = self.offline()?;
        if mode == Mode::Deny {
            return self.deny();
        }
        let place = self.place()?;
        let signed = match place.bucket() {
            Some(bucket) => bucket.has_credentials() && matches!(mode, Mode::Auto | Mode::Presign),
            None => false,
        };
        if mode == Mode::Presign && !signed {
            return Err(self.refuse(
                "mode = \"presign\" needs `s3` or `gcs` with a key pair, such as s3 = { bucket = \"...\", region = \"...\", credentials = \"...\" }",
            ));
        }
        if !signed && self.expires.is_some() {
            return Err(self.refuse(
                "`expires` is about signed addresses, of mode = \"presign\" or \"auto\" over a bucket with a key pair: leave it out",
            ));
        }
        let expires = self.expires()?;
        let sending = Sending {
            status: self.status()?,
            probe: self.probe.unwrap_or(false),
            signed_for: signed.then_some(expires),
        };
        let way = match mode {
            Mode::Auto => Way::Auto(sending),
            Mode::Redirect => Way::Redirect(sending),
            Mode::Presign => Way::Presign(sending),
            Mode::Cache => Way::Cache,
            Mode::Proxy => Way::Proxy,
            Mode::Deny => return self.deny(),
        };
        if self.status.is_some() && matches!(way, Way::Proxy | Way::Cache) {
            return Err(self.refuse(format!(
                "`status` is about redirects, and mode = {:?} sends none: leave it out",
                self.mode
            )));
        }
        let upstream = Arc::new(Upstream::new(place, self.hosts()?));
        let previous_only = self.previous_only.unwrap_or(false);
        Ok(Action::Answer(Answer { upstream, way, list, previous_only, offline }))
    }

    fn deny(&self) -> Result<Action, InvalidRule> {
        if self.previous_only == Some(true) {
            return Err(self.refuse(
                "previous_only = true lets older releases through, which mode = \"deny\" does not: put it on the rule that answers",
            ));
        }
        Ok(Action::Deny)
    }

    fn mode(&self) -> Result<Mode, InvalidRule> {
        match self.mode.as_str() {
            "auto" => Ok(Mode::Auto),
            "redirect" => Ok(Mode::Redirect),
            "presign" => Ok(Mode::Presign),
            "proxy" => Ok(Mode::Proxy),
            "cache" => Ok(Mode::Cache),
            "deny" => Ok(Mode::Deny),
            other => Err(self.refuse(format!("mode = {other:?}: write {MODES}"))),
        }
    }

    fn list(&self) -> Result<ListMode, InvalidRule> {
        match self.list.as_deref() {
            None | Some("merge") => Ok(ListMode::Merge),
            Some("index") => Ok(ListMode::Index),
            Some("local") => Ok(ListMode::Local),
            Some(other) => {
                Err(self.refuse(format!("list = {other:?}: write \"merge\", \"index\" or \"local\"")))
            }
        }
    }

    fn offline(&self) -> Result<Offline, InvalidRule> {
        match self.offline.as_deref() {
            None | Some("error") => Ok(Offline::Error),
            Some("absent") => Ok(Offline::Absent),
            Some(other) => Err(self.refuse(format!("offline = {other:?}: write \"error\" or \"absent\""))),
        }
    }

    fn place(&self) -> Result<Place, InvalidRule> {
        match (&self.to, &self.s3, &self.gcs) {
            (Some(to), None, None) => {
                UrlPrefix::parse(to).map(Place::Url).map_err(|source| self.refuse_upstream(source))
            }
            (None, Some(bucket), None) => Ok(Place::S3(bucket.clone())),
            (None, None, Some(GcsUpstream(bucket))) => Ok(Place::Gcs(bucket.clone())),
            (None, None, None) if self.mode == "presign" => Err(self.refuse(
                "mode = \"presign\" needs `s3` or `gcs`, such as s3 = { bucket = \"...\", region = \"...\", credentials = \"...\" }",
            )),
            (None, None, None) => Err(self.refuse(format!(
                "mode = {:?} needs `to`, an address prefix such as \"https://archive.mozilla.org/\", or a bucket: `s3` or `gcs`",
                self.mode
            ))),
            (Some(_), Some(_), None) => Err(self.refuse("it has both `to` and `s3`: keep one")),
            (Some(_), None, Some(_)) => Err(self.refuse("it has both `to` and `gcs`: keep one")),
            (None, Some(_), Some(_)) => Err(self.refuse("it has both `s3` and `gcs`: keep one")),
            (Some(_), Some(_), Some(_)) => Err(self.refuse("it has `to`, `s3` and `gcs`: keep one")),
        }
    }

    fn hosts(&self) -> Result<Vec<String>, InvalidRule> {
        let hosts = self.hosts.clone().unwrap_or_default();
        hosts.iter().try_for_each(|host| check_host(host)).map_err(|source| self.refuse_upstream(source))?;
        Ok(hosts)
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
        let mode = match rule.mode() {
            Mode::Auto => "auto",
            Mode::Redirect => "redirect",
            Mode::Presign => "presign",
            Mode::Proxy => "proxy",
            Mode::Cache => "cache",
            Mode::Deny => "deny",
        };
        let mut raw = Self {
            r#match: rule.pattern.as_str().to_owned(),
            mode: mode.to_owned(),
            methods: Some(rule.methods),
            clients: Some(rule.clients),
            to: None,
            list: None,
            previous_only: None,
            offline: None,
            hosts: None,
            status: None,
            probe: None,
            expires: None,
            s3: None,
            gcs: None,
        };
        let Action::Answer(answer) = rule.action else { return raw };
        raw.list = Some(
            match answer.list {
                ListMode::Merge => "merge",
                ListMode::Index => "index",
                ListMode::Local => "local",
            }
            .to_owned(),
        );
        raw.previous_only = Some(answer.previous_only);
        raw.offline = Some(
            match answer.offline {
                Offline::Error => "error",
                Offline::Absent => "absent",
            }
            .to_owned(),
        );
        raw.hosts = Some(answer.upstream.hosts().to_vec());
        match answer.upstream.place().clone() {
            Place::Url(prefix) => raw.to = Some(prefix.to_string()),
            Place::S3(bucket) => raw.s3 = Some(bucket),
            Place::Gcs(bucket) => raw.gcs = Some(GcsUpstream(bucket)),
        }
        match answer.way {
            Way::Auto(sending) | Way::Redirect(sending) | Way::Presign(sending) => {
                raw.status = Some(sending.status.as_u16());
                raw.probe = Some(sending.probe);
                raw.expires = sending.signed_for.map(|expires| format!("{}s", expires.as_secs()));
            }
            Way::Proxy | Way::Cache => {}
        }
        raw
    }
}
