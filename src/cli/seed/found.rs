//! What a source finds, on its way to those who copy it.

use std::fmt::Display;

use tokio::sync::mpsc::Sender;

use super::item::Item;
use crate::model::ObjectKey;

/// Something that a source has found.
pub(super) enum Found {
    /// An object to copy.
    Item(Box<Item>),
    /// What cannot be copied, by its name, and why.
    Failed(String, String),
}

/// Where a source tells what it finds. It waits while nobody has time for more.
#[derive(Clone)]
pub(super) struct Finder {
    sender: Sender<Found>,
    prefix: String,
}

impl Finder {
    /// Tells whoever has the other end; keys begin with the prefix.
    pub(super) fn new(sender: Sender<Found>, prefix: String) -> Self {
        Self { sender, prefix }
    }

    /// The key of a name below the source; one that cannot be is told as failed.
    pub(super) fn key(&self, shown: impl Display, name: &str) -> Option<ObjectKey> {
        match ObjectKey::parse(&format!("{}{name}", self.prefix)) {
            Ok(key) => Some(key),
            Err(error) => {
                self.failed(shown, error);
                None
            }
        }
    }

    /// Tells of an object, from a thread that may wait; says whether anybody still listens.
    pub(super) fn found(&self, item: Item) -> bool {
        self.sender.blocking_send(Found::Item(Box::new(item))).is_ok()
    }

    /// Tells of what cannot be copied, from a thread that may wait.
    pub(super) fn failed(&self, shown: impl Display, why: impl Display) -> bool {
        self.sender.blocking_send(Found::Failed(shown.to_string(), why.to_string())).is_ok()
    }

    /// The same for a task.
    pub(super) async fn tell(&self, found: Found) -> bool {
        self.sender.send(found).await.is_ok()
    }

    /// The prefix of keys.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }
}
