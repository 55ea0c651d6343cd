//! What the server itself finds and lists through the rules, for nobody's request in particular.
//!
//! It reads as an SDK would, by GET; what no rule says anything about to SDKs, as a plain client
//! would. So a copy finds what its client could have read, and a listing shows what can be read.

use super::glob::Share;
use super::{
    Applies, Below, ClientKind, Decision, Fallback, Fetch, ListMode, Listing, Mode, ReadMethod, Rule,
    RuleName, Upstream,
};
use crate::model::{BucketName, ObjectKey};

impl Fallback {
    /// Whether a read of `key` could be answered from elsewhere, now or once no release hides it,
    /// so that deleting it has to leave a tombstone.
    pub fn covers(&self, bucket: &BucketName, key: &ObjectKey) -> bool {
        let first = |method, client| {
            let applies = |rule: &&Rule| rule.applies(key.as_str(), method, client) == Applies::Yes;
            self.rules(bucket).iter().find(applies)
        };
        READS
            .into_iter()
            .any(|(method, client)| first(method, client).is_some_and(|rule| rule.mode() != Mode::Deny))
    }

    /// Where a read by the server itself finds the key: for copies, conditions of writes and
    /// metadata. Redirecting rules count as well; `None` where `decide` would say that the key does
    /// not exist.
    pub fn source<'a>(&'a self, bucket: &BucketName, key: &'a ObjectKey) -> Option<Fetch<'a>> {
        let (name, rule) = self.reading(bucket).find(|(_, rule)| rule.pattern.matches(key.as_str()))?;
        let shown = self.share(rule, Scope::Key(key.as_str())) == Share::All;
        // A key that no address can name is not there.
        let fetch = rule.fetch(name, key).ok().flatten();
        fetch.filter(|_| shown)
    }

    /// The upstreams whose keys are merged into the listings of a bucket, each once. One that any
    /// rule merges is asked.
    pub fn listings(&self, bucket: &BucketName) -> Vec<Listing<'_>> {
        let mut listings: Vec<Listing<'_>> = Vec::new();
        for (_, rule) in self.reading(bucket) {
            let Some(upstream) = rule.upstream() else { continue };
            let live = match rule.list() {
                ListMode::Local => continue,
                ListMode::Index => false,
                ListMode::Merge => upstream.is_listable(),
            };
            match listings.iter_mut().find(|known| known.upstream == upstream) {
                Some(known) => known.live |= live,
                None => listings.push(Listing { upstream, live }),
            }
        }
        listings
    }

    /// Where the directory `folder`, which ends in `/`, is by this decision about it, and how much of
    /// what production has below it may be seen. `None` where a rule adds nothing to listings, and
    /// for a bucket, which is listed live.
    pub fn folder<'a>(
        &self,
        bucket: &BucketName,
        folder: &ObjectKey,
        decision: &Decision<'a>,
    ) -> Option<(&'a Upstream, Below)> {
        let (name, upstream) = match decision {
            Decision::Redirect(redirect) => (redirect.rule, redirect.upstream),
            Decision::Fetch(fetch) => (fetch.rule, fetch.upstream),
            Decision::NoRule
            | Decision::UnderTest { .. }
            | Decision::Deny { .. }
            | Decision::NotMappable { .. }
            | Decision::NotPrevious { .. } => return None,
        };
        let (_, rule) = self.named_rules(bucket).find(|(other, _)| other.number == name.number)?;
        if rule.list() != ListMode::Merge || upstream.is_listable() {
            return None;
        }
        let below = self.below(bucket, folder.as_str(), upstream);
        (below != Below::Hidden).then_some((upstream, below))
    }

    /// Whether a key that `upstream` lists is seen through it: the first rule that covers the key
    /// is about that upstream and merges listings, and no release hides the key.
    ///
    /// A key that no address can name is listed all the same, as S3 lists it.
    pub fn lists(&self, bucket: &BucketName, key: &str, upstream: &Upstream) -> bool {
        let first = self.reading(bucket).find(|(_, rule)| rule.pattern.matches(key));
        first
            .is_some_and(|(_, rule)| shows(rule, upstream) && self.share(rule, Scope::Key(key)) == Share::All)
    }

    /// The same for all keys that begin with `prefix`, without looking at them.
    ///
    /// Each key is decided by one of the rules that could match any, up to the first that matches
    /// all; where these agree, no key needs a look.
    pub fn below(&self, bucket: &BucketName, prefix: &str, upstream: &Upstream) -> Below {
        let mut found: Option<Below> = None;
        for (_, rule) in self.reading(bucket) {
            let covered = rule.pattern.over(prefix);
            if covered == Share::None {
                continue;
            }
            let by_rule = if shows(rule, upstream) {
                match self.share(rule, Scope::Below(prefix)) {
                    Share::All => Below::Shown,
                    Share::None => Below::Hidden,
                    Share::Some => Below::Mixed,
                }
            } else {
                Below::Hidden
            };
            let joined = agreed(found, by_rule);
            if covered == Share::All || joined == Below::Mixed {
                return joined;
            }
            found = Some(joined);
        }
        // What no rule matches is not seen.
        agreed(found, Below::Hidden)
    }

    /// The rules in the order in which the server itself asks them.
    fn reading<'a>(&'a self, bucket: &BucketName) -> impl Iterator<Item = (RuleName<'a>, &'a Rule)> {
        let of = |client| {
            self.named_rules(bucket).filter(move |(_, rule)| {
                rule.methods.contains(&ReadMethod::Get) && rule.clients.contains(&client)
            })
        };
        of(ClientKind::Sdk).chain(of(ClientKind::Plain))
    }

    /// How many of the keys the release under test lets this rule show.
    fn share(&self, rule: &Rule, scope: Scope<'_>) -> Share {
        let all = |all: bool| if all { Share::All } else { Share::None };
        match (scope, rule.previous_only()) {
            (Scope::Key(key), true) => all(self.release.is_previous(key)),
            (Scope::Key(key), false) => all(self.release.hides(key).is_none()),
            (Scope::Below(prefix), true) => self.release.previous_below(prefix),
            (Scope::Below(prefix), false) => match self.release.hides_below(prefix) {
                Share::All => Share::None,
                Share::None => Share::All,
                Share::Some => Share::Some,
            },
        }
    }
}

/// One key, or all that begin with a prefix.
#[derive(Debug, Clone, Copy)]
enum Scope<'a> {
    Key(&'a str),
    Below(&'a str),
}

const READS: [(ReadMethod, ClientKind); 4] = [
    (ReadMethod::Get, ClientKind::Sdk),
    (ReadMethod::Get, ClientKind::Plain),
    (ReadMethod::Head, ClientKind::Sdk),
    (ReadMethod::Head, ClientKind::Plain),
];

/// Whether a rule adds keys of this upstream to listings.
fn shows(rule: &Rule, upstream: &Upstream) -> bool {
    let same = |own: &Upstream| std::ptr::eq(own, upstream) || own == upstream;
    rule.list() != ListMode::Local && rule.upstream().is_some_and(|own| same(own))
}

/// What holds of all keys, if this holds of some and that of the rest.
fn agreed(some: Option<Below>, rest: Below) -> Below {
    if some.is_none_or(|some| some == rest) { rest } else { Below::Mixed }
}
