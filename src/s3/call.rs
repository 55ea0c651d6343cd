//! One request on its way through an operation: what was parsed of it, and the few steps that
//! several operations take.

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::Empty;

use super::copy_source::CopySource;
use super::error::{Code, Error};
use super::operation::Operation;
use super::route::Target;
use super::{Config, Service, request};
use crate::checksum::Digests;
use crate::fallback::{ClientKind, Fallback};
use crate::model::{BucketName, ChecksumAlgorithm, ObjectKey, Permission, VersionId, WriteConditions};
use crate::protocol::access;
use crate::protocol::auth::Identity;
use crate::protocol::body::{self, ByteCount, RequestBody};
use crate::protocol::google_hash::{GoogleHash, InvalidGoogleHash};
use crate::protocol::intake::{ChecksumsOf, Intake, Received};
use crate::protocol::outcome::Outcome;
use crate::protocol::query::Query;
use crate::protocol::request::Context;
use crate::sigv4::Payload;
use crate::store::{self, Content, Lookup, Object, ObjectRef, Source, Store};
use crate::view::View;

/// How often something is tried again that others got in the way of.
pub(super) const ATTEMPTS: usize = 4;

/// A request whose route and caller are known.
pub(super) struct Call<'a> {
    /// The face that answers.
    pub(super) service: &'a Service,
    /// What the listener knows.
    pub(super) context: &'a Context,
    /// Who asks.
    pub(super) identity: Identity,
    /// With what kind of client.
    pub(super) client: ClientKind,
    /// What the signature says of the body.
    pub(super) payload: Payload,
    /// The method.
    pub(super) method: Method,
    /// The path, still percent-encoded.
    pub(super) path: String,
    /// The parameters.
    pub(super) query: Query,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body, not read yet.
    pub(super) body: RequestBody,
    /// What the log will say.
    pub(super) outcome: &'a mut Outcome,
}

impl Call<'_> {
    /// Objects, here and in production.
    pub(super) fn view(&self) -> &View {
        &self.service.0.view
    }

    /// Where objects are kept.
    pub(super) fn store(&self) -> &Store {
        self.service.0.view.store()
    }

    /// Where to look for what is not here.
    pub(super) fn fallback(&self) -> &Fallback {
        self.service.0.view.fallback()
    }

    /// What the face can be told.
    pub(super) fn config(&self) -> &Config {
        &self.service.0.config
    }

    /// Whether the caller may have this operation of this target.
    ///
    /// A listing is allowed by its prefix, so that a grant can cover a part of a bucket.
    pub(super) fn authorize_operation(&self, operation: Operation, target: &Target) -> Result<(), Error> {
        let permission = operation.permission();
        match target {
            // ListBuckets shows each caller only what it may see.
            Target::Service => Ok(()),
            // DeleteObjects is allowed or refused key by key.
            Target::Bucket(_) if operation == Operation::DeleteObjects => self.known_or_granted(),
            Target::Bucket(bucket) if operation.is_about_bucket() => self.authorize_bucket(bucket),
            Target::Bucket(bucket) => {
                let key = if permission == Permission::List { self.query.get("prefix") } else { None };
                self.authorize(permission, bucket, key.unwrap_or_default())
            }
            Target::Object(bucket, key) => self.authorize(permission, bucket, key.as_str()),
        }
        .or_else(|denied| match target {
            // S3: who may not look at a bucket is told all the same that there is none.
            Target::Bucket(bucket) | Target::Object(bucket, _) if operation != Operation::CreateBucket => {
                self.bucket_exists(bucket).and(Err(denied))
            }
            Target::Service | Target::Bucket(_) | Target::Object(..) => Err(denied),
        })
    }

    /// Refuses a request whose sender expects the bucket to be somebody else's.
    ///
    /// AWS: `x-amz-expected-bucket-owner`. Owners here have canonical ids and no account numbers, so
    /// an account number never matches.
    pub(super) fn check_expected_owner(&self, header: &str, bucket: &BucketName) -> Result<(), Error> {
        let Some(expected) = request::text(&self.headers, header) else { return Ok(()) };
        match self.store().find_bucket(bucket)? {
            Some(found) if found.owner.id != expected => {
                let words =
                    format!("Access Denied: {header} is not the id of the owner of the bucket {bucket}.");
                Err(Error::with_message(Code::AccessDenied, words))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the caller has a permission.
    pub(super) fn authorize(
        &self,
        permission: Permission,
        bucket: &BucketName,
        key: &str,
    ) -> Result<(), Error> {
        Ok(access::authorize(&self.identity, &self.service.0.anonymous, permission, bucket, key)?)
    }

    /// Whether the caller may know of a bucket.
    fn authorize_bucket(&self, bucket: &BucketName) -> Result<(), Error> {
        Ok(access::authorize_bucket(&self.identity, &self.service.0.anonymous, bucket)?)
    }

    /// Refuses a body from somebody who may write nowhere.
    fn known_or_granted(&self) -> Result<(), Error> {
        let writes = |grant: &crate::model::Grant| grant.permissions.contains(&Permission::Write);
        if self.identity.grants().iter().chain(&self.service.0.anonymous).any(writes) {
            return Ok(());
        }
        Err(Error::new(Code::AccessDenied))
    }

    /// Reads a small body, such as an XML document, whole.
    ///
    /// `about` says whether checksum headers are about this body or about an object.
    pub(super) async fn document(&mut self, about: ChecksumsOf) -> Result<Bytes, Error> {
        let intake = Intake::read(&self.headers, self.payload.clone(), about)?;
        self.read_document(intake).await
    }

    /// Reads a document that S3 takes only with a digest of it: DeleteObjects, whose loss or
    /// mutilation on the way would be dear.
    ///
    /// AWS: `DeleteObjects`, `Content-MD5`; any additional checksum does too.
    pub(super) async fn protected_document(&mut self) -> Result<Bytes, Error> {
        let intake = Intake::read(&self.headers, self.payload.clone(), ChecksumsOf::Body)?;
        if !intake.is_protected() {
            return Err(Error::with_message(
                Code::InvalidRequest,
                "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
            ));
        }
        self.read_document(intake).await
    }

    async fn read_document(&mut self, intake: Intake) -> Result<Bytes, Error> {
        Ok(intake.document(self.take_body(), &self.service.0.limits).await?)
    }

    /// Reads the body into the store's staging area, decoded and checked.
    pub(super) async fn receive(&mut self, extra: &[ChecksumAlgorithm]) -> Result<Received, Error> {
        let google = GoogleHash::read(&self.headers).map_err(|reason| invalid_google_hash(&reason))?;
        let intake = Intake::read(&self.headers, self.payload.clone(), ChecksumsOf::Body)?;
        let body = self.take_body();
        let received = intake.stage(body, self.store(), extra, &self.service.0.limits).await?;
        check_google_hash(google, received.staged.digests())?;
        Ok(received)
    }

    fn take_body(&mut self) -> RequestBody {
        std::mem::replace(&mut self.body, body::receive(Empty::new(), ByteCount::default()))
    }

    /// Fails early where there is no such bucket.
    pub(super) fn bucket_exists(&self, bucket: &BucketName) -> Result<(), Error> {
        match self.store().find_bucket(bucket)? {
            Some(_) => Ok(()),
            None => Err(super::op::no_such_bucket(bucket)),
        }
    }

    /// Reads `x-amz-copy-source`, and checks that the caller may read what it names.
    pub(super) fn copy_source(&self) -> Result<CopySource, Error> {
        let header = request::text(&self.headers, "x-amz-copy-source").unwrap_or_default();
        let source = CopySource::parse(header)?;
        self.authorize(Permission::Read, &source.bucket, source.key.as_str())?;
        self.check_expected_owner("x-amz-source-expected-bucket-owner", &source.bucket)?;
        Ok(source)
    }

    /// Finds the source of a copy, after fetching it where only production has it.
    ///
    /// What was fetched may be evicted before it is found; then it is fetched again.
    pub(super) async fn open_source(&self, source: &Source) -> Result<(Object, Content), Error> {
        let Source { bucket, key, version, conditions, .. } = source;
        let no_such_key = || Error::new(Code::NoSuchKey).field("Key", key.as_str());
        for _ in 0..ATTEMPTS {
            match self.view().find(bucket, key, version.as_ref())? {
                Lookup::Here(object, content) => {
                    conditions.check(&object.state()).map_err(Error::source_condition)?;
                    return Ok((object, content));
                }
                Lookup::Absent if !VersionId::is_current(version.as_ref()) => {
                    return Err(Error::new(Code::NoSuchVersion));
                }
                Lookup::Absent => {
                    if !self.view().materialise(bucket, key, &self.context.hops).await? {
                        return Err(no_such_key());
                    }
                }
                Lookup::Tombstone | Lookup::DeleteMarker { .. } => return Err(no_such_key()),
                Lookup::NoBucket => return Err(super::op::no_such_bucket(bucket)),
            }
        }
        Err(Error::new(Code::OperationAborted))
    }

    /// Makes sure that an object that is to be changed is here, if production has it.
    pub(super) async fn bring_here(&self, object: &ObjectRef) -> Result<(), Error> {
        let ObjectRef { bucket, key, version } = object;
        let absent = matches!(self.view().find(bucket, key, version.as_ref())?, Lookup::Absent);
        if absent
            && VersionId::is_current(version.as_ref())
            && !self.view().materialise(bucket, key, &self.context.hops).await?
        {
            return Err(Error::new(Code::NoSuchKey).field("Key", key.as_str()));
        }
        Ok(())
    }

    /// The conditions of a write as the store must check them, where they hold of what production
    /// has.
    pub(super) async fn check_write(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        mut conditions: WriteConditions,
    ) -> Result<WriteConditions, Error> {
        if conditions != WriteConditions::default() {
            self.view().check_write(bucket, key, &mut conditions, &self.context.hops).await?;
        }
        Ok(conditions)
    }
}

fn invalid_google_hash(reason: &InvalidGoogleHash) -> Error {
    Error::invalid_argument("x-goog-hash", &reason.0, reason.to_string())
}

/// Google: a digest in `x-goog-hash` that is not that of the bytes refuses them.
fn check_google_hash(expected: GoogleHash, digests: &Digests) -> Result<(), Error> {
    let differs = expected.md5.is_some_and(|md5| md5 != digests.md5)
        || expected.crc32c.is_some_and(|crc32c| crc32c != digests.crc32c());
    if differs {
        let words = "The x-goog-hash you specified did not match what we received.";
        return Err(Error::with_message(Code::BadDigest, words));
    }
    Ok(())
}

/// Whether a copy or a change may be tried again: what it needs was evicted or written meanwhile.
pub(super) fn in_the_way(failed: &store::Error) -> bool {
    matches!(failed, store::Error::SourceChanged | store::Error::NoSuchObject { .. })
}
