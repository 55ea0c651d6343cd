//! Bytes of an upload on their way into the store.

use super::error::{Error, Reason};
use crate::protocol::intake::Incoming;
use crate::store::{Staged, Staging, Store};

/// Stages bytes and counts them against the limit of one request.
pub(super) struct Receiving {
    staging: Staging,
    size_bytes: u64,
    max_bytes: u64,
}

impl Receiving {
    /// Begins. What a client has announced as too much is refused before it is sent.
    pub(super) fn begin(store: &Store, size_hint: Option<u64>, max_bytes: u64) -> Result<Self, Error> {
        if size_hint.is_some_and(|size| size > max_bytes) {
            return Err(too_large(max_bytes));
        }
        Ok(Self { staging: store.stage(&[], size_hint), size_bytes: 0, max_bytes })
    }

    /// Takes the next bytes.
    pub(super) async fn write(&mut self, bytes: bytes::Bytes) -> Result<(), Error> {
        self.size_bytes += bytes.len() as u64;
        if self.size_bytes > self.max_bytes {
            return Err(too_large(self.max_bytes));
        }
        Ok(self.staging.write(bytes).await?)
    }

    /// Waits for more of the body without holding much meanwhile.
    pub(super) async fn wait_for<T>(&mut self, next: impl Future<Output = T>) -> Result<T, Error> {
        Ok(self.staging.wait_for(next).await?)
    }

    /// How many bytes have come.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Ends.
    pub(super) async fn finish(self) -> Result<Staged, Error> {
        Ok(self.staging.finish().await?)
    }
}

fn too_large(max_bytes: u64) -> Error {
    Error::with_message(
        Reason::UploadTooLarge,
        format!("One request may bring at most {max_bytes} bytes here: upload in smaller chunks."),
    )
}

/// Stages a whole body.
pub(super) async fn whole(mut incoming: Incoming, store: &Store, max_bytes: u64) -> Result<Staged, Error> {
    let mut receiving = Receiving::begin(store, incoming.size_bytes(), max_bytes)?;
    while let Some(bytes) = receiving.wait_for(incoming.next()).await?? {
        receiving.write(bytes).await?;
    }
    incoming.finish()?;
    receiving.finish().await
}
