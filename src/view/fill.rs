//! The fetch of one flight: upstream's bytes into the store, verified before they are kept.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::Error;
use super::allowance::Allowance;
use super::flight::{Flight, Landed, Spooled};
use crate::fallback::{ReadMethod, Upstream};
use crate::model::{BucketName, ObjectKey};
use crate::store::{CacheObject, Staged, Store, Tail};
use crate::upstream::{self, Answer, Client, Hops, Read, Remote};

/// What a flight needs, its own for as long as it takes.
#[derive(Debug)]
pub(super) struct Fill {
    pub(super) store: Store,
    pub(super) client: Client,
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) upstream: Arc<Upstream>,
    pub(super) hops: Hops,
    pub(super) allowance: Allowance,
}

impl Fill {
    /// Fetches, verifies and keeps the object; `None` if upstream has no such key.
    pub(super) async fn run(&self, flight: &Flight) -> Result<Option<Landed>, Error> {
        let restores = self.store.restores();
        let headers = HeaderMap::new();
        let read = Read {
            upstream: &self.upstream,
            key: &self.key,
            method: ReadMethod::Get,
            headers: &headers,
            hops: &self.hops,
        };
        let Some(answer) = self.client.read(read).await? else { return Ok(None) };
        if answer.status != StatusCode::OK {
            // Nothing but the whole object was asked for, without conditions.
            let problem = format!("answered a plain GET with {}", answer.status.as_u16());
            return Err(upstream::Error::Bad { upstream: self.upstream.name(), problem }.into());
        }
        let remote = Arc::new(answer.remote.clone());
        flight.begin(Arc::clone(&remote));
        let is_framed = answer.body.is_framed();
        let (staged, bytes) = self.spool(answer, flight).await?;
        if let Some(problem) = mismatch(&remote, &staged) {
            return Err(self.corrupt(problem));
        }
        let size_bytes = Some(staged.size_bytes());
        let remote = match remote.size_bytes {
            Some(_) => remote,
            None => Arc::new(Remote { size_bytes, ..Remote::clone(&remote) }),
        };
        // Otherwise it may have been cut short, and would be so for ever.
        let is_certain = is_framed || remote.md5.is_some() || remote.crc32c.is_some();
        if !is_certain {
            return Ok(Some(Landed { remote, kept: None, is_certain, bytes }));
        }
        let kept = self.store.cache_object(CacheObject {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            staged,
            upstream: self.upstream.name(),
            etag: remote.etag.clone(),
            modified: remote.modified,
            metadata: remote.metadata.clone(),
            restores,
        });
        let kept = kept.await?.map(Arc::new);
        Ok(Some(Landed { remote, kept, is_certain, bytes }))
    }

    /// Takes the body in, and tells the flight how much of it can be read.
    async fn spool(&self, answer: Answer, flight: &Flight) -> Result<(Staged, Spooled), Error> {
        let size_bytes = answer.remote.size_bytes;
        let mut body = answer.body;
        let mut staging = self.store.stage(&[], size_bytes);
        let mut spooled = Following { few: Vec::new(), tail: None };
        let mut received: u64 = 0;
        let mut taken = self.allowance.begin();
        while let Some(bytes) = staging.wait_for(std::future::poll_fn(|cx| body.poll_chunk(cx))).await? {
            let bytes = bytes?;
            received += bytes.len() as u64;
            if let Some(size) = size_bytes.filter(|size| received > *size) {
                return Err(self.corrupt(format!("more than the {size} bytes that were announced")));
            }
            if size_bytes.is_none() {
                taken.more(bytes.len(), &self.store).map_err(|bytes| self.too_long(bytes))?;
            }
            spooled.take(&bytes);
            staging.write(bytes).await?;
            if let Some((tail, readable)) = staging.tail() {
                spooled.follow(&tail);
                flight.advance(tail, readable);
            }
        }
        let staged = staging.finish().await?;
        Ok((staged, spooled.end()))
    }

    /// Nobody has been given a byte of it: without a size nobody follows.
    fn too_long(&self, bytes: u64) -> Error {
        self.allowance.note_too_long(&self.bucket, &self.key);
        Error::TooLong { upstream: self.upstream.name(), key: self.key.clone(), bytes }
    }

    fn corrupt(&self, problem: String) -> Error {
        Error::Corrupt { upstream: self.upstream.name(), key: self.key.clone(), problem }
    }
}

/// The bytes for those who follow: in memory until there is a file.
struct Following {
    few: Vec<u8>,
    tail: Option<Tail>,
}

impl Following {
    fn take(&mut self, bytes: &Bytes) {
        if self.tail.is_none() {
            self.few.extend_from_slice(bytes);
        }
    }

    fn follow(&mut self, tail: &Tail) {
        if self.tail.is_none() {
            self.few = Vec::new();
            self.tail = Some(tail.clone());
        }
    }

    fn end(self) -> Spooled {
        match self.tail {
            Some(tail) => Spooled::File(tail),
            None => Spooled::Memory(Bytes::from(self.few)),
        }
    }
}

/// What of the bytes does not fit what the head has said of them.
fn mismatch(remote: &Remote, staged: &Staged) -> Option<String> {
    let (size, digests) = (staged.size_bytes(), staged.digests());
    if let Some(announced) = remote.size_bytes.filter(|announced| *announced != size) {
        return Some(format!("{size} of the {announced} bytes that were announced"));
    }
    if let Some(announced) = remote.md5.filter(|announced| *announced != digests.md5) {
        return Some(format!(
            "the MD5 {} where {} was announced",
            hex::encode(digests.md5),
            hex::encode(announced)
        ));
    }
    let computed = digests.crc32c();
    let announced = remote.crc32c.filter(|announced| *announced != computed)?;
    Some(format!("the CRC-32C {computed:08x} where {announced:08x} was announced"))
}
