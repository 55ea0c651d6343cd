//! The bytes of a key on its way into the store, for one client.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::futures::OwnedNotified;
use tokio::task::JoinHandle;

use super::Error;
use super::flight::{Description, Flight, Next, Spooled};
use super::remote::{as_object, of_object};
use crate::model::{BucketName, ByteRange};
use crate::store::{self, Content, ContentReader, Object, Tail};
use crate::upstream::Remote;

/// The most that one reader has in its hands: there may be hundreds.
const CHUNK_BYTES: u64 = 64 << 10;

/// A key on its way into the store. Upstream's head is here, and the first bytes; the rest follows.
///
/// Objects that fill no buffer of the store, of some 100 KiB, are complete already, and so are those
/// whose size upstream does not tell.
#[derive(Debug)]
pub struct Flying {
    remote: Arc<Remote>,
    object: Arc<Object>,
    bytes: Source,
}

#[derive(Debug)]
enum Source {
    /// It flies, or has landed since.
    Flight(Arc<Flight>),
    /// It had landed before anybody looked.
    Store(Content),
}

impl Flying {
    /// Follows a flight.
    pub(super) fn along(flight: Arc<Flight>, bucket: &BucketName, description: Description) -> Self {
        let Description { remote, kept } = description;
        let object = kept.unwrap_or_else(|| Arc::new(as_object(bucket, &remote)));
        Self { remote, object, bytes: Source::Flight(flight) }
    }

    /// What was kept meanwhile.
    pub(super) fn landed(object: Object, content: Content) -> Self {
        Self { remote: Arc::new(of_object(&object)), object: Arc::new(object), bytes: Source::Store(content) }
    }

    /// What upstream says of it. Its size is known.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The object as the store would describe it, for conditions and headers.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Reads a range along. The last byte is held back until the whole was verified. What lies
    /// behind the end of the object is left out.
    pub fn reader(&self, range: ByteRange) -> FlightReader {
        let size = self.object.size_bytes;
        let range = ByteRange { start: range.start.min(size), end: range.end.min(size) };
        FlightReader {
            position: range.start,
            end: range.end,
            from: match &self.bytes {
                Source::Store(content) => From::Store(Box::new(content.reader(range))),
                Source::Flight(flight) => {
                    From::Flight(Follower { flight: Arc::clone(flight), waiting: None, reading: None })
                }
            },
        }
    }
}

/// Reads along.
#[derive(Debug)]
pub struct FlightReader {
    position: u64,
    end: u64,
    from: From,
}

#[derive(Debug)]
enum From {
    Store(Box<ContentReader>),
    Flight(Follower),
}

/// Reads the file of a flight behind its writer.
#[derive(Debug)]
struct Follower {
    flight: Arc<Flight>,
    /// For more, if all there is was read.
    waiting: Option<Pin<Box<OwnedNotified>>>,
    /// From the disk, if that has to be waited for.
    reading: Option<JoinHandle<Result<Bytes, store::Error>>>,
}

impl FlightReader {
    /// How many bytes are still to come.
    pub fn remaining(&self) -> u64 {
        self.end.saturating_sub(self.position)
    }

    /// The next bytes; `None` at the end. After an error there are none.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if self.remaining() == 0 {
            return Poll::Ready(None);
        }
        let chunk = match ready!(self.poll_some(cx)) {
            // The file is shorter than it was said to be.
            Ok(bytes) if bytes.is_empty() => Err(store::Error::Closed.into()),
            chunk => chunk,
        };
        match &chunk {
            Ok(bytes) => self.position += bytes.len() as u64,
            Err(_) => self.position = self.end,
        }
        Poll::Ready(Some(chunk))
    }

    /// The next bytes; `None` at the end. After an error there are none.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        match &mut self.from {
            From::Store(reader) => {
                let chunk = ready!(reader.poll_chunk(cx)).unwrap_or(Err(store::Error::Closed));
                Poll::Ready(chunk.map_err(Error::from))
            }
            From::Flight(follower) => {
                follower.poll_next(ByteRange { start: self.position, end: self.end }, cx)
            }
        }
    }
}

impl Follower {
    /// The next bytes of a range.
    fn poll_next(&mut self, wanted: ByteRange, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        if self.reading.is_some() {
            return self.poll_reading(cx);
        }
        loop {
            // Before the look, so that no change is missed.
            let changed = self.waiting.take();
            let mut changed = changed.unwrap_or_else(|| Box::pin(self.flight.changed()));
            let (bytes, range) = match self.flight.next(wanted) {
                Next::Wait if changed.as_mut().poll(cx).is_ready() => continue,
                Next::Wait => {
                    self.waiting = Some(changed);
                    return Poll::Pending;
                }
                Next::Failed(error) => return Poll::Ready(Err(error)),
                Next::Ready(bytes, range) => (bytes, range),
            };
            return match bytes {
                Spooled::Memory(bytes) => {
                    Poll::Ready(slice(&bytes, range).ok_or(store::Error::Closed.into()))
                }
                Spooled::File(tail) => self.poll_file(tail, range, cx),
            };
        }
    }

    fn poll_file(
        &mut self,
        tail: Tail,
        range: ByteRange,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Error>> {
        let length = usize::try_from(range.len().min(CHUNK_BYTES)).unwrap_or(usize::MAX);
        let mut read = Box::pin(async move { tail.read(range.start, length).await });
        // What is in the page cache is here at once, and needs no task.
        if let Poll::Ready(chunk) = read.as_mut().poll(cx) {
            return Poll::Ready(chunk.map_err(Error::from));
        }
        self.reading = Some(tokio::spawn(read));
        self.poll_reading(cx)
    }

    fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        let Some(task) = &mut self.reading else { return Poll::Pending };
        let done = ready!(Pin::new(task).poll(cx));
        self.reading = None;
        // The runtime drops tasks only while it shuts down.
        Poll::Ready(done.unwrap_or(Err(store::Error::Closed)).map_err(Error::from))
    }
}

/// At most one chunk of a range of bytes in memory.
fn slice(bytes: &Bytes, range: ByteRange) -> Option<Bytes> {
    let start = usize::try_from(range.start).ok()?;
    let end = usize::try_from(range.end.min(range.start + CHUNK_BYTES)).ok()?;
    (start < end && end <= bytes.len()).then(|| bytes.slice(start..end))
}
