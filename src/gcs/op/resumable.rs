//! The rest of a resumable upload: chunks, questions, the end.
//!
//! A chunk that was acknowledged is a part of an upload in the store, so it survives a restart.
//! What of a chunk came before its connection broke is kept as well: the client asks how far the
//! upload is, and goes on from there.
//!
//! GCS: "Resumable uploads", "Perform resumable uploads".

mod arriving;

use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use self::arriving::{Arriving, Asked, Bytes, asked};
use crate::checksum::Digests;
use crate::gcs::Service;
use crate::gcs::call::{Call, check_write};
use crate::gcs::error::{Error, Reason};
use crate::gcs::metadata::{Expected, object_name};
use crate::gcs::response;
use crate::gcs::sessions::{Session, Turn};
use crate::model::{BucketName, PartNumber, Permission, UploadId};
use crate::protocol::auth::Identity;
use crate::protocol::intake::Incoming;
use crate::protocol::request::Response;
use crate::protocol::{access, digest};
use crate::store::{self, CompleteUpload, CompletedPart, Content, Object, Part, Store, UploadRef};
use crate::upstream::Hops;

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

/// An upload ends with the account that began it, and with its permission to write, or everybody's.
fn check_account(service: &Service, upload: &UploadRef, session: &Session) -> Result<(), Error> {
    let inner = &service.0.inner;
    let identity = match &session.key_id {
        Some(key_id) => {
            let account = inner.accounts.find(key_id).ok_or_else(|| Error::new(Reason::AuthError))?;
            Identity::holder(Arc::clone(&account.credential))
        }
        None => Identity::anonymous(),
    };
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
