//! The stage itself, for people and scripts: a JSON API and metrics below `/-/`.
//!
//! `route.rs` has every route, `api.rs` every document, and each resource its file. The command line
//! asks the same operations, over the socket of a running server or on a folder of its own
//! ([`Service::trusted`]). What must not be here: what a verb does (`store`, `view`, `upstream`).

mod access;
pub mod api;
mod crawl;
mod inventory;
mod metrics;
mod receipt;
mod refusal;
mod release;
mod response;
mod route;
pub mod row;
pub mod scrub;
mod snapshots;
mod stored;
#[cfg(test)]
mod tests;
mod undelete;
mod upstreams;

use std::sync::Arc;

use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;

use self::refusal::Refusal;
use self::route::{Operation, Route, route};
use crate::model::{BucketName, SnapshotName, Timestamp};
use crate::protocol::auth::Credentials;
use crate::protocol::body::{RequestBody, ResponseBody};
use crate::protocol::browser;
use crate::protocol::intake::{ChecksumsOf, Intake};
use crate::protocol::meter::Meter;
use crate::protocol::outcome::{Face, Outcome};
use crate::protocol::query::Query;
use crate::protocol::request::{Context, Request, Response};
use crate::sigv4::Payload;
use crate::view::View;

/// The admin face over one store.
#[derive(Debug, Clone)]
pub struct Service(Arc<Inner>);

/// What the face is made of.
#[derive(Debug)]
pub struct Inner {
    /// Objects, here and in production.
    pub view: View,
    /// Who may ask.
    pub credentials: Credentials,
    /// What was counted.
    pub meter: Meter,
    /// How much a document may hold.
    pub limits: crate::protocol::Config,
    /// When the process started.
    pub started: Timestamp,
}

/// A request that may be answered.
struct Call<'a> {
    service: &'a Inner,
    query: Query,
    headers: HeaderMap,
    payload: Payload,
    body: RequestBody,
    now: Timestamp,
}

impl Service {
    /// Puts the face together.
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Answers one request, whatever it is, and has it logged when the answer has gone out.
    pub async fn call(&self, context: &Context, request: Request) -> Response {
        let mut outcome = Outcome::begin(context, Face::Admin);
        let head = request.method() == Method::HEAD;
        let response = match self.answer(context, request, &mut outcome).await {
            Ok(response) => response,
            Err(refusal) => refusal.render(Some(&mut outcome)),
        };
        outcome.attach(if head { response.map(|_| ResponseBody::empty()) } else { response })
    }

    /// Answers a request that a browser must not have sent, without looking at what it asks.
    pub fn refuse(&self, context: &Context, request: &Request, refused: &browser::Refused) -> Response {
        let mut outcome = Outcome::begin(context, Face::Admin);
        let response = Refusal::Forbidden(refused.to_string()).render(Some(&mut outcome));
        let head = request.method() == Method::HEAD;
        outcome.attach(if head { response.map(|_| ResponseBody::empty()) } else { response })
    }

    /// Answers a request of somebody who has the data folder in hand: nothing is asked of him.
    pub async fn trusted(&self, request: Request, now: Timestamp) -> Response {
        let perform = async {
            let route = route(request.method(), request.uri().path())?;
            self.perform(route, request, Payload::Unsigned, now).await
        };
        perform.await.unwrap_or_else(|refusal| refusal.render(None))
    }

    async fn answer(
        &self,
        context: &Context,
        request: Request,
        outcome: &mut Outcome,
    ) -> Result<Response, Refusal> {
        // Who it is comes first: what there is to ask is nobody else's business.
        let caller = access::authenticate(&self.0.credentials, context, &request)?;
        outcome.access_key_id = caller.identity.access_key_id().cloned();
        let route = route(request.method(), request.uri().path())?;
        outcome.operation = route.operation.name();
        outcome.bucket.clone_from(&route.bucket);
        access::allow(&caller.identity, &route)?;
        access::page_has_token(&caller, request.method(), request.headers())?;
        if route.operation == Operation::GetToken {
            return access::token_for(&caller, request.headers());
        }
        self.perform(route, request, caller.payload, context.now).await
    }

    async fn perform(
        &self,
        route: Route,
        request: Request,
        payload: Payload,
        now: Timestamp,
    ) -> Result<Response, Refusal> {
        let (parts, body) = request.into_parts();
        let query = Query::parse(parts.uri.query().unwrap_or_default())?;
        let call = Call { service: &self.0, query, headers: parts.headers, payload, body, now };
        match (&route.bucket, route.snapshot) {
            (Some(bucket), _) => call.of_bucket(route.operation, bucket).await,
            (None, Some(snapshot)) => call.of_snapshot(route.operation, snapshot).await,
            (None, None) => call.of_stage(route.operation).await,
        }
    }
}

impl Call<'_> {
    async fn of_stage(self, operation: Operation) -> Result<Response, Refusal> {
        match operation {
            Operation::GetMetrics => Ok(metrics::get(self.service).await),
            Operation::GetReceipt => receipt::get(self.service, self.now).await,
            Operation::GetRelease => Ok(release::get(&self.service.view)),
            Operation::ListUpstreams => Ok(upstreams::list(&self.service.view)),
            Operation::GetToken => Err(Refusal::NotFound("the folder's owner needs no token".to_owned())),
            Operation::ListSnapshots => snapshots::list(self.service.view.store()).await,
            Operation::CreateSnapshot => {
                let store = self.service.view.store();
                snapshots::create(store, self.document().await?).await
            }
            Operation::Scrub => {
                let store = self.service.view.store();
                scrub::step(store, self.document().await?).await
            }
            Operation::DeleteSnapshot | Operation::RestoreSnapshot | Operation::DiffSnapshots => {
                Err(Refusal::NotFound("name a snapshot".to_owned()))
            }
            Operation::ListStored
            | Operation::ListTombstones
            | Operation::Undelete
            | Operation::GetInventory
            | Operation::ImportInventory
            | Operation::DropInventory
            | Operation::GetCrawl
            | Operation::KeepCrawl => Err(Refusal::NotFound("name a bucket".to_owned())),
        }
    }

    async fn of_snapshot(self, operation: Operation, name: SnapshotName) -> Result<Response, Refusal> {
        let store = self.service.view.store();
        match operation {
            Operation::DeleteSnapshot => snapshots::delete(store, name).await,
            Operation::RestoreSnapshot => snapshots::restore(store, name).await,
            Operation::DiffSnapshots => snapshots::diff(store, name, &self.query).await,
            Operation::GetMetrics
            | Operation::GetReceipt
            | Operation::GetRelease
            | Operation::GetToken
            | Operation::ListUpstreams
            | Operation::ListSnapshots
            | Operation::CreateSnapshot
            | Operation::Scrub
            | Operation::ListStored
            | Operation::ListTombstones
            | Operation::Undelete
            | Operation::GetInventory
            | Operation::ImportInventory
            | Operation::DropInventory
            | Operation::GetCrawl
            | Operation::KeepCrawl => self.of_stage(operation).await,
        }
    }

    async fn of_bucket(self, operation: Operation, bucket: &BucketName) -> Result<Response, Refusal> {
        let store = self.service.view.store();
        match operation {
            Operation::GetMetrics
            | Operation::GetReceipt
            | Operation::GetRelease
            | Operation::GetToken
            | Operation::ListUpstreams
            | Operation::ListSnapshots
            | Operation::CreateSnapshot
            | Operation::DeleteSnapshot
            | Operation::RestoreSnapshot
            | Operation::DiffSnapshots
            | Operation::Scrub => self.of_stage(operation).await,
            Operation::ListStored => stored::list(store, bucket, &self.query),
            Operation::ListTombstones => stored::tombstones(store, bucket, &self.query).await,
            Operation::Undelete => undelete::undelete(store, bucket, self.document().await?).await,
            Operation::GetInventory => inventory::get(store, bucket),
            Operation::ImportInventory => {
                let cover = self.query.get("cover").map(str::to_owned);
                let lines = inventory::Lines::new(&self.headers, &self.payload, self.body)?;
                inventory::import(store, bucket, lines, cover, self.now).await
            }
            Operation::DropInventory => {
                let prefix = required(&self.query, "prefix")?;
                inventory::forget(store, bucket, prefix).await
            }
            Operation::GetCrawl => crawl::get(store, bucket, &required(&self.query, "prefix")?),
            Operation::KeepCrawl => crawl::keep(store, bucket, self.document().await?).await,
        }
    }

    /// The JSON document of the body.
    async fn document<T: DeserializeOwned>(self) -> Result<T, Refusal> {
        let intake = Intake::read(&self.headers, self.payload, ChecksumsOf::Body)?;
        let bytes = intake.document(self.body, &self.service.limits).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Refusal::Malformed(format!("the body is not the document that is asked for: {error}"))
        })
    }
}

/// A parameter that must be there, empty or not: left out, it would mean the whole bucket.
fn required(query: &Query, name: &str) -> Result<String, Refusal> {
    query
        .get(name)
        .map(str::to_owned)
        .ok_or_else(|| Refusal::Malformed(format!("say ?{name}=…, which may be empty for the whole bucket")))
}
