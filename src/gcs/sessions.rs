//! Upload sessions: what was said when one was begun, and whose turn it is.
//!
//! The turn belongs to the last request that brings a chunk. A client whose connection broke comes back while the server may still be storing what the broken
//! one brought. Both may not add to the session, or it would hold the same bytes twice.
//!
//! Deliberately elsewhere: the session itself, which is a row of the store and outlives this
//! process; what has come so far are its parts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::MutexGuard;

use super::metadata::Expected;
use crate::model::{UploadId, WriteConditions};
use crate::protocol::auth::Identity;

/// What was said when an upload was begun and is needed at its end. It is kept as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Session {
    if_generation_match: Option<u64>,
    if_generation_not_match: Option<u64>,
    if_metageneration_match: Option<u64>,
    if_metageneration_not_match: Option<u64>,
    /// What the bytes must be.
    pub(super) expected: Expected,
    /// How many bytes there must be.
    pub(super) size_bytes: Option<u64>,
    /// The key of the account that began it; `None` where that was nobody.
    pub(super) key_id: Option<String>,
}

impl Session {
    /// What is kept of a request that begins an upload.
    pub(super) fn new(conditions: &WriteConditions, expected: Expected, size_bytes: Option<u64>) -> Self {
        Self {
            key_id: None,
            if_generation_match: conditions.if_generation_match,
            if_generation_not_match: conditions.if_generation_not_match,
            if_metageneration_match: conditions.if_metageneration_match,
            if_metageneration_not_match: conditions.if_metageneration_not_match,
            expected,
            size_bytes,
        }
    }

    /// The same, begun by somebody.
    pub(super) fn begun_by(self, identity: &Identity) -> Self {
        Self { key_id: identity.access_key_id().map(ToString::to_string), ..self }
    }

    /// What must hold of the object that is replaced.
    pub(super) fn conditions(&self) -> WriteConditions {
        WriteConditions {
            if_generation_match: self.if_generation_match,
            if_generation_not_match: self.if_generation_not_match,
            if_metageneration_match: self.if_metageneration_match,
            if_metageneration_not_match: self.if_metageneration_not_match,
            ..WriteConditions::default()
        }
    }

    /// As the store keeps it.
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("numbers and bytes are JSON")
    }

    /// Reads what the store kept; `None` if that was no session of this face.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// The sessions that somebody is working on.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<UploadId, Arc<Work>>>);

#[derive(Debug, Default)]
struct Work {
    turns: AtomicU64,
    gate: tokio::sync::Mutex<()>,
}

/// One request's part in a session.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    work: Arc<Work>,
    number: u64,
}

impl Sessions {
    /// Takes the turn: chunks of earlier requests that are not stored yet never will be.
    pub(super) fn take(&self, id: &UploadId) -> Turn {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those whose last request is done are known by nobody else.
        sessions.retain(|_, work| Arc::strong_count(work) > 1);
        let work = Arc::clone(sessions.entry(id.clone()).or_default());
        let number = work.turns.fetch_add(1, Ordering::SeqCst) + 1;
        Turn { work, number }
    }
}

impl Turn {
    /// Waits until nobody else changes the session; `None` if a later request has the turn. The
    /// session stays as it is while the answer lives.
    pub(super) async fn enter(&self) -> Option<MutexGuard<'_, ()>> {
        let guard = self.work.gate.lock().await;
        (self.work.turns.load(Ordering::SeqCst) == self.number).then_some(guard)
    }
}

#[cfg(test)]
mod tests {
    use super::{Session, Sessions};
    use crate::gcs::metadata::Expected;
    use crate::model::{UploadId, WriteConditions};

    #[test]
    fn what_was_said_reads_back() {
        let conditions = WriteConditions { if_generation_match: Some(0), ..WriteConditions::default() };
        let expected = Expected { crc32c: Some(7), md5: Some([1; 16]) };
        let session = Session::new(&conditions, expected, Some(1 << 40));
        let read = Session::parse(&session.to_text()).expect("a session");
        assert_eq!(read, session);
        assert_eq!(read.conditions(), conditions);
        assert_eq!(Session::parse(""), None);
    }

    #[tokio::test]
    async fn the_last_request_has_the_turn() {
        let sessions = Sessions::default();
        let id = UploadId::parse("a").expect("an id");
        let other = UploadId::parse("b").expect("an id");
        let first = sessions.take(&id);
        assert!(first.enter().await.is_some());
        let second = sessions.take(&id);
        let elsewhere = sessions.take(&other);
        assert!(first.enter().await.is_none());
        assert!(second.enter().await.is_some());
        assert!(elsewhere.enter().await.is_some());
        drop((first, second, elsewhere));
        sessions.take(&other);
        let known = sessions.0.lock().expect("no panic").len();
        assert_eq!(known, 1, "sessions that nobody works on are forgotten");
    }
}
