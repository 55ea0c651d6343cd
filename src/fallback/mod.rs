//! What to do with a read of a key that is not here: the rules of `[[bucket.fallback]]` and the
//! release under test, as pure values.
//!
//! `Fallback::decide` takes a bucket, a key and a method and returns a `Decision`; nothing here
//! opens a socket, reads a file, asks the time or knows the store. Local objects and tombstones
//! come first and are the caller's. Every address in a decision comes from configuration: a
//! request chooses only the key, which is percent-encoded below the configured prefix.

mod glob;
pub mod layout;
mod listed;
mod own;
mod place;
mod preset;
mod release;
mod rule;
mod said;
#[cfg(test)]
mod tests;
mod upstream;
mod version;
mod written;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use own::{Asker, OwnNames, Reached};
pub use place::{Place, Port, Upstream};
pub use preset::MOZILLA;
pub use release::{InvalidReleaseId, ReleaseConfig, ReleaseId};
pub use rule::{Applies, InvalidRule, ListMode, Mode, Offline, ReadMethod, RedirectStatus, Rule};
pub use said::{NONE, Said};
pub use upstream::{InvalidUpstream, NotMappable, S3Upstream, UnresolvedCredentials, UrlPrefix};
pub use version::{InvalidVersion, Version};

use crate::model::{BucketName, ObjectKey, Timestamp};
use crate::sigv4::{Presign, PresignError, presign};

/// A key of a release, as production names them.
const A_RELEASE: &str = "pub/firefox/releases/999.0/SHA256SUMS";

/// The rules of every bucket, and the releases that no rule may reach for.
#[derive(Debug, Clone, Default)]
pub struct Fallback {
    rules: BTreeMap<BucketName, Vec<Rule>>,
    release: ReleaseConfig,
    own: OwnNames,
}

/// What becomes of a read of a key that is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<'a> {
    /// No rule covers the key: it does not exist.
    NoRule,
    /// The key belongs to a release under test, or to a newer one: it does not exist.
    UnderTest {
        /// The declared release that hides it.
        release: &'a ReleaseId,
    },
    /// The first rule that covers the key says that it does not exist.
    Deny {
        /// That rule.
        rule: RuleName<'a>,
    },
    /// A rule covers the key, but no address below its prefix can name it: it does not exist.
    ///
    /// User agents take `.` and `..` segments out of an address, so that a redirect for
    /// `pub/../../x` would leave the configured prefix.
    NotMappable {
        /// That rule.
        rule: RuleName<'a>,
    },
    /// The rule is for older releases only, and the key belongs to none.
    NotPrevious {
        /// That rule.
        rule: RuleName<'a>,
    },
    /// The answer is elsewhere.
    Redirect(Redirect<'a>),
    /// We fetch the answer.
    Fetch(Fetch<'a>),
}

/// An answer that we fetch for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch<'a> {
    /// The rule that decided.
    pub rule: RuleName<'a>,
    /// Where it is.
    pub upstream: &'a Arc<Upstream>,
    /// Whether what was fetched is kept: `cache`.
    pub keep: bool,
    /// Whether the rule redirects, but would lead this client back to the stage.
    pub leads_back: bool,
    /// What a writer is told while upstream does not answer.
    pub offline: Offline,
}

/// Who asks, as far as rules tell clients apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientKind {
    /// curl, browsers, update tasks, presigned links: they follow redirects.
    Plain,
    /// An SDK of S3 or GCS, signed or not: it does not.
    Sdk,
}

/// An upstream whose keys are merged into the listings of a bucket.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'a> {
    /// Where the keys are.
    pub upstream: &'a Arc<Upstream>,
    /// Whether it is asked; otherwise only an imported index speaks for it.
    pub live: bool,
}

/// Whether anything below a prefix of an upstream can be seen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    /// Every key below it is, unless it was deleted or overwritten here.
    Shown,
    /// None is.
    Hidden,
    /// Each key must be looked at.
    Mixed,
}

/// Names a rule in logs: its place among its bucket's rules, counted from 1, and its pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleName<'a> {
    /// Counted from 1.
    pub number: usize,
    /// As configured.
    pub pattern: &'a str,
}

/// Where a redirect leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect<'a> {
    /// The rule that decided.
    pub rule: RuleName<'a>,
    /// The status to answer with.
    pub status: RedirectStatus,
    /// Where the client is sent.
    pub upstream: &'a Arc<Upstream>,
    /// Whether upstream is asked first whether it has the key: `probe`.
    pub probe: Option<&'a Arc<Upstream>>,
    /// The address, to be signed or not.
    pub target: Target<'a>,
    /// What a writer is told while upstream, which is to be asked, does not answer.
    pub offline: Offline,
}

/// The address of a redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target<'a> {
    /// As it stands.
    Plain(String),
    /// To be signed for this upstream.
    Presigned {
        /// The bucket, and the key pair to sign with.
        upstream: &'a S3Upstream,
        /// What is asked for.
        key: &'a ObjectKey,
        /// How it is asked for.
        method: ReadMethod,
        /// How long the link holds.
        expires: std::time::Duration,
    },
}

/// Why rules that are fine one by one were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFallback {
    /// A rule refers to credentials that are not there.
    #[error(transparent)]
    Credentials(#[from] UnresolvedCredentials),
    /// A rule is for releases that are older than none.
    #[error(
        "the fallback rule for {pattern:?} of the bucket {bucket} has previous_only = true, but no release is under test to be older than: set release.under_test (UNDERSTUDY_UNDER_TEST), such as [\"firefox-83.0b3-build1\"]"
    )]
    NothingUnderTest {
        /// Whose.
        bucket: BucketName,
        /// The rule's.
        pattern: String,
    },
}

/// Why a redirect has no signed address.
#[derive(Debug, thiserror::Error)]
pub enum PresignFailed {
    /// The rule's key pair was never fetched: it did not come through `Fallback::new`.
    #[error("the rule only refers to a key pair")]
    KeyPair,
    /// The parts do not make a link.
    #[error("the address upstream cannot be signed")]
    Sign(#[from] PresignError),
}

impl Fallback {
    /// Puts the rules of all buckets together.
    ///
    /// `environment` looks up the variables that `credentials = "NAME"` refers to.
    pub fn new(
        buckets: impl IntoIterator<Item = (BucketName, Vec<Rule>)>,
        release: ReleaseConfig,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidFallback> {
        Self::of_rules(buckets, environment)?.with_release(release)
    }

    /// The same where the release under test is not known yet: [`Fallback::with_release`] comes before
    /// the first decision.
    pub fn of_rules(
        buckets: impl IntoIterator<Item = (BucketName, Vec<Rule>)>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidFallback> {
        let mut shared = Vec::new();
        let mut resolved = BTreeMap::new();
        for (bucket, rules) in buckets {
            let rules = rules.into_iter().map(|rule| rule.resolved(&environment, &mut shared));
            let rules = rules.collect::<Result<Vec<_>, _>>()?;
            resolved.insert(bucket, rules);
        }
        Ok(Self { rules: resolved, release: ReleaseConfig::default(), own: OwnNames::default() })
    }

    /// The same rules with these releases under test.
    pub fn with_release(self, release: ReleaseConfig) -> Result<Self, InvalidFallback> {
        if release.under_test.is_empty() {
            let first = |(bucket, rules): (&BucketName, &Vec<Rule>)| {
                let rule = rules.iter().find(|rule| rule.previous_only())?;
                Some((bucket.clone(), rule.pattern().to_owned()))
            };
            if let Some((bucket, pattern)) = self.rules.iter().find_map(first) {
                return Err(InvalidFallback::NothingUnderTest { bucket, pattern });
            }
        }
        Ok(Self { release, ..self })
    }

    /// Whether nothing is under test although production has releases for clients of this stage: a
    /// rehearsal can pass because production has the file already.
    ///
    /// # Panics
    /// Never: the key is a constant that has the form of one.
    pub fn shows_every_release(&self) -> bool {
        let release = ObjectKey::parse(A_RELEASE).expect("it has the form of one");
        let reads = |bucket| {
            [ClientKind::Plain, ClientKind::Sdk].into_iter().any(|client| {
                let decision = self.decide(bucket, &release, ReadMethod::Get, client);
                matches!(decision, Decision::Redirect(_) | Decision::Fetch(_))
            })
        };
        self.release.under_test.is_empty() && self.rules.keys().any(reads)
    }

    /// The same for a stage of these names, to which no redirect leads back.
    #[must_use]
    pub fn of_stage(self, own: OwnNames) -> Self {
        Self { own, ..self }
    }

    /// Decides what becomes of a read of `key`, which is not here and has no tombstone.
    ///
    /// A redirect that would come back is no answer: what it leads to is fetched instead.
    pub fn decide<'a, 'r>(
        &'a self,
        bucket: &BucketName,
        key: &'a ObjectKey,
        method: ReadMethod,
        asker: impl Into<Asker<'r>>,
    ) -> Decision<'a> {
        let Asker { client, reached } = asker.into();
        if self.rules(bucket).is_empty() {
            return Decision::NoRule;
        }
        if let Some(release) = self.release.hides(key.as_str()) {
            return Decision::UnderTest { release };
        }
        let applies = |rule: &Rule| rule.applies(key.as_str(), method, client) == Applies::Yes;
        let decision = match self.named_rules(bucket).find(|(_, rule)| applies(rule)) {
            None => Decision::NoRule,
            Some((name, rule)) => {
                rule.decide(name, key, (method, client), || self.release.is_previous(key.as_str()))
            }
        };
        if let Decision::Redirect(Redirect { rule, upstream, offline, .. }) = decision
            && self.own.lead_back(upstream, reached)
        {
            return Decision::Fetch(Fetch { rule, upstream, keep: false, leads_back: true, offline });
        }
        decision
    }

    /// The rules of a bucket with their names, in the order in which they are asked.
    pub fn named_rules(&self, bucket: &BucketName) -> impl Iterator<Item = (RuleName<'_>, &Rule)> {
        let named = |(index, rule): (usize, _)| {
            let rule: &Rule = rule;
            (RuleName { number: index + 1, pattern: rule.pattern() }, rule)
        };
        self.rules(bucket).iter().enumerate().map(named)
    }

    /// The releases under test.
    pub fn release(&self) -> &ReleaseConfig {
        &self.release
    }

    /// The buckets that have a configuration, by name.
    pub fn buckets(&self) -> impl Iterator<Item = &BucketName> {
        self.rules.keys()
    }

    fn rules(&self, bucket: &BucketName) -> &[Rule] {
        self.rules.get(bucket).map_or(&[], Vec::as_slice)
    }
}

impl Redirect<'_> {
    /// The value of `Location`, signed as of `now` where the rule says so. It is visible ASCII.
    pub fn location(&self, now: Timestamp) -> Result<String, PresignFailed> {
        let (upstream, key, method, expires) = match &self.target {
            Target::Plain(url) => return Ok(url.clone()),
            Target::Presigned { upstream, key, method, expires } => (upstream, key, method, *expires),
        };
        let (access_key_id, secret_key) = upstream.key_pair().ok_or(PresignFailed::KeyPair)?;
        let wanted = Presign {
            method: match method {
                ReadMethod::Get => &http::Method::GET,
                ReadMethod::Head => &http::Method::HEAD,
            },
            endpoint: upstream.endpoint().as_str(),
            region: upstream.region(),
            access_key_id,
            secret_key,
            bucket: upstream.bucket(),
            key,
            query: &[],
            headers: &[],
            expires,
        };
        Ok(presign(&wanted, now)?)
    }
}

impl std::fmt::Display for RuleName<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "#{} {}", self.number, self.pattern)
    }
}
