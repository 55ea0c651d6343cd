//! The rest of a resumable upload: chunks, questions, the end.
//!
//! A chunk that was acknowledged is a part of an upload in the store, so it survives a restart.
//! What of a chunk came before its connection broke is kept as well: the client asks how far the
//! upload is, and goes on from there.
//!
//! GCS: "Resumable uploads", "Perform resumable uploads".

use std::sync::Arc;

use http::{HeaderMap, StatusCode, header};

use crate::checksum::Digests;
use crate::gcs::Service;
use crate::gcs::call::{Call, check_write};
use crate::gcs::content_range::{Chunk, ContentRange};
use crate::gcs::error::{Error, Reason};
use crate::gcs::metadata::{Expected, object_name};
use crate::gcs::receive::Receiving;
use crate::gcs::response;
use crate::gcs::sessions::{Session, Turn};
use crate::model::{BucketName, PartNumber, Permission, UploadId};
use crate::protocol::auth::Identity;
use crate::protocol::intake::Incoming;
use crate::protocol::request::Response;
use crate::protocol::{access, digest};
use crate::store::{self, CompleteUpload, CompletedPart, Content, Object, Part, PutPart, Store, UploadRef};
use crate::upstream::Hops;

/// GCS: what every chunk but the last has at least.
const CHUNK_BYTES_MIN: u64 = 256 * 1024;

/// A chunk, a question how far it is, or both an end and a question.
pub(super) async fn resume(mut call: Call<'_>, bucket: BucketName) -> Result<Response, Error> {
    let upload = upload_ref(&call, bucket)?;
    let Some(mut session) = find(&call, &upload)? else { return completed(&call, &upload) };
    check_account(call.service, &upload, &session)?;
    let asked = asked(&call)?;
    let sent = Expected::of_headers(&call.headers)?;
    if asked.bytes == Bytes::None {
        refuse_body(&mut call).await?;
    }
    if let (Some(declared), Some(total)) = (session.size_bytes, asked.total)
        && declared != total
    {
        return Err(Error::with_message(
            Reason::Invalid,
            format!("The upload was begun with a size of {declared} bytes, Content-Range says {total}."),
        ));
    }
    let parts = match call.store().list_parts(&upload, None, usize::from(PartNumber::MAX)) {
        Err(store::Error::NoSuchUpload(_)) => return completed(&call, &upload),
        parts => parts?,
    };
    let persisted = size(&parts);
    let asks_only = asked.bytes == Bytes::None;
    // An empty object never gets a chunk: its last question is its end.
    let ends_empty = asks_only && asked.total == Some(0) && parts.is_empty();
    if asks_only && asked.total != Some(persisted) {
        return Ok(progress(&call.headers, persisted));
    }
    let turn = call.service.0.sessions.take(&upload.id);
    let arriving = if asks_only && !ends_empty {
        None
    } else {
        Some((Arriving::new(&upload, &asked, persisted, parts.len())?.expecting(sent)?, call.incoming()))
    };
    if arriving.as_ref().is_none_or(|(arriving, _)| arriving.is_last) {
        session.expected = session.expected.and(sent);
    }
    let hops = call.context.hops.clone();
    let work = Work { service: call.service.clone(), hops, upload, session, asked, turn };
    // The connection may break while bytes are still being stored, or while those of a large upload
    // are read once more for its digests: what has come is kept and what is whole becomes an object,
    // although nobody waits for the answer any more.
    let done = tokio::spawn(work.run(arriving)).await;
    match done.map_err(|ended| Error::new(Reason::InternalError).caused_by(ended))?? {
        Done::Persisted(size_bytes) => Ok(progress(&call.headers, size_bytes)),
        Done::Object(object) => Ok(call.object(&object)),
    }
}

/// Ends an upload before it is done. Google answers 499.
pub(super) async fn cancel(call: &Call<'_>, bucket: BucketName) -> Result<Response, Error> {
    let upload = upload_ref(call, bucket)?;
    if find(call, &upload)?.is_none() {
        return Err(unknown());
    }
    call.store().abort_upload(&upload).await?;
    Ok(response::empty(Reason::ClientClosed.status()))
}

/// What a request brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bytes {
    /// Nothing.
    None,
    /// This piece.
    Chunk(Chunk),
    /// Everything, from the first byte on: there is no `Content-Range`.
    Rest,
}

impl Bytes {
    /// Whether the end of the body is that of the upload, whatever its size.
    fn ends_upload(self) -> bool {
        match self {
            Self::None => false,
            Self::Chunk(chunk) => chunk.size_bytes.is_none(),
            Self::Rest => true,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    bytes: Bytes,
    total: Option<u64>,
}

fn asked(call: &Call<'_>) -> Result<Asked, Error> {
    let Some(value) = call.headers.get(header::CONTENT_RANGE) else {
        return Ok(Asked { bytes: Bytes::Rest, total: None });
    };
    let text = value.to_str().unwrap_or_default();
    let range = ContentRange::parse(text).ok_or_else(|| {
        Error::with_message(Reason::BadRequest, format!("Failed to parse Content-Range header: {text:?}."))
    })?;
    let bytes = range.bytes.map_or(Bytes::None, Bytes::Chunk);
    Ok(Asked { bytes, total: range.total })
}

/// GCS: a question how far the upload is has no body.
async fn refuse_body(call: &mut Call<'_>) -> Result<(), Error> {
    let mut incoming = call.incoming();
    let announced = incoming.size_bytes().unwrap_or_default() > 0;
    if !announced && incoming.next().await?.is_none() {
        return Ok(());
    }
    Err(Error::with_message(
        Reason::BadRequest,
        "Invalid request. According to the Content-Range header, the request asks how far the upload is, but it \
         has a body: name the range of bytes that it brings.",
    ))
}

/// An upload ends with the account that began it, and with its permission to write.
fn check_account(service: &Service, upload: &UploadRef, session: &Session) -> Result<(), Error> {
    let Some(key_id) = &session.key_id else { return Ok(()) };
    let inner = &service.0.inner;
    let account = inner.accounts.find(key_id).ok_or_else(|| Error::new(Reason::AuthError))?;
    let identity = Identity::holder(Arc::clone(&account.credential));
    let (bucket, key) = (&upload.bucket, upload.key.as_str());
    access::authorize(&identity, &inner.anonymous, Permission::Write, bucket, key)
        .map_err(|denied| Error::new(Reason::Forbidden).caused_by(denied))
}

/// Which session a request is about. Its id is a secret that only its beginner was told, so nobody
/// is asked for a token again.
fn upload_ref(call: &Call<'_>, bucket: BucketName) -> Result<UploadRef, Error> {
    let key = object_name(call.query.get("name").ok_or_else(|| Error::required("name"))?)?;
    let id = call.query.get("upload_id").and_then(|id| UploadId::parse(id).ok()).ok_or_else(unknown)?;
    Ok(UploadRef { bucket, key, id })
}

/// The session, unless it is over.
fn find(call: &Call<'_>, upload: &UploadRef) -> Result<Option<Session>, Error> {
    match call.store().find_upload(upload) {
        Ok(found) => match found.session.as_deref().and_then(Session::parse) {
            Some(session) => Ok(Some(session)),
            None => Err(unknown()),
        },
        Err(store::Error::NoSuchUpload(_)) => Ok(None),
        Err(failed) => Err(failed.into()),
    }
}

fn unknown() -> Error {
    Error::with_message(
        Reason::NotFound,
        "There is no upload session of this upload_id: it was cancelled, or never begun.",
    )
}

/// Another request brings the same bytes, and it is the later one.
fn preempted() -> Error {
    Error::with_message(Reason::BackendError, "A later request of the same upload session has taken over.")
}

/// A session that is over answers with what it became.
fn completed(call: &Call<'_>, upload: &UploadRef) -> Result<Response, Error> {
    match call.store().find_completed(upload)? {
        Some(object) => Ok(call.object(&object)),
        None => Err(unknown()),
    }
}

fn size(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.size_bytes).sum()
}

/// 308 with how many bytes are safe. Google's Go client, whose HTTP library takes that for a redirect,
/// asks for a 200 that says it in a header.
fn progress(headers: &HeaderMap, persisted: u64) -> Response {
    let hides_308 = headers.get("x-guploader-no-308").is_some_and(|value| value == "yes");
    let status = if hides_308 { StatusCode::OK } else { StatusCode::PERMANENT_REDIRECT };
    let mut answer = response::empty(status);
    if hides_308 {
        response::insert(answer.headers_mut(), "x-http-status-code-override", 308);
    }
    if let Some(last) = persisted.checked_sub(1) {
        response::insert(answer.headers_mut(), "range", format_args!("bytes=0-{last}"));
    }
    response::insert(answer.headers_mut(), "content-length", 0);
    answer
}

/// A chunk on its way in.
struct Arriving {
    upload: UploadRef,
    number: PartNumber,
    /// How many bytes at its beginning are here already.
    skipped: u64,
    /// How many bytes it has in all, where it is known.
    expected: Option<u64>,
    /// Whether its end is that of the upload.
    is_last: bool,
    /// Its digests, where the client has sent some with a chunk that is not the last one.
    digests: Expected,
}

impl Arriving {
    fn new(upload: &UploadRef, asked: &Asked, persisted: u64, parts: usize) -> Result<Self, Error> {
        let Asked { bytes, total } = *asked;
        let (first, expected) = match bytes {
            Bytes::Chunk(chunk) => (chunk.first, chunk.size_bytes),
            Bytes::Rest | Bytes::None => (0, None),
        };
        if first > persisted {
            return Err(Error::with_message(
                Reason::Invalid,
                format!(
                    "Invalid request. According to the Content-Range header, the upload offset is {first} \
                     byte(s), which exceeds already uploaded size of {persisted} byte(s)."
                ),
            ));
        }
        let is_last =
            bytes.ends_upload() || total.is_some() && expected.map(|expected| first + expected) == total;
        if let Some(size) = expected.filter(|size| !is_last && *size < CHUNK_BYTES_MIN) {
            return Err(Error::with_message(
                Reason::BadRequest,
                format!(
                    "Invalid request. The number of bytes uploaded is required to be equal or greater than \
                     {CHUNK_BYTES_MIN}, except for the final request (it's recommended to be the exact \
                     multiple of {CHUNK_BYTES_MIN}). The received request contained {size} bytes, which \
                     does not meet this requirement."
                ),
            ));
        }
        let number = u16::try_from(parts + 1).ok().and_then(|number| PartNumber::new(number).ok());
        let number = number.ok_or_else(|| {
            Error::with_message(
                Reason::Invalid,
                format!("An upload may come in at most {} chunks: send larger ones.", PartNumber::MAX),
            )
        })?;
        let skipped = persisted - first;
        let digests = Expected::default();
        Ok(Self { upload: upload.clone(), number, skipped, expected, is_last, digests })
    }

    /// Notes digests that came along.
    ///
    /// GCS: with the last chunk they are those of the whole object; with another one they can only be
    /// those of the chunk.
    fn expecting(mut self, sent: Expected) -> Result<Self, Error> {
        if !self.is_last && sent != Expected::default() {
            if self.skipped > 0 {
                return Err(Error::with_message(
                    Reason::Invalid,
                    format!(
                        "The first {} bytes of this chunk are here already, so its digests cannot be compared: \
                         go on behind them.",
                        self.skipped
                    ),
                ));
            }
            self.digests = sent;
        }
        Ok(self)
    }

    /// Stores the chunk, or what of it came before the connection broke. Gives its digests, where
    /// it is all that there is.
    async fn receive(
        self,
        store: &Store,
        incoming: Incoming,
        max_bytes: u64,
        turn: &Turn,
    ) -> Result<Option<Digests>, Error> {
        let announced = incoming.size_bytes();
        if let (Some(announced), Some(expected)) = (announced, self.expected)
            && announced != expected
        {
            return Err(length_mismatch(announced, expected));
        }
        let mut receiving = Receiving::begin(store, announced, max_bytes)?;
        let outcome = self.take(incoming, &mut receiving).await;
        let size_bytes = receiving.size_bytes();
        let broken = match outcome {
            Ok(()) => None,
            Err(error) if error.reason() == Reason::UploadBroken && size_bytes > 0 => Some(error),
            Err(error) => return Err(error),
        };
        let is_first = self.number.get() == 1;
        if size_bytes == 0 && !is_first {
            return Ok(None);
        }
        let staged = receiving.finish().await?;
        let digests = staged.digests().clone();
        if broken.is_none() {
            self.digests.check(Some(digests.crc32c()), Some(digests.md5))?;
        }
        let Some(_guard) = turn.enter().await else { return Err(preempted()) };
        store.put_part(PutPart { upload: self.upload, number: self.number, staged, checksum: None }).await?;
        match broken {
            Some(error) => Err(error),
            None => Ok(is_first.then_some(digests)),
        }
    }

    /// Reads the body, without the bytes that are here already.
    async fn take(&self, mut incoming: Incoming, receiving: &mut Receiving) -> Result<(), Error> {
        let mut to_skip = self.skipped;
        let mut taken = 0;
        while let Some(mut bytes) = receiving.wait_for(incoming.next()).await?? {
            taken += bytes.len() as u64;
            let skip = usize::try_from(to_skip).unwrap_or(usize::MAX).min(bytes.len());
            to_skip -= skip as u64;
            bytes::Buf::advance(&mut bytes, skip);
            if !bytes.is_empty() {
                receiving.write(bytes).await?;
            }
        }
        incoming.finish()?;
        match self.expected {
            Some(expected) if expected != taken => Err(length_mismatch(taken, expected)),
            _ => Ok(()),
        }
    }
}

fn length_mismatch(came: u64, expected: u64) -> Error {
    Error::with_message(
        Reason::BadRequest,
        format!(
            "The body has {came} bytes, according to the Content-Range header it should have {expected}."
        ),
    )
}

/// What is done for a request, whether or not its client waits for the answer.
struct Work {
    service: Service,
    hops: Hops,
    upload: UploadRef,
    session: Session,
    asked: Asked,
    turn: Turn,
}

/// What came of it.
enum Done {
    /// More bytes are to come: so many are safe.
    Persisted(u64),
    /// The upload is over.
    Object(Box<Object>),
}

impl Work {
    /// Takes a chunk, if there is one, and makes the object if that was the last.
    async fn run(self, arriving: Option<(Arriving, Incoming)>) -> Result<Done, Error> {
        match self.advance(arriving).await {
            // The client asked twice, and the other request was faster.
            Err(error) if error.reason() == Reason::NotFound => {
                let object = self.store().find_completed(&self.upload)?.ok_or(error)?;
                Ok(Done::Object(Box::new(object)))
            }
            done => done,
        }
    }

    fn store(&self) -> &Store {
        self.service.0.inner.view.store()
    }

    async fn advance(&self, arriving: Option<(Arriving, Incoming)>) -> Result<Done, Error> {
        let only = match arriving {
            None => None,
            Some((arriving, incoming)) => {
                let max_bytes = self.service.0.inner.limits.object_bytes_max;
                arriving.receive(self.store(), incoming, max_bytes, &self.turn).await?
            }
        };
        let persisted = size(&self.store().list_parts(&self.upload, None, usize::from(PartNumber::MAX))?);
        if !self.asked.bytes.ends_upload() && self.asked.total != Some(persisted) {
            return Ok(Done::Persisted(persisted));
        }
        let Some(_guard) = self.turn.enter().await else { return Err(preempted()) };
        Ok(Done::Object(Box::new(self.finish(only).await?)))
    }

    /// Makes the object. Its digests are those of the only chunk, or its bytes are read once.
    async fn finish(&self, only: Option<Digests>) -> Result<Object, Error> {
        // The account may have been removed while the bytes came.
        check_account(&self.service, &self.upload, &self.session)?;
        let opened = self.store().open_parts(&self.upload)?;
        let digests = match only {
            Some(digests) if opened.len() == 1 => digests,
            _ => {
                let contents: Vec<Content> = opened.iter().map(|(_, content)| content.clone()).collect();
                digest::digest_all(&contents).await?
            }
        };
        if let Err(wrong) = self.session.expected.check(Some(digests.crc32c()), Some(digests.md5)) {
            // GCS: the upload is over, and nothing of it is kept.
            self.store().abort_upload(&self.upload).await?;
            return Err(wrong);
        }
        self.complete(opened, &digests).await
    }

    async fn complete(&self, opened: Vec<(Part, Content)>, digests: &Digests) -> Result<Object, Error> {
        let parts = opened
            .into_iter()
            .map(|(part, _)| CompletedPart { number: part.number, etag: part.etag, checksum: None })
            .collect();
        let place = (&self.upload.bucket, &self.upload.key);
        let view = &self.service.0.inner.view;
        let complete = CompleteUpload {
            upload: self.upload.clone(),
            parts,
            checksum: None,
            size_bytes: self.session.size_bytes,
            md5: Some(digests.md5),
            conditions: check_write(view, &self.hops, place, self.session.conditions()).await?,
        };
        Ok(self.store().complete_upload(complete).await?)
    }
}
