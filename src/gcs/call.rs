//! One request on its way through an operation: what was parsed of it, and the few steps that
//! several operations take.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::Empty;
use serde_json::Value;

use super::error::{Error, Reason};
use super::fields::FieldMask;
use super::metadata::Sent;
use super::resource::{self, Base};
use super::route::Place;
use super::{Inner, Service, response};
use crate::checksum::Digests;
use crate::fallback::Fallback;
use crate::model::{BucketName, ByteRange, ConditionFailed, ObjectKey, Permission, WriteConditions};
use crate::protocol::auth::Identity;
use crate::protocol::body::{self, ByteCount, RequestBody};
use crate::protocol::intake::{Document, Incoming};
use crate::protocol::outcome::Outcome;
use crate::protocol::query::Query;
use crate::protocol::request::{Context, Response};
use crate::protocol::{access, digest};
use crate::store::{self, Bucket, Content, Lookup, Object, Origin, Store};
use crate::upstream::Hops;
use crate::view::{View, as_object, generation_of};

/// How often something is tried again that others got in the way of.
pub(super) const ATTEMPTS: usize = 8;

/// Checks the conditions of a source that is here.
pub(super) fn check_source(source: &Object, conditions: &WriteConditions) -> Result<(), Error> {
    let conditions = as_kept_conditions(source, conditions.clone());
    conditions.check(Some(&source.state())).map_err(source_condition)
}

/// What is under a key here.
pub(super) enum Found {
    /// An object and its bytes.
    Here(Box<Object>, Content),
    /// It was deleted: production is not asked.
    Deleted,
    /// Nothing; production may have something.
    Absent,
}

/// A request whose route and caller are known.
pub(super) struct Call<'a> {
    /// The face that answers.
    pub(super) service: &'a Service,
    /// What the listener knows.
    pub(super) context: &'a Context,
    /// Who asks.
    pub(super) identity: Identity,
    /// The parameters.
    pub(super) query: Query,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body, not read yet.
    pub(super) body: RequestBody,
    /// Which parts of the answer are wanted.
    pub(super) mask: Option<FieldMask>,
    /// What the log will say.
    pub(super) outcome: &'a mut Outcome,
}

impl Call<'_> {
    /// What the face is made of.
    pub(super) fn inner(&self) -> &Inner {
        &self.service.0.inner
    }

    /// Objects, here and in production.
    pub(super) fn view(&self) -> &View {
        &self.inner().view
    }

    /// Where objects are kept.
    pub(super) fn store(&self) -> &Store {
        self.inner().view.store()
    }

    /// Where to look for what is not here.
    pub(super) fn fallback(&self) -> &Fallback {
        self.inner().view.fallback()
    }

    /// Whether the caller has a permission.
    pub(super) fn authorize(
        &self,
        permission: Permission,
        bucket: &BucketName,
        key: &str,
    ) -> Result<(), Error> {
        access::authorize(&self.identity, &self.inner().anonymous, permission, bucket, key)
            .map_err(|denied| self.denied(permission).caused_by(denied))
    }

    /// GCS: who has not said who it is, is asked to (401); everybody else is refused (403).
    fn denied(&self, permission: Permission) -> Error {
        let what = match permission {
            Permission::Read => "storage.objects.get",
            Permission::Write => "storage.objects.create",
            Permission::List => "storage.objects.list",
            Permission::Admin => "storage.buckets.create",
        };
        let (reason, who) = match self.identity.access_key_id() {
            None => (Reason::LoginRequired, "Anonymous caller".to_owned()),
            Some(id) => (Reason::Forbidden, id.to_string()),
        };
        Error::with_message(
            reason,
            format!(
                "{who} does not have {what} access to the Google Cloud Storage resource. \
                 Permission '{what}' denied on resource (or it may not exist)."
            ),
        )
    }

    /// The bucket, for whoever has any grant in it: `bucket.exists()` must not need to list.
    pub(super) fn bucket(&self, name: &BucketName) -> Result<Bucket, Error> {
        self.admit(Permission::List, name)?;
        self.bucket_exists(name)
    }

    /// Refuses whoever has no grant in a bucket at all: that is known before the name of the object.
    pub(super) fn admit(&self, permission: Permission, bucket: &BucketName) -> Result<(), Error> {
        if access::may_see(&self.identity, &self.inner().anonymous, bucket) {
            Ok(())
        } else {
            Err(self.denied(permission))
        }
    }

    /// Fails early where there is no such bucket.
    pub(super) fn bucket_exists(&self, name: &BucketName) -> Result<Bucket, Error> {
        self.store().find_bucket(name)?.ok_or_else(Error::no_such_bucket)
    }

    /// A parameter that is a number.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Error> {
        let Some(text) = self.query.get(name) else { return Ok(None) };
        // GCS: generations are signed in the API's description, and never negative.
        text.parse().map(Some).map_err(|_| Error::parameter(name, text, "a number from 0 on"))
    }

    /// Whether a parameter says yes. Google's Python client writes `True`.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.query.get(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// `ifGenerationMatch` and its family.
    pub(super) fn conditions(&self) -> Result<WriteConditions, Error> {
        Ok(WriteConditions {
            if_generation_match: self.number("ifGenerationMatch")?,
            if_generation_not_match: self.number("ifGenerationNotMatch")?,
            if_metageneration_match: self.number("ifMetagenerationMatch")?,
            if_metageneration_not_match: self.number("ifMetagenerationNotMatch")?,
            ..WriteConditions::default()
        })
    }

    /// `ifSourceGenerationMatch` and its family.
    pub(super) fn source_conditions(&self) -> Result<WriteConditions, Error> {
        Ok(WriteConditions {
            if_generation_match: self.number("ifSourceGenerationMatch")?,
            if_generation_not_match: self.number("ifSourceGenerationNotMatch")?,
            if_metageneration_match: self.number("ifSourceMetagenerationMatch")?,
            if_metageneration_not_match: self.number("ifSourceMetagenerationNotMatch")?,
            ..WriteConditions::default()
        })
    }

    /// An object and its bytes; with a generation, that one and no other.
    pub(super) fn find(&self, place: &Place, generation: Option<u64>) -> Result<(Object, Content), Error> {
        match self.look(place, generation)? {
            Found::Here(object, content) => Ok((*object, content)),
            Found::Deleted | Found::Absent => Err(Error::no_such_object(&place.bucket, &place.key)),
        }
    }

    /// What is under a key; with a generation, that one and no other.
    pub(super) fn look(&self, place: &Place, generation: Option<u64>) -> Result<Found, Error> {
        let none = || Error::no_such_object(&place.bucket, &place.key);
        match self.view().find(&place.bucket, &place.key, None)? {
            Lookup::Here(object, content)
                if generation.is_none_or(|generation| as_kept(&object, generation) == object.generation) =>
            {
                Ok(Found::Here(Box::new(object), content))
            }
            Lookup::Absent => Ok(Found::Absent),
            Lookup::NoBucket => Err(Error::no_such_bucket()),
            Lookup::Tombstone => Ok(Found::Deleted),
            Lookup::Here(..) | Lookup::DeleteMarker { .. } => Err(none()),
        }
    }

    /// The object that only production has; with a generation, that one and no other.
    pub(super) async fn remote(
        &self,
        place: &Place,
        generation: Option<u64>,
    ) -> Result<(Object, Option<u64>), Error> {
        let Place { bucket, key } = place;
        let hops = &self.context.hops;
        // Who may upload asks whether it must.
        let found = match self.authorize(Permission::Write, bucket, key.as_str()) {
            Ok(()) => self.view().remote_for_writer(bucket, key, hops).await?,
            Err(_) => self.view().remote(bucket, key, hops).await?,
        };
        let found = found.map(|remote| (as_object(&place.bucket, &remote), remote.size_bytes));
        let wanted = |(object, _): &(Object, Option<u64>)| {
            generation.is_none_or(|generation| generation == object.generation)
        };
        found.filter(wanted).ok_or_else(|| Error::no_such_object(&place.bucket, &place.key))
    }

    /// An object that is to be copied or changed, after fetching it where only production has it.
    ///
    /// What was fetched may be evicted before it is found; then it is fetched again.
    pub(super) async fn open(
        &self,
        place: &Place,
        mut generation: Option<u64>,
    ) -> Result<(Object, Content), Error> {
        let none = || Error::no_such_object(&place.bucket, &place.key);
        for _ in 0..ATTEMPTS {
            match self.look(place, generation)? {
                Found::Here(object, content) => return Ok((*object, content)),
                Found::Deleted => return Err(none()),
                Found::Absent => {}
            }
            if generation.is_some() {
                // That of production's object. Here it gets another one.
                self.remote(place, generation.take()).await?;
            }
            if !self.view().materialise(&place.bucket, &place.key, &self.context.hops).await? {
                return Err(none());
            }
        }
        Err(store::Error::SourceChanged.into())
    }

    /// The conditions of a write as the store must check them, where they hold of what production
    /// has.
    pub(super) async fn check_write(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        conditions: WriteConditions,
    ) -> Result<WriteConditions, Error> {
        check_write(self.view(), &self.context.hops, (bucket, key), conditions).await
    }

    /// Fails where the conditions of a write do not hold already, before its bytes are read. The store
    /// decides in the end.
    pub(super) async fn foresee_write(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        conditions: &WriteConditions,
    ) -> Result<(), Error> {
        if *conditions == WriteConditions::default() {
            return Ok(());
        }
        let of_production = self.check_write(bucket, key, conditions.clone()).await?;
        let checked = match self.view().find(bucket, key, None)? {
            Lookup::Here(object, _) => {
                as_kept_conditions(&object, conditions.clone()).check(Some(&object.state()))
            }
            Lookup::Absent | Lookup::Tombstone | Lookup::DeleteMarker { .. } => of_production.check(None),
            Lookup::NoBucket => Ok(()),
        };
        checked.map_err(Error::condition)
    }

    /// Checks the conditions of a read: 304 where the client has what it would get.
    pub(super) fn check_read(&self, object: &Object) -> Result<(), Error> {
        as_kept_conditions(object, self.conditions()?).check(Some(&resource::state(object))).map_err(
            |failed| match failed {
                ConditionFailed::Precondition(name) if name.ends_with("NotMatch") => {
                    Error::condition(ConditionFailed::NotModified)
                }
                failed @ (ConditionFailed::Precondition(_)
                | ConditionFailed::NotModified
                | ConditionFailed::Missing) => Error::condition(failed),
            },
        )
    }

    /// The same object with MD5 and CRC-32C. An S3 multipart upload has no MD5 of the whole until
    /// somebody asks: then its bytes are read once, and the answer is kept.
    pub(super) async fn with_digests(&self, mut object: Object, content: &Content) -> Result<Object, Error> {
        if object.md5.is_some() && object.crc32c.is_some() {
            return Ok(object);
        }
        let digests = digest::digest(content, ByteRange::whole(object.size_bytes), &[]).await?;
        self.store().set_digests(&object, &digests).await?;
        object.md5 = Some(digests.md5);
        object.crc32c = Some(digests.crc32c());
        Ok(object)
    }

    /// The digests of several contents, one behind the other.
    pub(super) async fn digest_all(&self, contents: &[Content]) -> Result<Digests, Error> {
        Ok(digest::digest_all(contents).await?)
    }

    /// Reads the body as a document.
    pub(super) async fn document(&mut self) -> Result<Bytes, Error> {
        let mut document = Document::new(self.inner().limits.document_bytes_max);
        let mut incoming = self.incoming();
        while let Some(bytes) = incoming.next().await? {
            document.push(&bytes)?;
        }
        incoming.finish()?;
        Ok(document.finish())
    }

    /// Reads the body as a resource.
    pub(super) async fn sent(&mut self) -> Result<Sent, Error> {
        Sent::parse(&self.document().await?)
    }

    /// Takes the body, to be read piece by piece.
    pub(super) fn incoming(&mut self) -> Incoming {
        let nothing = body::receive(Empty::new(), ByteCount::default());
        Incoming::plain(&self.headers, std::mem::replace(&mut self.body, nothing))
    }

    /// How the client reaches us.
    pub(super) fn base(&self) -> Base {
        Base::of(self.context)
    }

    /// 200 with a document, or with the part of it that is wanted.
    pub(super) fn answer(&self, document: Value) -> Response {
        response::masked(document, self.mask.as_ref())
    }

    /// 200 with an object's resource.
    pub(super) fn object(&self, object: &Object) -> Response {
        self.answer(resource::object(object, &self.base()))
    }

    /// 204.
    pub(super) fn done() -> Response {
        response::empty(StatusCode::NO_CONTENT)
    }
}

/// The same condition under the name that it has for a source.
fn source_condition(failed: ConditionFailed) -> Error {
    Error::condition(match failed {
        ConditionFailed::Precondition("ifGenerationMatch") => {
            ConditionFailed::Precondition("ifSourceGenerationMatch")
        }
        ConditionFailed::Precondition("ifGenerationNotMatch") => {
            ConditionFailed::Precondition("ifSourceGenerationNotMatch")
        }
        ConditionFailed::Precondition("ifMetagenerationMatch") => {
            ConditionFailed::Precondition("ifSourceMetagenerationMatch")
        }
        ConditionFailed::Precondition(_) => ConditionFailed::Precondition("ifSourceMetagenerationNotMatch"),
        other @ (ConditionFailed::NotModified | ConditionFailed::Missing) => other,
    })
}

/// [`Call::check_write`] for work that goes on without its call.
pub(super) async fn check_write(
    view: &View,
    hops: &Hops,
    (bucket, key): (&BucketName, &ObjectKey),
    mut conditions: WriteConditions,
) -> Result<WriteConditions, Error> {
    if conditions != WriteConditions::default() {
        if let Lookup::Here(object, _) = view.find(bucket, key, None)? {
            return Ok(as_kept_conditions(&object, conditions));
        }
        view.check_write(bucket, key, &mut conditions, hops).await?;
    }
    Ok(conditions)
}

/// The generation that a client means of an object that is here.
///
/// Production's objects have one before they are kept here and another one after; a client that has
/// seen the first goes on with it.
pub(super) fn as_kept(object: &Object, generation: u64) -> u64 {
    let is_productions = object.origin == Origin::Cached && generation == generation_of(object.modified);
    if is_productions { object.generation } else { generation }
}

/// The same for the conditions of a write.
pub(super) fn as_kept_conditions(object: &Object, conditions: WriteConditions) -> WriteConditions {
    let kept = |generation: Option<u64>| generation.map(|generation| as_kept(object, generation));
    WriteConditions {
        if_generation_match: kept(conditions.if_generation_match),
        if_generation_not_match: kept(conditions.if_generation_not_match),
        ..conditions
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{BucketName, ETag, Metadata, ObjectKey, Timestamp};
    use crate::upstream::Remote;
    use crate::view::{as_object, generation_of};

    #[test]
    fn a_generation_of_production_is_what_the_view_says() {
        let bucket = BucketName::parse("bucket").expect("a name");
        for seconds in [0, 1, 1_795_209_619] {
            let modified = Timestamp::from_seconds(seconds);
            let remote = Remote {
                key: ObjectKey::parse("a").expect("a key"),
                size_bytes: Some(1),
                etag: ETag::parse("tag").expect("a tag"),
                modified,
                metadata: Metadata::default(),
                md5: None,
                crc32c: None,
            };
            assert_eq!(as_object(&bucket, &remote).generation, generation_of(modified));
        }
    }
}
