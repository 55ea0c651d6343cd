//! The JSON dialect of Google Cloud Storage. Nothing else knows its wire: routes, resources,
//! partial responses, upload sessions, batches and reasons of errors.
//!
//! [`Service::call`] is the whole path of a request on one screen: route, who asks, the operation,
//! the answer. It stands over the same store as the other faces: what is uploaded here is listed by
//! S3 and served by the archive face. What they share lives in `protocol`.
//!
//! GCS: "JSON API overview".

mod allowed;
mod bearer;
mod call;
mod content_range;
mod error;
mod fields;
mod jwt;
mod metadata;
mod mime;
mod op;
mod receive;
mod resource;
mod response;
mod route;
mod scope;
mod service_account;
mod sessions;
mod shape;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Uri};

pub use self::service_account::{MintError, Minted, NewAccount, ServiceAccounts, mint};

use self::call::Call;
use self::error::{Error, Reason};
use self::fields::FieldMask;
use self::route::Operation;
use self::scope::Scope;
use self::sessions::Sessions;
use self::shape::Shape;
use crate::model::Grant;
use crate::protocol::outcome::{Face, Outcome};
use crate::protocol::query::Query;
use crate::protocol::request::{Context, Request, Response};
use crate::protocol::{allow, browser};
use crate::view::View;

/// What the JSON face can be told.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where new buckets say they are, if their maker does not say it.
    pub location: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { location: "US".to_owned() }
    }
}

/// The JSON face over one store.
#[derive(Debug, Clone)]
pub struct Service(Arc<Parts>);

/// What the face is made of.
#[derive(Debug)]
pub struct Inner {
    /// Objects, here and in production.
    pub view: View,
    /// Who is known.
    pub accounts: ServiceAccounts,
    /// What everybody may do.
    pub anonymous: Vec<Grant>,
    /// How much a request may bring.
    pub limits: crate::protocol::Config,
    /// What the face itself can be told.
    pub config: Config,
}

/// What the face is made of, and what it remembers between requests.
#[derive(Debug)]
struct Parts {
    inner: Inner,
    sessions: Sessions,
}

/// Whether a path belongs to this face, whatever the host.
pub fn is_path(path: &str) -> bool {
    const ROOTS: [&str; 5] = [
        "/storage/v1",
        "/upload/storage/v1",
        "/resumable/upload/storage/v1",
        "/download/storage/v1",
        "/batch/storage/v1",
    ];
    let below =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    path == route::TOKEN_PATH || ROOTS.into_iter().any(below)
}

impl Service {
    /// Puts the face together.
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(Parts { inner, sessions: Sessions::default() }))
    }

    /// Answers one request, whatever it is, and has it logged when the answer has gone out.
    pub async fn call(&self, context: &Context, request: Request) -> Response {
        let mut outcome = Outcome::begin(context, Face::Gcs);
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let answer = self.answer(context, request, &mut outcome).await;
        let mut response = finished(context, method == Method::HEAD, answer, outcome);
        allow::write(&mut response, &method, |method| knows(method, &uri));
        response
    }

    /// Answers a request that a browser must not have sent, without looking at what it asks.
    pub fn refuse(&self, context: &Context, request: &Request, refused: &browser::Refused) -> Response {
        let error = Error::with_message(Reason::Forbidden, refused.to_string());
        let head = request.method() == Method::HEAD;
        finished(context, head, Err(error), Outcome::begin(context, Face::Gcs))
    }

    async fn answer(
        &self,
        context: &Context,
        request: Request,
        outcome: &mut Outcome,
    ) -> Result<Response, Error> {
        let (parts, body) = request.into_parts();
        let query = Query::parse(parts.uri.query().unwrap_or_default())?;
        let operation = route::route(&parts.method, parts.uri.path(), &query, &parts.headers)?;
        note(&operation, outcome);
        let accounts = &self.0.inner.accounts;
        let caller = bearer::authenticate(accounts, &parts.headers, &query, context.now)?;
        let identity = caller.identity;
        outcome.access_key_id = identity.access_key_id().cloned();
        if Scope::needed(&operation).is_some_and(|needed| caller.scope.is_some_and(|scope| scope < needed)) {
            return Err(Error::new(Reason::InsufficientPermissions));
        }
        allowed::check(&operation, &query, &parts.headers)?;
        let mask = query.get("fields").filter(|text| !text.is_empty()).map(FieldMask::parse).transpose()?;
        mask.as_ref().map_or(Ok(()), |mask| mask.check(Shape::of(&operation)))?;
        let headers = parts.headers;
        let call = Call { service: self, context, identity, query, headers, body, mask, outcome };
        op::run(operation, call).await
    }
}

/// An answer with the headers that Google sends with all of them, and its event for the log.
fn finished(
    context: &Context,
    head: bool,
    answer: Result<Response, Error>,
    mut outcome: Outcome,
) -> Response {
    let mut response = answer.unwrap_or_else(|error| {
        error.note(&mut outcome);
        error.render()
    });
    response::insert(response.headers_mut(), "x-guploader-uploadid", context.request_id);
    response.headers_mut().insert("server", HeaderValue::from_static("UploadServer"));
    if head {
        response = response::without_body(response);
    }
    outcome.attach(response)
}

/// Whether something can be asked of an address by a method.
fn knows(method: &Method, uri: &Uri) -> bool {
    Query::parse(uri.query().unwrap_or_default())
        .is_ok_and(|query| route::route(method, uri.path(), &query, &HeaderMap::new()).is_ok())
}

fn note(operation: &Operation, outcome: &mut Outcome) {
    outcome.operation = operation.name();
    let (bucket, key) = operation.target();
    outcome.bucket = bucket.cloned();
    outcome.key = key.cloned();
}

#[cfg(test)]
mod tests;
