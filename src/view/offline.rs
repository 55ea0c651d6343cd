//! What somebody who is about to write a key is told while production does not answer.
//!
//! Clients ask whether a key is there before they upload it. A rehearsal must not stand still because
//! production does, so they are answered soon, and by rules with `offline = "absent"` with "no such
//! key": then the key is uploaded, which hides whatever production has there.

use super::{Error, View};
use crate::fallback::{Offline, Upstream};
use crate::model::ObjectKey;
use crate::upstream::{self, Answer, Hops, Read, Remote};

impl View {
    /// A HEAD for a writer.
    pub(super) async fn head_for_writer(
        &self,
        (upstream, offline): (&Upstream, Offline),
        key: &ObjectKey,
        hops: &Hops,
    ) -> Result<Option<Remote>, Error> {
        if self.is_known_to_be_offline(upstream, offline, key) {
            return Ok(None);
        }
        let found = self.0.upstream.head_briefly(upstream, key, hops).await;
        self.or_absent(found, (upstream, offline), key)
    }

    /// A read for a writer, who wants the head alone.
    pub(super) async fn read_for_writer(
        &self,
        read: Read<'_>,
        offline: Offline,
    ) -> Result<Option<Answer>, Error> {
        let Read { upstream, key, .. } = read;
        if self.is_known_to_be_offline(upstream, offline, key) {
            return Ok(None);
        }
        let found = self.0.upstream.read_briefly(read).await;
        self.or_absent(found, (upstream, offline), key)
    }

    /// Whether upstream need not be asked to know that it does not answer.
    fn is_known_to_be_offline(&self, upstream: &Upstream, offline: Offline, key: &ObjectKey) -> bool {
        let is_known = offline == Offline::Absent && self.0.upstream.is_in_trouble(upstream);
        if is_known {
            tracing::warn!(
                upstream = upstream.name(),
                key = key.as_str(),
                "upstream is in trouble: a writer is told that it has no such key"
            );
        }
        is_known
    }

    fn or_absent<T>(
        &self,
        found: Result<Option<T>, upstream::Error>,
        (upstream, offline): (&Upstream, Offline),
        key: &ObjectKey,
    ) -> Result<Option<T>, Error> {
        match found {
            Err(error) if is_silence(&error) && self.is_known_to_be_offline(upstream, offline, key) => {
                tracing::debug!(%error, "why it is in trouble");
                Ok(None)
            }
            found => Ok(found?),
        }
    }
}

/// Whether an error says that upstream gave no answer, rather than one that is wrong.
fn is_silence(error: &upstream::Error) -> bool {
    match error {
        upstream::Error::TimedOut { .. }
        | upstream::Error::Busy { .. }
        | upstream::Error::Bad { .. }
        | upstream::Error::Down { .. } => true,
        upstream::Error::Loop { .. } | upstream::Error::NotMappable(_) => false,
    }
}
