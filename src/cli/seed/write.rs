//! Writing an object into the stage: through the server that has it, or into the folder.
//!
//! What is known of the bytes is compared before the last of them is sent: an object that is not what
//! its source has said is never written.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body::Body;
use http_body_util::Full;
use md5::{Digest as _, Md5};
use tokio::sync::mpsc::{Sender, channel};

use super::item::{Bytestream, Item, Opened};
use super::piped::Piped;
use super::plan::{Pieces, pieces};
use super::tell::Progress;
use crate::cli::failure::Failure;
use crate::cli::stage::{Access, Caller};
use crate::model::{BucketName, ETag, Metadata, ObjectKey, Owner, PartNumber, SystemHeader, Tags};
use crate::model::{UploadId, WriteConditions};
use crate::protocol::headers;
use crate::signature::{encode_component, encode_path};
use crate::store::{CompleteUpload, CompletedPart, NewUpload, PutObject, PutPart, Staged, Store, UploadRef};

/// Writes objects into a bucket.
#[derive(Clone)]
pub(super) struct Writer {
    pub(super) access: Access,
    pub(super) bucket: BucketName,
    pub(super) owner: Owner,
    pub(super) progress: Arc<Progress>,
}

/// A piece of the bytes of an object.
struct Portion<'a> {
    stream: &'a mut Bytestream,
    left: u64,
    md5: Md5,
    /// The digest that the piece must have.
    expected: Option<[u8; 16]>,
    /// Whether nothing may follow.
    is_last: bool,
    progress: &'a Progress,
}

impl Portion<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.left == 0 {
            return Ok(None);
        }
        let bytes = self.stream.next(self.left).await?;
        let bytes = bytes.ok_or_else(|| Failure::Refused("is shorter than it was said to be".to_owned()))?;
        self.md5.update(&bytes);
        self.left -= bytes.len() as u64;
        self.progress.sent(bytes.len() as u64);
        if self.left == 0 {
            self.check_end().await?;
        }
        Ok(Some(bytes))
    }

    async fn check_end(&mut self) -> Result<(), Failure> {
        if self.is_last && self.stream.next(1).await?.is_some() {
            return Err(Failure::Refused("is longer than it was said to be".to_owned()));
        }
        let found = self.digest();
        match self.expected {
            Some(expected) if expected != found => Err(Failure::Refused(format!(
                "has the MD5 {} where {} was announced",
                hex::encode(found),
                hex::encode(expected)
            ))),
            _ => Ok(()),
        }
    }

    fn digest(&self) -> [u8; 16] {
        self.md5.clone().finalize().into()
    }
}

impl Writer {
    /// Copies an object; says how many bytes it has.
    pub(super) async fn copy(&self, item: &Item) -> Result<u64, Failure> {
        let Opened { mut stream, known, metadata } = item.open().await?;
        let size_bytes = known.size_bytes;
        match pieces(&known) {
            Pieces::One => {
                let mut portion = self.portion(&mut stream, size_bytes);
                portion.expected = known.md5;
                portion.is_last = true;
                self.put(&item.key, metadata, &mut portion).await?;
            }
            Pieces::Parts(part_bytes) => {
                let upload = self.begin(&item.key, metadata).await?;
                let written = self.parts(&upload, &mut stream, size_bytes, part_bytes).await;
                let ended = match written {
                    Ok(parts) => self.complete(&upload, parts, size_bytes).await,
                    Err(failure) => Err(failure),
                };
                if ended.is_err() {
                    // The first failure is the one that is told.
                    drop(self.abort(&upload).await);
                }
                ended?;
            }
        }
        Ok(size_bytes)
    }

    fn portion<'a>(&'a self, stream: &'a mut Bytestream, length: u64) -> Portion<'a> {
        Portion {
            stream,
            left: length,
            md5: Md5::new(),
            expected: None,
            is_last: false,
            progress: &self.progress,
        }
    }

    async fn put(
        &self,
        key: &ObjectKey,
        metadata: Metadata,
        portion: &mut Portion<'_>,
    ) -> Result<(), Failure> {
        match &self.access {
            Access::Here(store) => {
                let put = PutObject {
                    bucket: self.bucket.clone(),
                    key: key.clone(),
                    staged: staged(store, portion).await?,
                    metadata,
                    tags: Tags::default(),
                    owner: self.owner.clone(),
                    checksum: None,
                    conditions: WriteConditions::default(),
                };
                store.put_object(put).await?;
                Ok(())
            }
            Access::There(caller) => send(caller, &self.path(key, ""), headers_of(&metadata), portion).await,
        }
    }

    async fn begin(&self, key: &ObjectKey, metadata: Metadata) -> Result<UploadRef, Failure> {
        let id = match &self.access {
            Access::Here(store) => {
                let new = NewUpload {
                    bucket: self.bucket.clone(),
                    key: key.clone(),
                    metadata,
                    tags: Tags::default(),
                    owner: self.owner.clone(),
                    checksum: None,
                    session: None,
                };
                store.create_upload(new).await?.id
            }
            Access::There(caller) => {
                let mut request = request(Method::POST, &self.path(key, "?uploads="), nothing())?;
                request.headers_mut().extend(headers_of(&metadata));
                let (_, text) = answered(caller.send(request).await?)?;
                let text = String::from_utf8_lossy(&text);
                let id = between(&text, "UploadId").and_then(|id| UploadId::parse(id).ok());
                id.ok_or_else(|| Failure::Refused("the stage gave no id of the upload".to_owned()))?
            }
        };
        Ok(UploadRef { bucket: self.bucket.clone(), key: key.clone(), id })
    }

    async fn parts(
        &self,
        upload: &UploadRef,
        stream: &mut Bytestream,
        size_bytes: u64,
        part_bytes: u64,
    ) -> Result<Vec<CompletedPart>, Failure> {
        let count = size_bytes.div_ceil(part_bytes).max(1);
        let mut parts = Vec::new();
        for index in 1..=count {
            let number = u16::try_from(index).ok().and_then(|index| PartNumber::new(index).ok());
            let number = number.ok_or_else(|| Failure::Refused("has too many parts".to_owned()))?;
            let length = part_bytes.min(size_bytes - (index - 1) * part_bytes);
            let mut portion = self.portion(stream, length);
            portion.is_last = index == count;
            match &self.access {
                Access::Here(store) => {
                    let staged = staged(store, &mut portion).await?;
                    let part = PutPart { upload: upload.clone(), number, staged, checksum: None };
                    store.put_part(part).await?;
                }
                Access::There(caller) => {
                    let query = format!(
                        "?partNumber={index}&uploadId={}",
                        encode_component(upload.id.as_str().as_bytes())
                    );
                    let path = self.path(&upload.key, &query);
                    send(caller, &path, HeaderMap::new(), &mut portion).await?;
                }
            }
            parts.push(CompletedPart { number, etag: ETag::of_md5(portion.digest()), checksum: None });
        }
        Ok(parts)
    }

    async fn complete(
        &self,
        upload: &UploadRef,
        parts: Vec<CompletedPart>,
        size_bytes: u64,
    ) -> Result<(), Failure> {
        match &self.access {
            Access::Here(store) => {
                let complete = CompleteUpload {
                    upload: upload.clone(),
                    parts,
                    checksum: None,
                    size_bytes: Some(size_bytes),
                    md5: None,
                    conditions: WriteConditions::default(),
                };
                store.complete_upload(complete).await?;
            }
            Access::There(caller) => {
                let mut document = "<CompleteMultipartUpload>".to_owned();
                for CompletedPart { number, etag, .. } in &parts {
                    let number = number.to_string();
                    let (number, etag) = (number.as_str(), etag.as_str());
                    document.extend([
                        "<Part><PartNumber>",
                        number,
                        "</PartNumber><ETag>",
                        etag,
                        "</ETag></Part>",
                    ]);
                }
                document += "</CompleteMultipartUpload>";
                let path = self.path(&upload.key, &upload_query(upload));
                let request = request(Method::POST, &path, Full::new(Bytes::from(document)))?;
                let (_, text) = answered(caller.send(request).await?)?;
                // AWS: `CompleteMultipartUpload`: an answer with 200 can still be an error.
                let text = String::from_utf8_lossy(&text);
                if text.contains("<Error>") {
                    return Err(Failure::Refused(between(&text, "Message").unwrap_or(&text).to_owned()));
                }
            }
        }
        Ok(())
    }

    async fn abort(&self, upload: &UploadRef) -> Result<(), Failure> {
        match &self.access {
            Access::Here(store) => store.abort_upload(upload).await?,
            Access::There(caller) => {
                let path = self.path(&upload.key, &upload_query(upload));
                answered(caller.send(request(Method::DELETE, &path, nothing())?).await?)?;
            }
        }
        Ok(())
    }

    fn path(&self, key: &ObjectKey, query: &str) -> String {
        format!("/{}/{}{query}", self.bucket, encode_path(key.as_str().as_bytes()))
    }
}

fn upload_query(upload: &UploadRef) -> String {
    format!("?uploadId={}", encode_component(upload.id.as_str().as_bytes()))
}

/// Takes the bytes into the store.
async fn staged(store: &Store, portion: &mut Portion<'_>) -> Result<Staged, Failure> {
    let mut staging = store.stage(&[], Some(portion.left));
    while let Some(bytes) = portion.next().await? {
        staging.write(bytes).await?;
    }
    Ok(staging.finish().await?)
}

/// Sends the bytes by PUT, and compares what has arrived with what was sent.
async fn send(
    caller: &Caller,
    path: &str,
    headers: HeaderMap,
    portion: &mut Portion<'_>,
) -> Result<(), Failure> {
    let (sender, bytes) = channel(4);
    let mut request = request(Method::PUT, path, Piped { bytes, left: portion.left })?;
    request.headers_mut().extend(headers);
    let (answer, fed) = tokio::join!(caller.send(request), feed(sender, portion));
    // A source that broke off is why the request did.
    fed?;
    let (head, _) = answered(answer?)?;
    let tag = head.headers.get(header::ETAG).and_then(|tag| ETag::parse(tag.to_str().ok()?).ok());
    if tag != Some(ETag::of_md5(portion.digest())) {
        return Err(Failure::Refused("arrived with another MD5 than it was sent with".to_owned()));
    }
    Ok(())
}

async fn feed(sender: Sender<io::Result<Bytes>>, portion: &mut Portion<'_>) -> Result<(), Failure> {
    loop {
        match portion.next().await {
            Ok(None) => return Ok(()),
            // The stage has answered before it had heard all: its answer says why.
            Ok(Some(bytes)) => {
                if sender.send(Ok(bytes)).await.is_err() {
                    return Ok(());
                }
            }
            Err(failure) => {
                drop(sender.send(Err(io::Error::other("the source broke off"))).await);
                return Err(failure);
            }
        }
    }
}

fn nothing() -> Full<Bytes> {
    Full::default()
}

fn request<B: Body>(method: Method, path: &str, body: B) -> Result<Request<B>, Failure> {
    let length = body.size_hint().exact().unwrap_or_default();
    let request =
        Request::builder().method(method).uri(path).header(header::CONTENT_LENGTH, length).body(body);
    request.map_err(|error| Failure::Refused(error.to_string()))
}

/// What an object is stored with, as headers of a request.
fn headers_of(metadata: &Metadata) -> HeaderMap {
    let mut written = HeaderMap::new();
    headers::write_amz_metadata(&mut written, metadata);
    for (name, value) in metadata.system_headers() {
        if name != SystemHeader::WebsiteRedirectLocation
            && let Ok(value) = HeaderValue::from_bytes(value.as_bytes())
        {
            written.insert(HeaderName::from_static(name.name()), value);
        }
    }
    written
}

/// An answer that is no refusal.
fn answered((head, text): (Parts, Bytes)) -> Result<(Parts, Bytes), Failure> {
    if head.status.is_success() {
        return Ok((head, text));
    }
    let text = String::from_utf8_lossy(&text);
    let told = match (between(&text, "Message"), head.status) {
        (Some(message), _) => message.to_owned(),
        (None, StatusCode::FORBIDDEN) => "the key pair may not write there".to_owned(),
        (None, status) => format!("the stage answered {status}"),
    };
    Err(Failure::Refused(told))
}

/// The text of the first element of this name. The documents are our own.
fn between<'text>(text: &'text str, name: &str) -> Option<&'text str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(found, _)| found)
}
