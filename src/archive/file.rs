//! Files: from the first bucket that has the key, or by what the rules and production say.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, LOCATION};
use http::{HeaderValue, StatusCode};

use super::route::path_of;
use super::{Call, Failure, page, refused};
use crate::fallback::{ClientKind, Decision, Fetch, ReadMethod, Redirect};
use crate::model::{BucketName, ObjectKey, Permission, Unsatisfiable};
use crate::protocol::auth::Identity;
use crate::protocol::body::ResponseBody;
use crate::protocol::miss::{self, Asked, Missed, Tags};
use crate::protocol::outcome::{Answered, Outcome};
use crate::protocol::read::{self, ReadPlan};
use crate::protocol::request::Response;
use crate::protocol::{client, conditions, headers, made_tag};
use crate::store::{self, Content, Lookup, Object};
use crate::view;

/// What the buckets of a path have under a key.
enum Found {
    Here(Box<Object>, Content),
    /// One of them had it, and it was deleted.
    Deleted,
    Absent,
}

impl Call<'_> {
    /// Answers for a key: here, deleted, a directory, or wherever the fallback says.
    pub(super) async fn file(
        &self,
        key: &ObjectKey,
        buckets: &[BucketName],
        leads_to_tree: bool,
        outcome: &mut Outcome,
    ) -> Result<Response, Failure> {
        outcome.operation = match self.method {
            ReadMethod::Get => "GetObject",
            ReadMethod::Head => "HeadObject",
        };
        outcome.key = Some(key.clone());
        let allowed = self.allowed(Permission::Read, buckets, key.as_str());
        if allowed.is_empty() && !buckets.is_empty() {
            return Ok(refused(outcome));
        }
        let found = self.find(key, &allowed)?;
        if let Found::Here(object, content) = found {
            return self.object(&object, &content, outcome);
        }
        if leads_to_tree || self.is_directory(key, buckets, false).await? {
            return Ok(to_directory(key));
        }
        let response = if matches!(found, Found::Deleted) {
            outcome.answered = Answered::Tombstone;
            page::words(StatusCode::NOT_FOUND, "This file was deleted here.")
        } else {
            self.fall_back(key, &allowed, outcome).await?
        };
        // A redirect is made without asking, and production knows its directories itself. Of a file
        // that was deleted here there is nothing to ask.
        let is_missing = response.status() == StatusCode::NOT_FOUND && !matches!(found, Found::Deleted);
        if is_missing && self.is_directory(key, buckets, true).await? {
            outcome.look_elsewhere();
            return Ok(to_directory(key));
        }
        Ok(response)
    }

    /// The `index.html` of a directory, if there is one; production's where it is fetched for the
    /// client. A redirect to one that may not exist would take the index away from everybody.
    pub(super) async fn index_file(
        &self,
        prefix: &str,
        buckets: &[BucketName],
        outcome: &mut Outcome,
    ) -> Result<Option<Response>, Failure> {
        let Ok(key) = ObjectKey::parse(&format!("{prefix}index.html")) else { return Ok(None) };
        let allowed = self.allowed(Permission::Read, buckets, key.as_str());
        match self.find(&key, &allowed)? {
            Found::Here(object, content) => return self.object(&object, &content, outcome).map(Some),
            Found::Deleted => return Ok(None),
            Found::Absent => {}
        }
        for bucket in &allowed {
            let is_looked_for = match self.decide(bucket, &key) {
                Decision::Fetch(_) => true,
                Decision::Redirect(redirect) => redirect.probe.is_some(),
                Decision::NoRule
                | Decision::UnderTest { .. }
                | Decision::Deny { .. }
                | Decision::NotMappable { .. }
                | Decision::NotPrevious { .. } => false,
            };
            if !is_looked_for {
                continue;
            }
            if let Some(response) = self.missed(bucket, &key, outcome).await? {
                outcome.bucket = Some(bucket.clone());
                outcome.key = Some(key);
                return Ok(Some(response));
            }
        }
        outcome.look_elsewhere();
        Ok(None)
    }

    /// A file that is in one bucket is there, whatever was deleted from another; a file that is in
    /// none is deleted if it was deleted from any, so that it does not come back from production.
    fn find(&self, key: &ObjectKey, buckets: &[BucketName]) -> Result<Found, Failure> {
        let mut found = Found::Absent;
        for bucket in buckets {
            match self.service.view.find(bucket, key, None)? {
                Lookup::Here(object, content) => return Ok(Found::Here(Box::new(object), content)),
                Lookup::Tombstone | Lookup::DeleteMarker { .. } => found = Found::Deleted,
                Lookup::Absent | Lookup::NoBucket => {}
            }
        }
        Ok(found)
    }

    fn object(&self, object: &Object, content: &Content, outcome: &mut Outcome) -> Result<Response, Failure> {
        outcome.bucket = Some(object.bucket.clone());
        outcome.key = Some(object.key.clone());
        outcome.note_origin(object.origin);
        let state = object.state();
        let plan = read::plan(
            &conditions::of_read(self.headers),
            conditions::range(self.headers),
            conditions::if_range(self.headers).as_ref(),
            &made_tag::compared(object, self.headers),
        );
        let mut response = match plan {
            ReadPlan::Whole | ReadPlan::Partial(_) | ReadPlan::NotModified => {
                let body = match plan.bytes(object.size_bytes) {
                    Some(range) => ResponseBody::content(content, range, self.method)?,
                    None => ResponseBody::empty(),
                };
                let mut response = Response::new(body);
                headers::write_object(response.headers_mut(), &state, &object.metadata);
                response
            }
            ReadPlan::PreconditionFailed(name) => precondition_failed(name, outcome),
            ReadPlan::Unsatisfiable(unsatisfiable) => {
                outcome.answered = Answered::Rejected;
                page::words(plan.status(), &unsatisfiable.to_string())
            }
        };
        *response.status_mut() = plan.status();
        headers::write_plan(response.headers_mut(), &plan, object.size_bytes);
        Ok(response)
    }

    /// Whether anything is below the key, for those who forgot the `/`; of production only where it
    /// is `asking`. That there is no such file is certain by then: production that does not say what
    /// is below it has no directory there.
    async fn is_directory(
        &self,
        key: &ObjectKey,
        buckets: &[BucketName],
        asking: bool,
    ) -> Result<bool, Failure> {
        let prefix = format!("{key}/");
        for bucket in self.allowed(Permission::List, buckets, &prefix) {
            match self.service.view.has_below(&bucket, &prefix, &self.context.hops, asking).await {
                Ok(true) => return Ok(true),
                Ok(false) | Err(view::Error::Store(store::Error::NoSuchBucket(_))) => {}
                Err(view::Error::Upstream(error)) => {
                    tracing::warn!(%bucket, prefix, %error, "an upstream does not say whether this is a directory");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// The first bucket whose rules say anything decides; where production turns out to have nothing
    /// there, the next one.
    async fn fall_back(
        &self,
        key: &ObjectKey,
        buckets: &[BucketName],
        outcome: &mut Outcome,
    ) -> Result<Response, Failure> {
        let mut why = Decision::NoRule;
        for bucket in buckets {
            let decision = self.decide(bucket, key);
            if decision == Decision::NoRule {
                continue;
            }
            outcome.bucket = Some(bucket.clone());
            if let Some(response) = self.missed(bucket, key, outcome).await? {
                return Ok(response);
            }
            let asked = matches!(decision, Decision::Fetch(_) | Decision::Redirect(_));
            why = decision;
            if !asked {
                break;
            }
        }
        if why == Decision::NoRule {
            outcome.answered = Answered::Absent;
        }
        Ok(page::words(StatusCode::NOT_FOUND, &why_absent(&why)))
    }

    pub(super) fn decide<'a>(&'a self, bucket: &BucketName, key: &'a ObjectKey) -> Decision<'a> {
        self.service.view.fallback().decide(bucket, key, self.method, self.context.asker(self.client()))
    }

    /// Nobody signs here, but an SDK may have been pointed at a path.
    fn client(&self) -> ClientKind {
        client::kind(self.headers, &Identity::anonymous())
    }

    /// What a bucket's rules and production say of a key that is not here; `None` for nothing.
    pub(super) async fn missed(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        outcome: &mut Outcome,
    ) -> Result<Option<Response>, Failure> {
        let asked = Asked {
            bucket,
            key,
            method: self.method,
            client: self.client(),
            headers: self.headers,
            context: self.context,
            tags: Tags::OfObjects,
            // Nobody writes here.
            may_write: false,
        };
        Ok(Some(match miss::read(&self.service.view, asked, outcome).await? {
            Missed::Absent => return Ok(None),
            Missed::Redirect(response) => not_stored(response),
            Missed::Found(found) => found.into_response(Object::state).0,
            Missed::PreconditionFailed(name) => precondition_failed(name, outcome),
            Missed::Unsatisfiable(size_bytes) => {
                outcome.answered = Answered::Rejected;
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                match size_bytes {
                    None => page::words(status, "The requested range is not satisfiable."),
                    Some(size_bytes) => {
                        let unsatisfiable = Unsatisfiable { size_bytes };
                        let mut response = page::words(status, &unsatisfiable.to_string());
                        let plan = ReadPlan::Unsatisfiable(unsatisfiable);
                        headers::write_plan(response.headers_mut(), &plan, size_bytes);
                        response
                    }
                }
            }
        }))
    }
}

fn precondition_failed(name: &str, outcome: &mut Outcome) -> Response {
    outcome.answered = Answered::Rejected;
    page::words(StatusCode::PRECONDITION_FAILED, &format!("The condition {name} does not hold."))
}

/// For the person who wonders.
fn why_absent(decision: &Decision<'_>) -> String {
    let because = match decision {
        Decision::NoRule => "no fallback rule covers it".to_owned(),
        Decision::UnderTest { release } => format!("production is not asked: {release} is under test"),
        Decision::Deny { rule } => format!("the fallback rule {rule} denies it"),
        Decision::NotMappable { rule } => format!("the fallback rule {rule} has no address for it"),
        Decision::NotPrevious { rule } => format!("the fallback rule {rule} is for previous releases only"),
        Decision::Fetch(Fetch { rule, .. }) | Decision::Redirect(Redirect { rule, .. }) => {
            format!("production has none, by the fallback rule {rule}")
        }
    };
    format!("This file is not here, and {because}.")
}

/// To the same path with the `/` that a directory has.
fn to_directory(key: &ObjectKey) -> Response {
    let address = path_of(&format!("{key}/"));
    let location = HeaderValue::from_str(&address).expect("a path of a key is percent-encoded");
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(LOCATION, location);
    not_stored(response)
}

/// No cache may keep a redirect: the next upload may take its place.
fn not_stored(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
    response
}
