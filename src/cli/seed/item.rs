//! One object that is to be copied, and its bytes.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::kind;
use super::plan::Known;
use crate::cli::failure::{Failure, chain};
use crate::fallback::{ReadMethod, Upstream};
use crate::model::{Metadata, ObjectKey, SystemHeader};
use crate::upstream::{Body, Client, Hops, Read};

/// How much of a file is read at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// An object that is to be copied.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Its key here.
    pub(super) key: ObjectKey,
    /// What people know it by.
    pub(super) name: String,
    /// What is known of it.
    pub(super) known: Known,
    /// Where its bytes are.
    pub(super) from: From,
}

/// Where the bytes of an item are. They can be read more than once.
#[derive(Debug, Clone)]
pub(super) enum From {
    /// In a file of their own.
    Path(PathBuf),
    /// In a temporary file.
    Spooled(Arc<File>),
    /// In memory.
    Memory(Bytes),
    /// In production.
    Upstream(Client, Arc<Upstream>, ObjectKey),
}

/// The bytes of an item, as they come.
pub(super) struct Bytestream {
    data: Data,
    /// What was read and is not asked for yet.
    rest: Bytes,
}

enum Data {
    File(Arc<File>, u64 /* position */),
    Upstream(Body),
    End,
}

/// An item, opened.
pub(super) struct Opened {
    /// Its bytes.
    pub(super) stream: Bytestream,
    /// What is known of it now.
    pub(super) known: Known,
    /// What it is stored with.
    pub(super) metadata: Metadata,
}

impl Item {
    /// Opens the bytes from their beginning.
    pub(super) async fn open(&self) -> Result<Opened, Failure> {
        let data = match &self.from {
            From::Path(path) => {
                let file = File::open(path).map_err(|error| Failure::Refused(error.to_string()))?;
                Data::File(Arc::new(file), 0)
            }
            From::Spooled(file) => Data::File(Arc::clone(file), 0),
            From::Memory(bytes) => {
                let stream = Bytestream { data: Data::End, rest: bytes.clone() };
                return Ok(self.opened(stream));
            }
            From::Upstream(client, upstream, there) => return self.fetch(client, upstream, there).await,
        };
        Ok(self.opened(Bytestream { data, rest: Bytes::new() }))
    }

    fn opened(&self, stream: Bytestream) -> Opened {
        let mut metadata = Metadata::default();
        // Media types of a table of ours are headers.
        drop(metadata.set_system(SystemHeader::ContentType, &kind::of(self.key.as_str())));
        Opened { stream, known: self.known.clone(), metadata }
    }

    async fn fetch(
        &self,
        client: &Client,
        upstream: &Upstream,
        there: &ObjectKey,
    ) -> Result<Opened, Failure> {
        let (headers, hops) = (HeaderMap::new(), Hops::default());
        let read = Read { upstream, key: there, method: ReadMethod::Get, headers: &headers, hops: &hops };
        let answer = client.read(read).await?;
        let answer = answer.ok_or_else(|| Failure::Refused("it is no longer there".to_owned()))?;
        let remote = answer.remote;
        let known = Known {
            size_bytes: remote.size_bytes.unwrap_or(self.known.size_bytes),
            etag: Some(remote.etag),
            md5: remote.md5,
        };
        let stream = Bytestream { data: Data::Upstream(answer.body), rest: Bytes::new() };
        Ok(Opened { stream, known, metadata: remote.metadata })
    }
}

impl Bytestream {
    /// The next bytes, at most so many and at least one; `None` at the end.
    pub(super) async fn next(&mut self, bytes_max: u64) -> Result<Option<Bytes>, Failure> {
        while self.rest.is_empty() {
            match self.chunk().await? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(None),
            }
        }
        let length = usize::try_from(bytes_max).unwrap_or(usize::MAX).min(self.rest.len());
        Ok(Some(self.rest.split_to(length)))
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        match &mut self.data {
            Data::End => Ok(None),
            Data::File(file, position) => {
                let (open, at) = (Arc::clone(file), *position);
                let read = tokio::task::spawn_blocking(move || read_at(&open, at)).await;
                let read = read.map_err(|error| Failure::Refused(error.to_string()))?;
                let bytes = read.map_err(|error| Failure::Refused(format!("cannot be read: {error}")))?;
                *position += bytes.len() as u64;
                Ok((!bytes.is_empty()).then_some(bytes))
            }
            Data::Upstream(body) => {
                let chunk = std::future::poll_fn(|cx| body.poll_chunk(cx)).await;
                chunk.transpose().map_err(|error| Failure::Refused(chain(&error)))
            }
        }
    }
}

fn read_at(file: &File, position: u64) -> std::io::Result<Bytes> {
    let mut chunk = BytesMut::zeroed(CHUNK_BYTES);
    let length = file.read_at(&mut chunk, position)?;
    chunk.truncate(length);
    Ok(chunk.freeze())
}
