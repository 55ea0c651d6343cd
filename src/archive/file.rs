//! Files: from the first bucket that has the key, or by the fallback's decision.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, LOCATION};
use http::{HeaderValue, StatusCode};

use super::route::path_of;
use super::{Call, Failure, page, refused};
use crate::fallback::{ClientKind, Decision, ReadMethod};
use crate::model::{BucketName, ObjectKey, Permission};
use crate::protocol::body::ResponseBody;
use crate::protocol::outcome::{Answered, Outcome};
use crate::protocol::read::{self, ReadPlan};
use crate::protocol::request::Response;
use crate::protocol::{conditions, headers, miss};
use crate::store::{self, Content, Lookup, Object, Scan, Start};

/// What the buckets of a path have under a key.
enum Found {
    Here(Box<Object>, Content),
    /// One of them had it, and it was deleted.
    Deleted,
    Absent,
}

impl Call<'_> {
    /// Answers for a key: here, deleted, a directory, or wherever the fallback says.
    pub(super) fn file(
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
            return Ok(self.object(&object, &content, outcome));
        }
        if leads_to_tree || self.is_directory(key, buckets)? {
            return Ok(to_directory(key));
        }
        if matches!(found, Found::Deleted) {
            outcome.answered = Answered::Tombstone;
            return Ok(page::words(StatusCode::NOT_FOUND, "This file was deleted here."));
        }
        self.fall_back(key, &allowed, outcome)
    }

    /// The `index.html` of a directory, if there is one.
    pub(super) fn index_file(
        &self,
        prefix: &str,
        buckets: &[BucketName],
        outcome: &mut Outcome,
    ) -> Result<Option<Response>, Failure> {
        let Ok(key) = ObjectKey::parse(&format!("{prefix}index.html")) else { return Ok(None) };
        let allowed = self.allowed(Permission::Read, buckets, key.as_str());
        match self.find(&key, &allowed)? {
            Found::Here(object, content) => Ok(Some(self.object(&object, &content, outcome))),
            Found::Deleted | Found::Absent => Ok(None),
        }
    }

    /// A file that is in one bucket is there, whatever was deleted from another; a file that is in
    /// none is deleted if it was deleted from any, so that it does not come back from production.
    fn find(&self, key: &ObjectKey, buckets: &[BucketName]) -> Result<Found, Failure> {
        let mut found = Found::Absent;
        for bucket in buckets {
            match self.service.view.store().find_object(bucket, key, None)? {
                Lookup::Here(object, content) => return Ok(Found::Here(Box::new(object), content)),
                Lookup::Tombstone | Lookup::DeleteMarker { .. } => found = Found::Deleted,
                Lookup::Absent | Lookup::NoBucket => {}
            }
        }
        Ok(found)
    }

    fn object(&self, object: &Object, content: &Content, outcome: &mut Outcome) -> Response {
        outcome.bucket = Some(object.bucket.clone());
        outcome.key = Some(object.key.clone());
        let state = object.state();
        let plan = read::plan(
            &conditions::of_read(self.headers),
            conditions::range(self.headers),
            conditions::if_range(self.headers).as_ref(),
            &state,
        );
        let mut response = match plan {
            ReadPlan::Whole | ReadPlan::Partial(_) | ReadPlan::NotModified => {
                let bytes = plan.bytes(object.size_bytes);
                let mut response =
                    Response::new(bytes.map_or_else(ResponseBody::empty, |range| {
                        ResponseBody::content(content.reader(range))
                    }));
                headers::write_object(response.headers_mut(), &state, &object.metadata);
                response
            }
            ReadPlan::PreconditionFailed(name) => {
                outcome.answered = Answered::Rejected;
                page::words(plan.status(), &format!("The condition {name} does not hold."))
            }
            ReadPlan::Unsatisfiable(unsatisfiable) => {
                outcome.answered = Answered::Rejected;
                page::words(plan.status(), &unsatisfiable.to_string())
            }
        };
        *response.status_mut() = plan.status();
        headers::write_plan(response.headers_mut(), &plan, object.size_bytes);
        response
    }

    /// Whether anything is below the key, for those who forgot the `/`.
    fn is_directory(&self, key: &ObjectKey, buckets: &[BucketName]) -> Result<bool, Failure> {
        let prefix = format!("{key}/");
        for bucket in self.allowed(Permission::List, buckets, &prefix) {
            let start = Start::At(prefix.clone());
            let scan = Scan { start, prefix: prefix.clone(), limit: 1, tombstones: false };
            match self.service.view.store().scan_objects(&bucket, &scan) {
                Ok(rows) if rows.is_empty() => {}
                Ok(_) => return Ok(true),
                Err(store::Error::NoSuchBucket(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// The first bucket whose rules say anything decides.
    fn fall_back(
        &self,
        key: &ObjectKey,
        buckets: &[BucketName],
        outcome: &mut Outcome,
    ) -> Result<Response, Failure> {
        let mut decisions = buckets.iter().map(|bucket| {
            (bucket, self.service.view.fallback().decide(bucket, key, self.method, ClientKind::Plain))
        });
        let decided = decisions.find(|(_, decision)| *decision != Decision::NoRule);
        let (bucket, decision) = decided.unzip();
        outcome.bucket = bucket.cloned();
        let decision = decision.unwrap_or(Decision::NoRule);
        Ok(match miss::answer(&decision, self.context.now, outcome)? {
            Some(response) => not_stored(response),
            None => page::words(StatusCode::NOT_FOUND, &why_absent(&decision)),
        })
    }
}

/// For the person who wonders.
fn why_absent(decision: &Decision<'_>) -> String {
    let because = match decision {
        Decision::NoRule => "no fallback rule covers it".to_owned(),
        Decision::UnderTest { release } => format!("production is not asked: {release} is under test"),
        Decision::Deny { rule } => format!("the fallback rule {rule} denies it"),
        Decision::NotMappable { rule } => format!("the fallback rule {rule} has no address for it"),
        Decision::NotPrevious { rule } => format!("the fallback rule {rule} is for previous releases only"),
        Decision::Fetch(fetch) => format!("the fallback rule {} leads elsewhere", fetch.rule),
        Decision::Redirect(redirect) => format!("the fallback rule {} leads elsewhere", redirect.rule),
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
