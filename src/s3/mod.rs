//! The S3 dialect. Nothing else knows its wire: routes, XML, error codes and `x-amz-…` headers.
//!
//! [`Service::call`] is the whole path of a request on one screen: route, who asks, may they, the
//! operation, the answer. Hard logic that other faces need too lives in `protocol`; what must be
//! atomic lives in `store`.

mod call;
mod copy_source;
mod error;
mod header;
mod listed;
mod op;
mod operation;
mod parameter;
mod request;
mod response;
mod route;
mod sub_resource;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use self::call::Call;
use self::error::{Code, Error};
use self::operation::Operation;
use self::route::{Route, Target};
use crate::model::Grant;
use crate::protocol::auth::{Authenticated, Credentials};
use crate::protocol::outcome::{Face, Outcome};
use crate::protocol::request::{Context, Request, Response};
use crate::protocol::{allow, browser, client, conditions};
use crate::signature::SignedRequest;
use crate::view::View;

/// What the S3 face can be told.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Host names below which a bucket may stand, as in `bucket.s3.localhost`.
    pub base_domains: Vec<String>,
    /// The region that new buckets are in, and that `GetBucketLocation` gives.
    pub region: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base_domains: vec!["localhost".to_owned(), "s3.localhost".to_owned()],
            region: "us-east-1".to_owned(),
        }
    }
}

impl Config {
    /// The bucket that a host, with or without a port, names in front of a base domain.
    pub fn bucket_in_host<'host>(&self, host: &'host str) -> Option<&'host str> {
        route::bucket_in_host(host, &self.base_domains)
    }
}

/// The S3 face over one store.
#[derive(Debug, Clone)]
pub struct Service(Arc<Inner>);

/// What the face is made of.
#[derive(Debug)]
pub struct Inner {
    /// Objects, here and in production.
    pub view: View,
    /// Who is known.
    pub credentials: Credentials,
    /// What everybody may do.
    pub anonymous: Vec<Grant>,
    /// How much a request may bring.
    pub limits: crate::protocol::Config,
    /// What the face itself can be told.
    pub config: Config,
}

impl Service {
    /// Puts the face together.
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Whether a host names a bucket, so that the whole path of a request to it is a key.
    pub fn has_bucket_in_host(&self, host: &str) -> bool {
        route::bucket_in_host(host, &self.0.config.base_domains).is_some()
    }

    /// Answers one request, whatever it is, and has it logged when the answer has gone out.
    pub async fn call(&self, context: &Context, request: Request) -> Response {
        let mut outcome = Outcome::begin(context, Face::S3);
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let answer = self.answer(context, request, &mut outcome).await;
        let mut response = finished(context, (uri.path(), method == Method::HEAD), answer, outcome);
        allow::write(&mut response, &method, |method| self.knows(method, &uri, context));
        response
    }

    /// Answers a request that a browser must not have sent, without looking at what it asks.
    pub fn refuse(&self, context: &Context, request: &Request, refused: &browser::Refused) -> Response {
        let error = Error::with_message(Code::AccessDenied, refused.to_string());
        let about = (request.uri().path(), request.method() == Method::HEAD);
        finished(context, about, Err(error), Outcome::begin(context, Face::S3))
    }

    /// Whether something can be asked of an address by a method.
    fn knows(&self, method: &Method, uri: &Uri, context: &Context) -> bool {
        let domains = &self.0.config.base_domains;
        route::route(method, uri, &HeaderMap::new(), context.host.as_str(), domains).is_ok()
    }

    async fn answer(
        &self,
        context: &Context,
        request: Request,
        outcome: &mut Outcome,
    ) -> Result<Response, Error> {
        let (mut parts, body) = request.into_parts();
        let route = route::route(
            &parts.method,
            &parts.uri,
            &parts.headers,
            context.host.as_str(),
            &self.0.config.base_domains,
        )?;
        note_target(&route, outcome);
        let Authenticated { identity, payload, further_headers, version } =
            self.authenticate(context, &parts, &route)?;
        outcome.access_key_id = identity.access_key_id().cloned();
        let client = client::kind(&parts.headers, &identity);
        let Route { mut chosen, target, query, .. } = route;
        chosen.check_signed_by(version)?;
        if !further_headers.is_empty() {
            // What the query of a presigned link adds can change what is asked for: a copy source, say.
            let counts = |name: &HeaderName| header::counts_in_links(name.as_str());
            let further = further_headers.iter().filter(|(name, _)| counts(name));
            parts.headers.extend(further.map(|(name, value)| (name.clone(), value.clone())));
            chosen = Operation::find(&parts.method, &target, &query, &parts.headers)?;
            outcome.operation = chosen.operation.name();
        }
        let operation = chosen.operation;
        let mut call = Call {
            service: self,
            context,
            identity,
            client,
            payload,
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query,
            headers: parts.headers,
            body,
            outcome,
        };
        call.authorize_operation(operation, &target)?;
        if let Target::Bucket(bucket) | Target::Object(bucket, _) = &target {
            call.check_expected_owner("x-amz-expected-bucket-owner", bucket)?;
        }
        header::check(operation, &call.headers)?;
        conditions::as_http_dates(&mut call.headers, context.now);
        op::run(operation, target, call).await
    }

    /// Who asks: the signature, if there is one, against the table of credentials.
    fn authenticate(
        &self,
        context: &Context,
        parts: &http::request::Parts,
        route: &Route,
    ) -> Result<Authenticated, Error> {
        let bucket = match &route.target {
            Target::Bucket(bucket) | Target::Object(bucket, _) if route.virtual_host => Some(bucket.as_str()),
            Target::Service | Target::Bucket(_) | Target::Object(..) => None,
        };
        let signed = SignedRequest {
            method: &parts.method,
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            virtual_host_bucket: bucket,
        };
        Ok(self.0.credentials.authenticate(&signed, context.now)?)
    }
}

/// An answer with the headers that S3 sends with all of them, and its event for the log.
fn finished(
    context: &Context,
    (resource, head): (&str, bool),
    answer: Result<Response, Error>,
    mut outcome: Outcome,
) -> Response {
    let mut response = answer.unwrap_or_else(|error| {
        error.note(&mut outcome);
        error.render(resource, context.request_id)
    });
    response::insert(response.headers_mut(), "x-amz-request-id", context.request_id);
    response::insert(response.headers_mut(), "x-amz-id-2", format_args!("{}/understudy", context.request_id));
    response.headers_mut().insert("server", HeaderValue::from_static("AmazonS3"));
    if head {
        response = response::without_body(response);
    }
    outcome.attach(response)
}

fn note_target(route: &Route, outcome: &mut Outcome) {
    outcome.operation = route.chosen.operation.name();
    match &route.target {
        Target::Service => {}
        Target::Bucket(bucket) => outcome.bucket = Some(bucket.clone()),
        Target::Object(bucket, key) => {
            outcome.bucket = Some(bucket.clone());
            outcome.key = Some(key.clone());
        }
    }
}
