//! Bodies: what comes in, and what goes out.
//!
//! Deliberately elsewhere: decoding and checking what comes in (`intake`), reading blobs (`store`),
//! fetching (`upstream`, `view`).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

use super::outcome::Outcome;
use super::trouble::Trouble;
use crate::fallback::ReadMethod;
use crate::model::ByteRange;
use crate::store::{self, Content, ContentReader};
use crate::upstream;
use crate::view::{self, FlightReader};

/// The body of a request, as the connection delivers it.
pub type RequestBody = http_body_util::combinators::BoxBody<Bytes, BodyError>;

/// Why a request's body did not arrive whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection ended, or what it carried was not HTTP.
    #[error("the request's body ended before its time")]
    Interrupted(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The client sent nothing for too long.
    #[error("the request's body did not arrive within the time allowed")]
    TimedOut,
}

impl From<hyper::Error> for BodyError {
    fn from(error: hyper::Error) -> Self {
        Self::Interrupted(Box::new(error))
    }
}

impl From<Infallible> for BodyError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A number of bytes that grows while a body is received, and that others may look at.
#[derive(Debug, Clone, Default)]
pub struct ByteCount(Arc<AtomicU64>);

impl ByteCount {
    /// The number so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Takes a body from a connection, or from a test, and counts its bytes.
pub fn receive<B>(body: B, received: ByteCount) -> RequestBody
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Send + Sync + 'static,
{
    body.map_frame(move |frame| {
        received.add(frame.data_ref().map_or(0, Bytes::len));
        frame
    })
    .map_err(Into::into)
    .boxed()
}

/// The body of an answer.
///
/// A body whose bytes cannot be read ends with an error, on which the connection is closed: the
/// client sees that it is short, and not an object that is whole.
#[derive(Debug)]
pub struct ResponseBody {
    source: Source,
    outcome: Option<Box<Outcome>>,
}

/// Where the bytes of an answer come from.
#[derive(Debug)]
enum Source {
    Bytes(Bytes),
    Content(ContentReader),
    Upstream(Window),
    Flight(FlightReader),
}

/// What is sent of a body of production.
#[derive(Debug)]
struct Window {
    body: upstream::Body,
    /// How many bytes of it come before what is sent.
    skip: u64,
    /// How many bytes are still to be sent, if that is known.
    remaining: Option<u64>,
}

/// Why the bytes of an answer broke off.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// What is stored could not be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Production's body broke off, or was not what its head had said.
    #[error(transparent)]
    View(#[from] view::Error),
}

impl Window {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, view::Error>>> {
        while self.remaining != Some(0) {
            let mut bytes = match std::task::ready!(self.body.poll_chunk(cx)) {
                Some(Ok(bytes)) => bytes,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => {
                    self.remaining = Some(0);
                    break;
                }
            };
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            bytes::Buf::advance(&mut bytes, skipped);
            if let Some(remaining) = &mut self.remaining {
                bytes.truncate(usize::try_from(*remaining).unwrap_or(usize::MAX));
                *remaining -= bytes.len() as u64;
            }
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
        Poll::Ready(None)
    }
}

impl ResponseBody {
    /// No bytes, as for HEAD, 204 and 304. The length that a HEAD speaks of is a header.
    pub fn empty() -> Self {
        Self::bytes(Bytes::new())
    }

    /// These bytes: a document.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::of(Source::Bytes(bytes.into()))
    }

    /// Stored bytes, read while they are sent; none for a HEAD. What they need is looked for now, before
    /// a head goes out that promises them.
    pub fn content(content: &Content, range: ByteRange, method: ReadMethod) -> Result<Self, store::Error> {
        if method == ReadMethod::Head {
            return content.check(range).map(|()| Self::empty());
        }
        Ok(Self::of(Source::Content(content.open(range)?)))
    }

    /// Bytes of production as they come, all of them. If the body is dropped, so is the transfer.
    pub fn upstream(body: upstream::Body) -> Self {
        let remaining = body.remaining();
        Self::of(Source::Upstream(Window { body, skip: 0, remaining }))
    }

    /// Some of the bytes of production, where all of them come.
    pub fn upstream_part(body: upstream::Body, range: ByteRange) -> Self {
        Self::of(Source::Upstream(Window { body, skip: range.start, remaining: Some(range.len()) }))
    }

    /// Bytes that are being fetched into the store, read along.
    pub fn flight(reader: FlightReader) -> Self {
        Self::of(Source::Flight(reader))
    }

    fn of(source: Source) -> Self {
        Self { source, outcome: None }
    }

    /// How many bytes are still to be sent; `None` if production has not said it.
    pub fn remaining(&self) -> Option<u64> {
        match &self.source {
            Source::Bytes(bytes) => Some(bytes.len() as u64),
            Source::Content(reader) => Some(reader.remaining()),
            Source::Upstream(window) => window.remaining,
            Source::Flight(reader) => Some(reader.remaining()),
        }
    }

    /// Lets the event of the request follow the body to its end.
    pub(super) fn observed_by(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(Box::new(outcome));
        self
    }

    fn sent(&mut self, bytes: usize) {
        if let Some(outcome) = &mut self.outcome {
            outcome.sent(bytes as u64);
        }
    }

    /// Ends the event here: what was not sent will never be.
    fn fail(&mut self, error: &SendError) {
        let Some(mut outcome) = self.outcome.take() else { return };
        match error {
            SendError::Store(error) => outcome.fail(error),
            SendError::View(error) => Trouble::note(error, &mut outcome),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let bytes = match &mut self.source {
            Source::Bytes(bytes) => (!bytes.is_empty()).then(|| Ok(std::mem::take(bytes))),
            Source::Content(reader) => {
                std::task::ready!(reader.poll_chunk(context)).map(|chunk| chunk.map_err(SendError::from))
            }
            Source::Upstream(window) => {
                std::task::ready!(window.poll_chunk(context)).map(|chunk| chunk.map_err(SendError::from))
            }
            Source::Flight(reader) => {
                std::task::ready!(reader.poll_chunk(context)).map(|chunk| chunk.map_err(SendError::from))
            }
        };
        match &bytes {
            Some(Ok(bytes)) => self.sent(bytes.len()),
            Some(Err(error)) => self.fail(error),
            None => {}
        }
        Poll::Ready(bytes.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for ResponseBody {
    /// hyper drops a body once it has taken the last byte, or when the client is gone.
    fn drop(&mut self) {
        let whole = self.remaining() == Some(0);
        if let Some(outcome) = self.outcome.as_mut().filter(|_| whole) {
            outcome.finished();
        }
    }
}

#[cfg(test)]
pub(in crate::protocol) mod tests {
    use std::fs::OpenOptions;
    use std::path::{Path, PathBuf};

    use bytes::Bytes;
    use http_body::Body as _;
    use http_body_util::BodyExt as _;

    use super::{ResponseBody, store};
    use crate::fallback::ReadMethod;
    use crate::model::{BucketName, ByteRange, Metadata, ObjectKey, Owner, Tags, WriteConditions};
    use crate::store::{Content, Durability, Lookup, NewBucket, Options, PutObject, Store};

    /// A store that has one object of 300,000 bytes.
    pub(in crate::protocol) struct Fixture {
        store: Store,
        folder: tempfile::TempDir,
    }

    impl Fixture {
        const SIZE: usize = 300_000;

        pub(in crate::protocol) async fn new() -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let options = Options { durability: Durability::Ephemeral, ..Options::new(folder.path()) };
            let store = Store::open(options).expect("a new store opens");
            let (bucket, owner) = (bucket(), Owner::anonymous());
            let new =
                NewBucket { name: bucket.clone(), region: "us-east-1".to_owned(), owner: owner.clone() };
            store.create_bucket(new).await.expect("a new name");
            let mut staging = store.stage(&[], None);
            staging.write(Self::bytes()).await.expect("room for it");
            let put = PutObject {
                bucket,
                key: key(),
                staged: staging.finish().await.expect("room for it"),
                metadata: Metadata::default(),
                tags: Tags::default(),
                owner,
                checksum: None,
                conditions: WriteConditions::default(),
            };
            store.put_object(put).await.expect("nothing is in its way");
            Self { store, folder }
        }

        fn bytes() -> Bytes {
            (0..Self::SIZE).map(|at| u8::try_from(at % 251).expect("less than 256")).collect()
        }

        fn content(&self) -> Content {
            let found = self.store.find_object(&bucket(), &key(), None).expect("the index answers");
            let Lookup::Here(_, content) = found else { panic!("the object is not here: {found:?}") };
            content
        }

        /// A body of all bytes.
        pub(in crate::protocol) fn body(&self) -> ResponseBody {
            let content = self.content();
            ResponseBody::content(&content, ByteRange::whole(Self::SIZE as u64), ReadMethod::Get)
                .expect("whole")
        }

        /// Takes most bytes of the object away, as a broken disk would.
        pub(in crate::protocol) fn damage(&self) {
            let blobs = files(&self.folder.path().join("blobs"), Self::SIZE as u64);
            let [blob] = blobs.as_slice() else { panic!("one blob was written, not {blobs:?}") };
            let file = OpenOptions::new().write(true).open(blob).expect("the blob is there");
            file.set_len(1000).expect("it is cut");
        }
    }

    fn bucket() -> BucketName {
        BucketName::parse("releases").expect("a name")
    }

    fn key() -> ObjectKey {
        ObjectKey::parse("pub/a").expect("a key")
    }

    /// Every file with at least `size` bytes below `folder`.
    fn files(folder: &Path, size: u64) -> Vec<PathBuf> {
        let entries = folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry"));
        let below = entries.flat_map(|entry| match entry.metadata().expect("it is there") {
            kind if kind.is_dir() => files(&entry.path(), size),
            kind if kind.len() >= size => vec![entry.path()],
            _ => Vec::new(),
        });
        below.collect()
    }

    #[tokio::test]
    async fn stored_bytes_stream_and_know_their_length() {
        let fixture = Fixture::new().await;
        let size = Fixture::SIZE as u64;
        for range in
            [ByteRange::whole(size), ByteRange { start: 7, end: 270_000 }, ByteRange { start: 5, end: 5 }]
        {
            let body = ResponseBody::content(&fixture.content(), range, ReadMethod::Get).expect("whole");
            assert_eq!(body.size_hint().exact(), Some(range.len()));
            assert_eq!(body.is_end_stream(), range.is_empty());
            let bytes = body.collect().await.expect("the blob is whole").to_bytes();
            let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
            assert!(bytes == Fixture::bytes()[start.expect("small")..end.expect("small")], "{range:?}");
        }
    }

    #[tokio::test]
    async fn documents_are_one_frame() {
        let mut body = ResponseBody::bytes("<Document/>");
        assert_eq!(body.size_hint().exact(), Some(11));
        let frame = body.frame().await.expect("a frame").expect("bytes in memory");
        assert_eq!(frame.into_data().expect("data"), "<Document/>");
        assert!(body.is_end_stream() && body.frame().await.is_none());
        assert!(ResponseBody::empty().is_end_stream());
    }

    #[tokio::test]
    async fn a_blob_that_was_cut_short_is_an_error_and_not_an_end() {
        let fixture = Fixture::new().await;
        let body = fixture.body();
        fixture.damage();
        body.collect().await.expect_err("most of it is missing");
        for method in [ReadMethod::Get, ReadMethod::Head] {
            let range = ByteRange::whole(Fixture::SIZE as u64);
            let refused = ResponseBody::content(&fixture.content(), range, method);
            assert!(matches!(refused, Err(store::Error::File { .. })), "{method:?} {refused:?}");
        }
    }
}
