//! What becomes of a read of a key that is not here, the same on every face: a redirect, or what
//! production has under it, by proxy, along with its fetch into the store or from the index.
//!
//! Conditions and ranges are planned here once more, also of what upstream has answered: an
//! upstream that knows none of them still makes a stage that does.
//!
//! Deliberately elsewhere: the decision itself (`fallback`), asking and keeping (`view`), and each
//! face's words for "not found".

#[cfg(test)]
pub(crate) mod production;
#[cfg(test)]
mod tests;

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LOCATION, RANGE,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::body::ResponseBody;
use super::outcome::{Answered, Outcome};
use super::read::{self, ReadPlan};
use super::request::{Context, Response};
use super::{conditions, headers, made_tag};
use crate::fallback::{
    ClientKind, Decision, Fallback, PresignFailed, ReadMethod, Redirect, RedirectStatus, Target,
};
use crate::model::{BucketName, ByteRange, ObjectKey, ObjectState, RangeSpec};
use crate::store::Object;
use crate::upstream::{self, Answer};
use crate::view::{self, Miss, Reply, View, as_object};

/// A read of a key that is not here, as a face has understood it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its bucket.
    pub bucket: &'a BucketName,
    /// Its key.
    pub key: &'a ObjectKey,
    /// GET or HEAD.
    pub method: ReadMethod,
    /// Who asks.
    pub client: ClientKind,
    /// All headers of the client.
    pub headers: &'a HeaderMap,
    /// The request.
    pub context: &'a Context,
    /// What the tags of the face are.
    pub tags: Tags,
    /// Whether who asks may write the key.
    pub may_write: bool,
}

/// What the tags of a face are: what `If-Match` and its family name, and `ETag` says.
#[derive(Debug, Clone, Copy)]
pub enum Tags {
    /// Those of the objects, which upstream knows too.
    OfObjects,
    /// The face's own, which upstream must not be asked for.
    Own(fn(&Object) -> ObjectState),
}

/// What has become of the read.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made once a request and taken apart at once")]
pub enum Missed {
    /// There is no such key. The outcome says why.
    Absent,
    /// The client is sent elsewhere.
    Redirect(Response),
    /// Production has it.
    Found(Box<Found>),
    /// 412; the name of the condition that does not hold.
    PreconditionFailed(&'static str),
    /// 416; the size of the object, where it is known.
    Unsatisfiable(Option<u64>),
}

/// An object of production that is to be sent.
#[derive(Debug)]
pub struct Found {
    /// It, as the store would describe it. Its size may be wrong where [`Found::size_bytes`] is not known.
    pub object: Object,
    /// Its size; `None` where production does not say it.
    pub size_bytes: Option<u64>,
    /// How much of it is sent.
    pub extent: Extent,
    /// These bytes; none for HEAD and for 304.
    pub body: ResponseBody,
}

/// How much of an object is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// 200: all of it.
    Whole,
    /// 206: this.
    Part(ByteRange),
    /// 304: the client has it.
    NotModified,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The view failed.
    #[error(transparent)]
    View(#[from] view::Error),
    /// A link that cannot be signed, which the configuration should have ruled out.
    #[error(transparent)]
    Presign(#[from] PresignFailed),
}

/// Finds out what becomes of a read, and tells the request log.
pub async fn read(view: &View, asked: Asked<'_>, outcome: &mut Outcome) -> Result<Missed, Failed> {
    let passed = passed_on(&asked);
    let Asked { bucket, key, method, client, context, may_write, .. } = asked;
    let who = context.asker(client);
    let miss = Miss { bucket, key, method, asker: who, headers: &passed, hops: &context.hops, may_write };
    let reply = view.miss(miss).await;
    match &reply {
        Ok(Reply::Absent(decision)) => note(decision, outcome),
        Ok(Reply::Redirect(redirect)) => {
            outcome.rule = Some(redirect.rule.to_string());
            outcome.production = Some(redirect.upstream.name());
        }
        Ok(Reply::Proxied(_) | Reply::Flying(_) | Reply::Known(_)) | Err(_) => {
            note(&view.fallback().decide(bucket, key, method, who), outcome);
        }
    }
    Ok(match reply? {
        Reply::Absent(decision) => {
            outcome.answered = absent_as(&decision);
            Missed::Absent
        }
        Reply::Redirect(redirect) => {
            outcome.answered = match redirect.target {
                Target::Plain(_) => Answered::Redirect,
                Target::Presigned { .. } => Answered::Presign,
            };
            Missed::Redirect(redirection(&redirect, context)?)
        }
        Reply::Proxied(answer) => {
            outcome.answered = Answered::Proxy;
            relay(&asked, &passed, answer)
                .map_err(|problem| upstream::Error::Bad {
                    upstream: outcome.upstream.clone().unwrap_or_default(),
                    problem: problem.to_owned(),
                })
                .map_err(view::Error::from)?
        }
        Reply::Flying(flying) => {
            outcome.answered = Answered::Fill;
            let object = flying.object().clone();
            let size = object.size_bytes;
            let plan = asked.plan(&object, Some(size));
            Missed::found(object, Some(size), plan, |range| {
                ResponseBody::flight(flying.reader(range.unwrap_or(ByteRange::whole(size))))
            })
        }
        Reply::Known(remote) => {
            outcome.answered = Answered::Index;
            let object = as_object(bucket, &remote);
            let plan = asked.plan(&object, remote.size_bytes);
            Missed::found(object, remote.size_bytes, plan, |_| ResponseBody::empty())
        }
    })
}

/// What of the client's headers may reach upstream. Conditions go together or not at all, since one
/// can outweigh another; those that stay here are checked against what upstream answers.
fn passed_on(asked: &Asked<'_>) -> HeaderMap {
    let names_tags = made_tag::NAMING.iter().any(|name| asked.headers.contains_key(name));
    let is_foreign = match asked.tags {
        Tags::OfObjects => made_tag::is_named(asked.headers),
        Tags::Own(_) => names_tags,
    };
    let mut passed = HeaderMap::new();
    let mut pass = |name: HeaderName| {
        for value in asked.headers.get_all(&name) {
            passed.append(&name, value.clone());
        }
    };
    if !is_foreign {
        let conditions = [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE];
        conditions.into_iter().for_each(&mut pass);
    }
    // S3 ignores lists of ranges and what does not read; others would answer them. Without its
    // `If-Range` a range is cut out of the whole here.
    let is_bound = is_foreign && asked.headers.contains_key(IF_RANGE);
    if conditions::range(asked.headers).is_some() && !is_bound {
        pass(RANGE);
    }
    passed
}

/// The answer that sends a client elsewhere.
fn redirection(redirect: &Redirect<'_>, context: &Context) -> Result<Response, PresignFailed> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = match redirect.status {
        RedirectStatus::Found => StatusCode::FOUND,
        RedirectStatus::TemporaryRedirect => StatusCode::TEMPORARY_REDIRECT,
    };
    let location = redirect.location(context.now)?;
    let location = HeaderValue::try_from(location).expect("a location is visible ASCII");
    response.headers_mut().insert(LOCATION, location);
    // No cache may keep it: the next upload may take the key's place.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Makes what upstream has answered the answer of a face; fails with what is wrong with it.
fn relay(asked: &Asked<'_>, passed: &HeaderMap, answer: Answer) -> Result<Missed, &'static str> {
    let Answer { status, headers, remote, body } = answer;
    let object = as_object(asked.bucket, &remote);
    let size_bytes = remote.size_bytes;
    let head = asked.method == ReadMethod::Head;
    let (plan, whole) = match status {
        StatusCode::NOT_MODIFIED => (ReadPlan::NotModified, false),
        StatusCode::PRECONDITION_FAILED => {
            let name = if passed.contains_key(IF_MATCH) { "If-Match" } else { "If-Unmodified-Since" };
            (ReadPlan::PreconditionFailed(name), false)
        }
        StatusCode::RANGE_NOT_SATISFIABLE => return Ok(Missed::Unsatisfiable(size_bytes)),
        StatusCode::PARTIAL_CONTENT => {
            let range = part(passed, &headers, size_bytes)?;
            // The client waits for as many bytes as the part is said to have.
            if !head && body.remaining().is_some_and(|length| length != range.len()) {
                return Err("answered with a part of another length than it names");
            }
            let conditions = conditions::of_read(asked.headers);
            (read::plan_of_part(&conditions, range, &asked.state(&object)), false)
        }
        _ => (asked.plan(&object, size_bytes), true),
    };
    Ok(Missed::found(object, size_bytes, plan, |range| match range {
        _ if head => ResponseBody::empty(),
        Some(range) if whole => ResponseBody::upstream_part(body, range),
        Some(_) | None => ResponseBody::upstream(body),
    }))
}

/// The part that upstream has sent, if it is the one that it was asked for: a client that asks for
/// the parts of a file may not look at what they are called.
fn part(passed: &HeaderMap, headers: &HeaderMap, size_bytes: Option<u64>) -> Result<ByteRange, &'static str> {
    let both = content_range(headers).zip(conditions::range(passed));
    let (named, asked) =
        both.ok_or("answered with a part that it does not name, or that was not asked for")?;
    let is_it = match (asked, size_bytes) {
        (_, Some(size)) => asked.resolve(size) == Ok(named),
        // Without a size, an end before the one that was asked for may be that of the object.
        (RangeSpec::Closed { first, last }, None) => {
            named.start == first && named.end <= last.saturating_add(1)
        }
        (RangeSpec::From(first), None) => named.start == first,
        (RangeSpec::Suffix(length), None) => named.len() <= length,
    };
    if is_it { Ok(named) } else { Err("answered with another part than was asked for") }
}

/// `Content-Range: bytes FIRST-LAST/SIZE`, where the size may be `*`.
fn content_range(headers: &HeaderMap) -> Option<ByteRange> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, _) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let (start, last) = (first.parse().ok()?, last.parse::<u64>().ok()?);
    (start <= last).then(|| ByteRange { start, end: last.saturating_add(1) })
}

impl Asked<'_> {
    /// What the client's conditions are compared with.
    fn state(&self, object: &Object) -> ObjectState {
        match self.tags {
            Tags::OfObjects => made_tag::compared(object, self.headers),
            Tags::Own(state) => state(object),
        }
    }

    /// Applies the client's conditions and range to all of an object.
    fn plan(&self, object: &Object, size_bytes: Option<u64>) -> ReadPlan {
        // Without a size there is nothing to fit a range to. RFC 9110 section 14.2: it may be ignored.
        let range = conditions::range(self.headers).filter(|_| size_bytes.is_some());
        let if_range = conditions::if_range(self.headers);
        read::plan(&conditions::of_read(self.headers), range, if_range.as_ref(), &self.state(object))
    }
}

impl Missed {
    /// Carries out a plan. `body` gives the bytes: a range of them, or all.
    fn found(
        object: Object,
        size_bytes: Option<u64>,
        plan: ReadPlan,
        body: impl FnOnce(Option<ByteRange>) -> ResponseBody,
    ) -> Self {
        let (extent, body) = match plan {
            ReadPlan::Whole => (Extent::Whole, body(None)),
            ReadPlan::Partial(range) => (Extent::Part(range), body(Some(range))),
            ReadPlan::NotModified => (Extent::NotModified, ResponseBody::empty()),
            ReadPlan::PreconditionFailed(name) => return Self::PreconditionFailed(name),
            ReadPlan::Unsatisfiable(_) => return Self::Unsatisfiable(size_bytes),
        };
        Self::Found(Box::new(Found { object, size_bytes, extent, body }))
    }
}

impl Found {
    /// The same as the only part of itself: 206 instead of 200.
    #[must_use]
    pub fn as_its_own_part(mut self) -> Self {
        if let (Extent::Whole, Some(size)) = (self.extent, self.size_bytes.filter(|size| *size > 0)) {
            self.extent = Extent::Part(ByteRange::whole(size));
        }
        self
    }

    /// The answer with the headers that every face sends, and the object for those that only one does.
    /// `state` is what the face shows of it.
    pub fn into_response(self, state: impl FnOnce(&Object) -> ObjectState) -> (Response, Object) {
        let Self { object, size_bytes, extent, body } = self;
        let mut response = Response::new(body);
        let written = response.headers_mut();
        headers::write_object(written, &state(&object), &object.metadata);
        let status = match extent {
            Extent::Whole => {
                if let Some(size) = size_bytes {
                    written.insert(CONTENT_LENGTH, HeaderValue::from(size));
                }
                StatusCode::OK
            }
            Extent::Part(range) => {
                written.insert(CONTENT_LENGTH, HeaderValue::from(range.len()));
                let size = size_bytes.map_or_else(|| "*".to_owned(), |size| size.to_string());
                let named = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
                if let Ok(named) = HeaderValue::try_from(named) {
                    written.insert(CONTENT_RANGE, named);
                }
                StatusCode::PARTIAL_CONTENT
            }
            Extent::NotModified => {
                // A 304 carries no representation (RFC 9110 section 15.4.5).
                written.remove(CONTENT_TYPE);
                StatusCode::NOT_MODIFIED
            }
        };
        *response.status_mut() = status;
        (response, object)
    }
}

/// Tells the request log which rule shows production's object, for answers that are made of what
/// production says of it.
pub fn note_source(fallback: &Fallback, bucket: &BucketName, key: &ObjectKey, outcome: &mut Outcome) {
    if let Some(fetch) = fallback.source(bucket, key) {
        note(&Decision::Fetch(fetch), outcome);
    }
}

/// Tells the request log which rule decided, and which upstream it is about.
fn note(decision: &Decision<'_>, outcome: &mut Outcome) {
    let rule = match decision {
        Decision::NoRule | Decision::UnderTest { .. } => None,
        Decision::Deny { rule } | Decision::NotMappable { rule } | Decision::NotPrevious { rule } => {
            Some(rule)
        }
        Decision::Redirect(redirect) => {
            outcome.upstream = redirect.probe.map(|upstream| upstream.name());
            Some(&redirect.rule)
        }
        Decision::Fetch(fetch) => {
            outcome.upstream = Some(fetch.upstream.name());
            outcome.production.clone_from(&outcome.upstream);
            Some(&fetch.rule)
        }
    };
    outcome.rule = rule.map(ToString::to_string);
}

/// What the request log calls it that there is no such key.
fn absent_as(decision: &Decision<'_>) -> Answered {
    match decision {
        Decision::UnderTest { .. } => Answered::UnderTest,
        Decision::Deny { .. } => Answered::Deny,
        Decision::NoRule
        | Decision::NotMappable { .. }
        | Decision::NotPrevious { .. }
        | Decision::Redirect(_)
        | Decision::Fetch(_) => Answered::Absent,
    }
}
