//! storage.objects.insert: an upload in one request, or the beginning of a resumable one.
//!
//! GCS: "Objects: insert", "Single-request uploads", "Resumable uploads".

use http::{HeaderMap, StatusCode, header};

use crate::gcs::call::Call;
use crate::gcs::error::{Error, Reason};
use crate::gcs::metadata::{Expected, Sent, object_name};
use crate::gcs::mime::{self, Event, MalformedMultipart, Splitter};
use crate::gcs::receive::{self, Receiving};
use crate::gcs::response;
use crate::gcs::sessions::Session;
use crate::model::{BucketName, Metadata, ObjectKey, Permission, SystemHeader, Tags, WriteConditions};
use crate::protocol::intake::{Document, Incoming};
use crate::protocol::request::Response;
use crate::store::{NewUpload, PutObject, Staged};

/// GCS: the type of what is uploaded without one.
const CONTENT_TYPE_DEFAULT: &str = "application/octet-stream";

/// What is to be written, and what its bytes must be.
struct Draft {
    key: ObjectKey,
    metadata: Metadata,
    expected: Expected,
    conditions: WriteConditions,
}

/// 200 with the resource; of a resumable upload, with the address of its session.
pub(super) async fn insert(call: Call<'_>, bucket: BucketName) -> Result<Response, Error> {
    call.admit(Permission::Write, &bucket)?;
    match call.query.get("uploadType") {
        Some("media") => media(call, bucket).await,
        Some("multipart") => multipart(call, bucket).await,
        Some("resumable") => resumable(call, bucket).await,
        Some(other) => Err(Error::parameter("uploadType", other, "media, multipart or resumable")),
        None => Err(Error::required("uploadType")),
    }
}

impl Draft {
    /// Puts together what the document, the query and the headers of the bytes say.
    fn new(call: &Call<'_>, sent: &Sent, of_bytes: Option<&str>) -> Result<Self, Error> {
        // GCS: the parameter overrides the document's name.
        let name = match call.query.get("name").filter(|name| !name.is_empty()) {
            Some(name) => name,
            None => sent.text("name")?.ok_or_else(|| Error::required("name"))?,
        };
        let mut metadata = sent.metadata()?;
        if metadata.system(SystemHeader::ContentType).is_none() {
            let kind = of_bytes.filter(|kind| !kind.is_empty()).unwrap_or(CONTENT_TYPE_DEFAULT);
            metadata.set_system(SystemHeader::ContentType, kind)?;
        }
        if let Some(encoding) = call.query.get("contentEncoding").filter(|text| !text.is_empty()) {
            metadata.set_system(SystemHeader::ContentEncoding, encoding)?;
        }
        let conditions = call.conditions()?;
        Ok(Self { key: object_name(name)?, metadata, expected: sent.expected()?, conditions })
    }

    /// Checks that the caller may write it, before its bytes are read.
    fn admit(self, call: &mut Call<'_>, bucket: &BucketName) -> Result<Self, Error> {
        call.authorize(Permission::Write, bucket, self.key.as_str())?;
        call.bucket_exists(bucket)?;
        call.outcome.key = Some(self.key.clone());
        Ok(self)
    }

    /// Learns from the headers what the bytes must be, and checks what must hold, before they are read.
    async fn foresee(mut self, call: &Call<'_>, bucket: &BucketName) -> Result<Self, Error> {
        self.expected = self.expected.and(Expected::of_headers(&call.headers)?);
        call.foresee_write(bucket, &self.key, &self.conditions).await?;
        Ok(self)
    }
}

/// `uploadType=media`: the body is the bytes.
async fn media(mut call: Call<'_>, bucket: BucketName) -> Result<Response, Error> {
    let kind = text(&call.headers, header::CONTENT_TYPE.as_str()).map(str::to_owned);
    let draft = Draft::new(&call, &Sent::default(), kind.as_deref())?.admit(&mut call, &bucket)?;
    let draft = draft.foresee(&call, &bucket).await?;
    let incoming = call.incoming();
    let staged = receive::whole(incoming, call.store(), call.inner().limits.object_bytes_max).await?;
    put(&call, bucket, draft, staged).await
}

/// `uploadType=multipart`: a document, then the bytes.
async fn multipart(mut call: Call<'_>, bucket: BucketName) -> Result<Response, Error> {
    let kind = text(&call.headers, header::CONTENT_TYPE.as_str()).unwrap_or_default().to_owned();
    let splitter = Splitter::new(mime::boundary(&kind)?);
    let mut parts = Parts { splitter, incoming: call.incoming(), part: None };
    let sent = parts.document(call.inner().limits.document_bytes_max).await?;
    let Some(of_bytes) = parts.part.take() else { return Err(MalformedMultipart::Truncated.into()) };
    if text(&of_bytes, "content-transfer-encoding").is_some_and(|name| name.eq_ignore_ascii_case("base64")) {
        return Err(Error::not_implemented("Content-Transfer-Encoding: base64"));
    }
    let kind = text(&of_bytes, header::CONTENT_TYPE.as_str());
    let draft = Draft::new(&call, &sent, kind)?.admit(&mut call, &bucket)?;
    let draft = draft.foresee(&call, &bucket).await?;
    let max_bytes = call.inner().limits.object_bytes_max;
    let mut receiving = Receiving::begin(call.store(), parts.incoming.size_bytes(), max_bytes)?;
    while let Some(event) = receiving.wait_for(parts.next()).await?? {
        match event {
            Event::Data(bytes) => receiving.write(bytes).await?,
            Event::Part(_) => {
                return Err(Error::with_message(
                    Reason::BadRequest,
                    "A multipart upload has two parts, this one has more.",
                ));
            }
            Event::End => {}
        }
    }
    let staged = receiving.finish().await?;
    put(&call, bucket, draft, staged).await
}

/// A multipart body on its way in.
struct Parts {
    splitter: Splitter,
    incoming: Incoming,
    /// The headers of the part that has begun and was not looked at.
    part: Option<HeaderMap>,
}

impl Parts {
    /// The next event; `None` once all has come.
    async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.splitter.next()? {
                return Ok(Some(event));
            }
            let Some(bytes) = self.incoming.next().await? else {
                self.splitter.finish()?;
                return Ok(None);
            };
            self.splitter.push(&bytes);
        }
    }

    /// Reads the first part, up to the beginning of the second.
    async fn document(&mut self, max_bytes: usize) -> Result<Sent, Error> {
        let mut document = Document::new(max_bytes);
        let mut begun = false;
        while let Some(event) = self.next().await? {
            match event {
                Event::Part(_) if !begun => begun = true,
                Event::Part(headers) => {
                    self.part = Some(headers);
                    break;
                }
                Event::Data(bytes) => document.push(&bytes)?,
                Event::End => break,
            }
        }
        Sent::parse(&document.finish())
    }
}

/// Writes what came, if it is what it should be.
async fn put(call: &Call<'_>, bucket: BucketName, draft: Draft, staged: Staged) -> Result<Response, Error> {
    let digests = staged.digests();
    draft.expected.check(Some(digests.crc32c()), Some(digests.md5))?;
    let conditions = call.check_write(&bucket, &draft.key, draft.conditions).await?;
    let object = call
        .store()
        .put_object(PutObject {
            bucket,
            key: draft.key,
            staged,
            metadata: draft.metadata,
            tags: Tags::default(),
            owner: call.identity.owner(),
            checksum: None,
            conditions,
        })
        .await?;
    Ok(call.object(&object))
}

/// `uploadType=resumable`: the document now, the bytes later, to the address that is given here.
async fn resumable(mut call: Call<'_>, bucket: BucketName) -> Result<Response, Error> {
    let sent = call.sent().await?;
    let kind = text(&call.headers, "x-upload-content-type").map(str::to_owned);
    let draft = Draft::new(&call, &sent, kind.as_deref())?.admit(&mut call, &bucket)?;
    let size_bytes = match text(&call.headers, "x-upload-content-length") {
        None => None,
        Some(length) => Some(length.parse().map_err(|_| Error::field("x-upload-content-length", length))?),
    };
    let session = Session::new(&draft.conditions, draft.expected, size_bytes).begun_by(&call.identity);
    let name = draft.key.to_string();
    let upload = call
        .store()
        .create_upload(NewUpload {
            bucket,
            key: draft.key,
            metadata: draft.metadata,
            tags: Tags::default(),
            owner: call.identity.owner(),
            checksum: None,
            session: Some(session.to_text()),
        })
        .await?;
    let location = call.base().session(upload.bucket.as_str(), &name, upload.id.as_str());
    let mut answer = response::empty(StatusCode::OK);
    response::insert(answer.headers_mut(), "location", location);
    response::insert(answer.headers_mut(), "x-goog-upload-status", "active");
    Ok(answer)
}

fn text<'headers>(headers: &'headers HeaderMap, name: &str) -> Option<&'headers str> {
    headers.get(name)?.to_str().ok()
}
