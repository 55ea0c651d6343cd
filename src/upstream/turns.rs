//! Turns: how many requests to one upstream may be under way at a time. Heads, listings and bodies
//! are counted apart: bodies take as long as they like, and must not keep the others waiting.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::Config;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// The head of a key: HEAD.
    Head,
    /// A page of a listing, or a directory index.
    List,
    /// A key with its bytes: GET.
    Body,
}

impl Question {
    /// The setting in `[upstream]` that says how many there may be.
    pub(super) fn setting(self) -> &'static str {
        match self {
            Self::Head => "head_connections",
            Self::List => "list_connections",
            Self::Body => "connections",
        }
    }

    /// Whether all of the answer must come within the time of the request, and not only its head.
    pub(super) fn is_short(self) -> bool {
        match self {
            Self::Head | Self::List => true,
            Self::Body => false,
        }
    }
}

/// The turns of one upstream.
#[derive(Debug)]
pub(super) struct Turns {
    heads: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
}

impl Turns {
    /// As many as are configured, and at least one of each.
    pub(super) fn new(config: &Config) -> Self {
        let turns = |most: usize| Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            heads: turns(config.head_connections_max),
            lists: turns(config.list_connections_max),
            bodies: turns(config.connections_max),
        }
    }

    /// Waits for a turn until then. It lasts as long as the permit is held: from before the request is
    /// sent until its body ends.
    pub(super) async fn wait(&self, question: Question, until: Instant) -> Option<OwnedSemaphorePermit> {
        let turns = match question {
            Question::Head => &self.heads,
            Question::List => &self.lists,
            Question::Body => &self.bodies,
        };
        timeout_at(until, Arc::clone(turns).acquire_owned()).await.ok()?.ok()
    }
}
