//! `…/inventory`: what is known of production by import.
//!
//! An import is JSON lines of any length, applied in batches while it streams in. A line that does not
//! read ends it, and then nothing is covered: a list that is not whole must not say what does not exist.
//! Nor must one whose first rows were dropped while it came: then it ends with 409.

use bytes::{Buf as _, BytesMut};
use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};

use super::api::{Cover, Inventory, Rows};
use super::refusal::Refusal;
use super::{response, row};
use crate::model::{BucketName, Timestamp};
use crate::protocol::body::RequestBody;
use crate::protocol::intake::Incoming;
use crate::protocol::request::Response;
use crate::sigv4::Payload;
use crate::store::{InventoryRow, Store};

/// Rows that are handed over at once.
const BATCH_ROWS: usize = 1000;
/// A key may have 1,024 bytes, each of which JSON may write in six.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Prefixes and the number of rows.
pub(super) fn get(store: &Store, bucket: &BucketName) -> Result<Response, Refusal> {
    let (covers, rows) = store.inventory_covers(bucket)?;
    let covers =
        covers.into_iter().map(|(prefix, taken)| Cover { prefix, taken: taken.iso().to_string() }).collect();
    Ok(response::json(StatusCode::OK, &Inventory { rows, covers }))
}

/// Forgets rows, covers and crawls below a prefix.
pub(super) async fn forget(store: &Store, bucket: &BucketName, prefix: String) -> Result<Response, Refusal> {
    let rows = store.drop_inventory(bucket, prefix).await?;
    Ok(response::json(StatusCode::OK, &Rows { rows }))
}

/// Takes rows in. With `cover`, they are all that there is below it: what was known there goes.
pub(super) async fn import(
    store: &Store,
    bucket: &BucketName,
    mut lines: Lines,
    cover: Option<String>,
    now: Timestamp,
) -> Result<Response, Refusal> {
    let mut rows = 0;
    let mut covering = None;
    loop {
        let (batch, ended) = lines.batch(cover.as_deref()).await?;
        if batch.is_empty() && rows == 0 && cover.is_some() {
            let told = "no row came: covered by nothing, all below the prefix would be hidden";
            return Err(Refusal::Malformed(told.to_owned()));
        }
        if let (0, Some(prefix)) = (rows, &cover) {
            covering = Some(store.begin_import(bucket, prefix.clone()).await?);
        }
        rows += batch.len() as u64;
        if !batch.is_empty() {
            match &mut covering {
                Some(import) => store.keep_import(import, batch).await?,
                None => store.add_inventory(bucket, batch).await?,
            }
        }
        if ended {
            break;
        }
    }
    if let Some(import) = covering {
        store.end_import(import, now).await?;
    }
    Ok(response::json(StatusCode::OK, &Rows { rows }))
}

/// The lines of a body.
pub(super) struct Lines {
    incoming: Option<Incoming>,
    /// What the signature promises of the bytes, and their digest so far.
    signed: Option<([u8; 32], Sha256)>,
    buffer: BytesMut,
    number: u64,
}

impl Lines {
    /// The lines of a request's body.
    pub(super) fn new(headers: &HeaderMap, payload: &Payload, body: RequestBody) -> Result<Self, Refusal> {
        let signed = match payload {
            Payload::Unsigned => None,
            Payload::Sha256(promised) => Some((*promised, Sha256::new())),
            Payload::Streaming(_) | Payload::StreamingUnsignedTrailer => {
                let told = "an import cannot be in signed chunks: sign its SHA-256 or UNSIGNED-PAYLOAD";
                return Err(Refusal::Malformed(told.to_owned()));
            }
        };
        let incoming = Some(Incoming::plain(headers, body));
        Ok(Self { incoming, signed, buffer: BytesMut::new(), number: 0 })
    }

    /// The next rows, and whether they are the last.
    async fn batch(&mut self, cover: Option<&str>) -> Result<(Vec<InventoryRow>, bool), Refusal> {
        let mut rows = Vec::new();
        while rows.len() < BATCH_ROWS {
            let Some(line) = self.line().await? else { return Ok((rows, true)) };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let number = self.number;
            let bad = |told: String| Refusal::Malformed(format!("line {number}: {told}. Nothing is covered"));
            let text = std::str::from_utf8(&line).map_err(|_| bad("it is not UTF-8".to_owned()))?;
            let row = row::parse(text).map_err(|error| bad(error.to_string()))?;
            if let Some(prefix) = cover.filter(|prefix| !row.key.as_str().starts_with(*prefix)) {
                return Err(bad(format!("the key {:?} is not below {prefix:?}", row.key.as_str())));
            }
            rows.push(row);
        }
        Ok((rows, false))
    }

    /// The next line without its end; the last one may have none.
    async fn line(&mut self) -> Result<Option<BytesMut>, Refusal> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                self.number += 1;
                return Ok(Some(line));
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                let number = self.number + 1;
                return Err(Refusal::Malformed(format!(
                    "line {number} is longer than {LINE_BYTES_MAX} bytes. Nothing is covered"
                )));
            }
            if !self.fill().await? {
                self.number += 1;
                return Ok((!self.buffer.is_empty()).then(|| self.buffer.split()));
            }
        }
    }

    /// Takes more of the body in; at its end the body must have been whole.
    async fn fill(&mut self) -> Result<bool, Refusal> {
        let Some(incoming) = &mut self.incoming else { return Ok(false) };
        if let Some(bytes) = incoming.next().await? {
            if let Some((_, digest)) = &mut self.signed {
                digest.update(&bytes);
            }
            self.buffer.extend_from_slice(&bytes);
            return Ok(true);
        }
        if let Some(incoming) = self.incoming.take() {
            incoming.finish()?;
        }
        let same = self.signed.take().is_none_or(|(promised, digest)| digest.finalize()[..] == promised);
        if same {
            Ok(false)
        } else {
            Err(Refusal::Malformed("the body is not the one that was signed. Nothing is covered".to_owned()))
        }
    }
}
