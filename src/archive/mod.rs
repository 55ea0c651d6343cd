//! The archive face: GET and HEAD by plain paths, without a bucket in them, with directory indexes
//! and redirects, for release tools, browsers and curl.
//!
//! It answers as archive.mozilla.org does (mozilla-services/product-delivery-tools,
//! `bucketlister`). Everybody is anonymous here, so what may be seen is what anonymous grants say.
//! Deliberately elsewhere: writing anything, S3's XML and `x-amz-…` headers, and which rule sends a
//! key to production (`fallback`).

mod config;
mod file;
mod folder;
mod index;
mod page;
mod route;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use http::header::{ACCEPT, ALLOW, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

pub use config::{Config, InvalidConfig};
pub use route::file_at;

use self::index::{ENTRIES_MAX, Index};
use self::route::{Route, route};
use crate::fallback::ReadMethod;
use crate::model::{BucketName, Grant, Permission};
use crate::protocol::access::authorize;
use crate::protocol::auth::Identity;
use crate::protocol::body::ResponseBody;
use crate::protocol::outcome::{Answered, Face, Outcome};
use crate::protocol::request::{Context, Request, Response};
use crate::protocol::trouble::Trouble;
use crate::protocol::{browser, miss};
use crate::store;
use crate::view::View;

/// The archive face over one store.
#[derive(Debug, Clone)]
pub struct Service(Arc<Inner>);

/// What the face is made of.
#[derive(Debug)]
pub struct Inner {
    /// Objects, here and in production.
    pub view: View,
    /// What everybody may do.
    pub anonymous: Vec<Grant>,
    /// Which buckets stand behind which paths.
    pub trees: Vec<Config>,
}

/// What every step of an answer needs.
struct Call<'a> {
    service: &'a Inner,
    context: &'a Context,
    headers: &'a HeaderMap,
    method: ReadMethod,
}

/// Why there is no answer that a client could use.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    View(#[from] crate::view::Error),
    #[error(transparent)]
    Presign(#[from] crate::fallback::PresignFailed),
}

impl Service {
    /// Puts the face together.
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Answers a request that a browser must not have sent, without looking at what it asks.
    pub fn refuse(&self, context: &Context, request: &Request, refused: &browser::Refused) -> Response {
        let mut outcome = Outcome::begin(context, Face::Archive);
        outcome.answered = Answered::Refused;
        let response = page::words(StatusCode::FORBIDDEN, &refused.to_string());
        let head = request.method() == Method::HEAD;
        outcome.attach(if head { response.map(|_| ResponseBody::empty()) } else { response })
    }

    /// Answers one request, whatever it is, and has it logged when the answer has gone out.
    pub async fn call(&self, context: &Context, request: Request) -> Response {
        let mut outcome = Outcome::begin(context, Face::Archive);
        let method = match *request.method() {
            Method::GET => ReadMethod::Get,
            Method::HEAD => ReadMethod::Head,
            _ => {
                let response = not_allowed(&mut outcome);
                return outcome.attach(response);
            }
        };
        let call = Call { service: &self.0, context, headers: request.headers(), method };
        let path = request.uri().path();
        let response = match call.answer(path, &mut outcome).await {
            Ok(response) => response,
            Err(failure) => failure.answer(&mut outcome),
        };
        let response =
            if method == ReadMethod::Head { response.map(|_| ResponseBody::empty()) } else { response };
        outcome.attach(response)
    }
}

impl From<miss::Failed> for Failure {
    fn from(failed: miss::Failed) -> Self {
        match failed {
            miss::Failed::View(failed) => Self::View(failed),
            miss::Failed::Presign(failed) => Self::Presign(failed),
        }
    }
}

impl Failure {
    /// A plain page, and what the log says. Trouble of production names it.
    fn answer(self, outcome: &mut Outcome) -> Response {
        let ours = |outcome: &mut Outcome, failed: &dyn std::error::Error| {
            outcome.fail(failed);
            page::words(StatusCode::INTERNAL_SERVER_ERROR, "The store failed; its log says why.")
        };
        let failed = match self {
            Self::Store(failed) => return ours(outcome, &failed),
            Self::Presign(failed) => return ours(outcome, &failed),
            Self::View(failed) => failed,
        };
        match Trouble::of(failed) {
            Trouble::Store(failed) => ours(outcome, &failed),
            Trouble::Condition(failed) => {
                outcome.answered = Answered::Rejected;
                page::words(StatusCode::PRECONDITION_FAILED, &failed.to_string())
            }
            Trouble::NotMappable(failed) => {
                outcome.answered = Answered::Absent;
                page::words(StatusCode::NOT_FOUND, &failed.to_string())
            }
            Trouble::Upstream { kind, upstream, error } => {
                outcome.upstream_failed(&upstream, &error);
                let mut response = page::words(kind.status(), &format!("{error}."));
                if let Some(seconds) = kind.retry_after() {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                response
            }
        }
    }
}

impl Call<'_> {
    async fn answer(&self, path: &str, outcome: &mut Outcome) -> Result<Response, Failure> {
        match route(&self.service.trees, &self.context.host_name(), path) {
            Route::Malformed => {
                outcome.answered = Answered::Rejected;
                Ok(page::words(StatusCode::BAD_REQUEST, "The path is not UTF-8."))
            }
            Route::File { key, trees, leads_to_tree } => {
                let buckets = self.buckets(&trees)?;
                self.file(&key, &buckets, leads_to_tree, outcome).await
            }
            Route::Directory { prefix, trees, mounts } => {
                outcome.operation = "Index";
                let buckets = self.buckets(&trees)?;
                let root = trees.iter().any(|tree| tree.path.strip_prefix('/') == Some(prefix.as_str()));
                self.directory(Directory { prefix, buckets, mounts, root }, outcome).await
            }
        }
    }

    /// The buckets behind trees, in order, each once.
    fn buckets(&self, trees: &[&Config]) -> Result<Vec<BucketName>, store::Error> {
        let mut buckets: Vec<BucketName> = Vec::new();
        for tree in trees {
            let of_tree = if tree.buckets.is_empty() { self.every_bucket()? } else { tree.buckets.clone() };
            for bucket in of_tree {
                if !buckets.contains(&bucket) {
                    buckets.push(bucket);
                }
            }
        }
        Ok(buckets)
    }

    fn every_bucket(&self) -> Result<Vec<BucketName>, store::Error> {
        let buckets = self.service.view.store().list_buckets("", None, BUCKETS_MAX)?;
        Ok(buckets.into_iter().map(|bucket| bucket.name).collect())
    }

    /// Those of `buckets` in which everybody may do this.
    fn allowed(&self, permission: Permission, buckets: &[BucketName], key: &str) -> Vec<BucketName> {
        let anonymous = Identity::anonymous();
        let may = |bucket: &&BucketName| {
            authorize(&anonymous, &self.service.anonymous, permission, bucket, key).is_ok()
        };
        buckets.iter().filter(may).cloned().collect()
    }

    /// Whatever the answer is, another `Accept` may get another one.
    async fn directory(&self, asked: Directory, outcome: &mut Outcome) -> Result<Response, Failure> {
        let mut response = self.listed(asked, outcome).await?;
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
        Ok(response)
    }

    async fn listed(&self, asked: Directory, outcome: &mut Outcome) -> Result<Response, Failure> {
        let Directory { prefix, buckets, mounts, root } = asked;
        if let Some(response) = self.index_file(&prefix, &buckets, outcome).await? {
            return Ok(response);
        }
        let allowed = self.allowed(Permission::List, &buckets, &prefix);
        if allowed.is_empty() && !buckets.is_empty() && mounts.is_empty() {
            return Ok(refused(outcome));
        }
        let mut index = Index::read(&self.service.view, &self.context.hops, &allowed, &prefix).await?;
        if !index.exists && !root && mounts.is_empty() {
            if let Some(response) = self.folder(&prefix, &allowed, outcome).await? {
                return Ok(response);
            }
            outcome.answered = Answered::Absent;
            return Ok(page::words(StatusCode::NOT_FOUND, "There is nothing in this directory."));
        }
        if index.cut {
            tracing::warn!(prefix, entries_max = ENTRIES_MAX, "a directory index was cut short");
        }
        index.directories.extend(mounts);
        Ok(page::index_response(wants_json(self.headers), &prefix, &index))
    }
}

/// A directory that is asked for.
struct Directory {
    prefix: String,
    buckets: Vec<BucketName>,
    mounts: BTreeSet<String>,
    /// Whether it is the root of a tree, which exists even with nothing in it.
    root: bool,
}

/// More buckets than a stage has; S3's own page size.
const BUCKETS_MAX: usize = 1000;

fn not_allowed(outcome: &mut Outcome) -> Response {
    outcome.answered = Answered::Rejected;
    let mut response =
        page::words(StatusCode::METHOD_NOT_ALLOWED, "Plain paths are read-only: use GET or HEAD.");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn refused(outcome: &mut Outcome) -> Response {
    outcome.answered = Answered::Refused;
    page::words(StatusCode::FORBIDDEN, "Reading this without a signature needs an anonymous grant.")
}

/// JSON is for those who ask for it and do not read HTML.
fn wants_json(headers: &HeaderMap) -> bool {
    let accepts = |wanted: &str| {
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| {
            value.split(',').any(|range| {
                range.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
            })
        })
    };
    accepts("application/json") && !accepts("text/html")
}
