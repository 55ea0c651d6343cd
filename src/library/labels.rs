//! The labels that everything of the library bears.

use std::collections::BTreeMap;

use super::name::StageName;

/// Labels and their values.
pub type Labels = BTreeMap<String, String>;

/// Which stage a thing belongs to; whatever bears it is the library's.
pub(super) const STAGE: &str = "org.mozilla.understudy.stage";
/// What it is for the stage.
pub(super) const ROLE: &str = "org.mozilla.understudy.role";
/// The lease, on the store's container and on the volume.
pub(super) const LEASE: &str = "org.mozilla.understudy.lease";
/// What may change of a lease, on a card.
pub(super) const CARD: &str = "org.mozilla.understudy.card";
/// A number that no two checkouts share: whose the thing is.
pub(super) const CHECKOUT: &str = "org.mozilla.understudy.checkout";
/// The process that made it.
pub(super) const MAKER: &str = "org.mozilla.understudy.maker";
/// Which companion a container is.
pub(super) const COMPANION: &str = "org.mozilla.understudy.companion";

/// Which of the companions starts as which, counted from 1.
pub(super) const ORDER: &str = "org.mozilla.understudy.order";

/// What a thing is for a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The container that serves, its volume or the network.
    Store,
    /// A container beside it.
    Companion,
    /// A container that works for a checkout and then goes.
    Helper,
    /// A volume that says what may change of a lease.
    Card,
}

impl Role {
    /// As a label says it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Companion => "companion",
            Self::Helper => "helper",
            Self::Card => "card",
        }
    }

    /// What the labels say.
    pub(super) fn find(labels: &Labels) -> Option<Self> {
        let known = [Self::Store, Self::Companion, Self::Helper, Self::Card];
        known.into_iter().find(|role| labels.get(ROLE).is_some_and(|text| text == role.as_str()))
    }
}

/// The labels that everything bears.
pub(super) fn of(name: &StageName, role: Role, checkout: &str, maker: &str) -> Labels {
    [(STAGE, name.as_str()), (ROLE, role.as_str()), (CHECKOUT, checkout), (MAKER, maker)]
        .into_iter()
        .map(|(label, value)| (label.to_owned(), value.to_owned()))
        .collect()
}
