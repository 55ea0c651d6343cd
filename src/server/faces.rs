//! The whole path of a request through the server on one screen: context, face, answer.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::{HeaderMap, Request, StatusCode, header};
use hyper::body::Incoming;
use serde_json::json;

use super::cidr::Cidr;
use super::config::Limits;
use super::connection::Arrival;
use super::context::Contexts;
use super::dockerflow::{Dockerflow, document};
use super::face::{Address, Face, select};
use super::patience::{Delivery, Pace, PatientBody};
use crate::admin;
use crate::archive;
use crate::clock::Clock;
use crate::gcs;
use crate::protocol;
use crate::protocol::body::receive;
use crate::protocol::browser::{Asked, Names, Refused};
use crate::protocol::meter::Meter;
use crate::protocol::outcome::{self, Answered, Outcome};
use crate::protocol::request::{Context, RequestIds, Response};
use crate::s3;
use crate::view::View;

/// Everybody who can answer.
#[derive(Clone)]
pub struct Faces(Arc<Inner>);

struct Inner {
    s3: s3::Service,
    gcs: gcs::Service,
    archive: archive::Service,
    admin: admin::Service,
    dockerflow: Dockerflow,
    contexts: Contexts,
    archive_hosts: Vec<String>,
    names: Names,
    pace: Pace,
}

/// What the faces are made of.
pub struct Parts {
    /// The S3 dialect.
    pub s3: s3::Service,
    /// The JSON dialect of Google Cloud Storage.
    pub gcs: gcs::Service,
    /// The `pub/` tree.
    pub archive: archive::Service,
    /// The stage itself.
    pub admin: admin::Service,
    /// What a heartbeat looks at.
    pub view: View,
    /// Hosts, in lower case, whose every path is the archive's.
    pub archive_hosts: Vec<String>,
    /// The names by which the server is addressed.
    pub names: Names,
    /// Whose word about client, host and scheme is taken.
    pub trusted_proxies: Vec<Cidr>,
    /// How slow a client that sends a body may be.
    pub limits: Limits,
    /// The first request id, which should be random.
    pub seed: u64,
    /// For the times of requests.
    pub clock: Clock,
    /// Where requests are counted.
    pub meter: Meter,
}

impl Faces {
    /// Puts the faces together.
    pub fn new(parts: Parts) -> Self {
        let contexts = Contexts {
            ids: RequestIds::new(parts.seed),
            clock: parts.clock,
            trusted_proxies: parts.trusted_proxies,
            meter: parts.meter,
        };
        Self(Arc::new(Inner {
            s3: parts.s3,
            gcs: parts.gcs,
            archive: parts.archive,
            admin: parts.admin,
            dockerflow: Dockerflow::new(parts.view),
            contexts,
            archive_hosts: parts.archive_hosts,
            names: parts.names,
            pace: parts.limits.pace(),
        }))
    }

    /// Answers one request.
    pub async fn answer(self, arrival: Arrival, request: Request<Incoming>) -> Response {
        let Inner { s3, gcs, archive, admin, dockerflow, contexts, archive_hosts, names, pace } = &*self.0;
        let (mut parts, body) = request.into_parts();
        let context = match contexts.begin(arrival, &mut parts) {
            Ok(context) => context,
            Err(bad_host) => {
                // There is no context to log it with: whose answer it would be is not known.
                tracing::info!(
                    peer = %arrival.peer,
                    status = StatusCode::BAD_REQUEST.as_u16(),
                    error = %bad_host,
                    "request without a host"
                );
                let mut response = document(StatusCode::BAD_REQUEST, error_text(&bad_host.to_string()));
                // Whatever else the client has sent was not looked at.
                response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
                return named(response);
            }
        };
        let expects = parts.headers.contains_key(header::EXPECT);
        let body = PatientBody::new(body, *pace);
        let delivery = body.delivery();
        let body = receive(body, context.received.clone());
        let request = Request::from_parts(parts, body);
        let address = Address {
            method: request.method(),
            host: &context.host_name(),
            bucket_in_host: s3.has_bucket_in_host(context.host.as_str()),
            path: request.uri().path(),
        };
        let website = names.is_website(context.host.host());
        let face = match select(address, archive_hosts) {
            // A stored page that runs scripts must not share its origin with the stage's own pages.
            Face::Admin if website => Face::Reserved,
            face @ (Face::S3
            | Face::Archive
            | Face::Dockerflow(_)
            | Face::Gcs
            | Face::Admin
            | Face::Reserved) => face,
        };
        let asked = Asked {
            context: &context,
            method: request.method(),
            headers: request.headers(),
            authorizes: face != Face::Archive,
            presigned: if face == Face::S3 { request.uri().query().unwrap_or_default() } else { "" },
            way: contexts.way(arrival),
        };
        if let Err(refused) = names.check(asked)
            && let Some(response) = self.refuse(face, &context, &request, &refused)
        {
            return named(closed_after(response, expects, &delivery));
        }
        let mut response = match face {
            Face::S3 => s3.call(&context, request).await,
            Face::Archive => archive.call(&context, request).await,
            Face::Dockerflow(endpoint) => {
                let response = dockerflow.answer(endpoint, request.method()).await;
                logged(&context, endpoint.name(), response)
            }
            Face::Gcs => gcs.call(&context, request).await,
            Face::Admin => admin.call(&context, request).await,
            Face::Reserved => {
                let message = "nothing is served under this name; buckets cannot have it";
                logged(&context, "Reserved", document(StatusCode::NOT_FOUND, error_text(message)))
            }
        };
        if !website {
            sandbox(response.headers_mut());
        }
        named(closed_after(response, expects, &delivery))
    }

    /// The refusal of a request that a browser must not have sent. Health and version are everybody's,
    /// and change nothing.
    fn refuse(
        &self,
        face: Face,
        context: &Context,
        request: &protocol::request::Request,
        refused: &Refused,
    ) -> Option<Response> {
        match face {
            Face::S3 => Some(self.0.s3.refuse(context, request, refused)),
            Face::Gcs => Some(self.0.gcs.refuse(context, request, refused)),
            Face::Archive => Some(self.0.archive.refuse(context, request, refused)),
            Face::Admin => Some(self.0.admin.refuse(context, request, refused)),
            Face::Dockerflow(_) | Face::Reserved => None,
        }
    }
}

/// Keeps what a browser shows from acting for the stage: a stored page runs no script, is of no
/// origin, and is HTML only if its type says so. Pages of ours say what they need themselves.
///
/// CSP 3, `sandbox`; Fetch, `X-Content-Type-Options`.
fn sandbox(headers: &mut HeaderMap) {
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(header::HeaderValue::from_static("sandbox"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
}

/// Says that the connection ends where the next request could not be told from this one's body: it
/// was not taken whole, or the client waits for `100 Continue`, which never went out.
///
/// RFC 9112 section 9.6. Clients that expected 100 and get an answer at once take the next answer
/// for this one's.
fn closed_after(mut response: Response, expects: bool, delivery: &Delivery) -> Response {
    if !delivery.is_whole() || (expects && !delivery.was_asked_for()) {
        response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    response
}

/// An answer of ours says so; the S3 face has put its own name there.
fn named(mut response: Response) -> Response {
    let name = header::HeaderValue::from_static(concat!("understudy/", env!("CARGO_PKG_VERSION")));
    response.headers_mut().entry(header::SERVER).or_insert(name);
    response
}

/// Ties an answer of ours to its event in the request log.
fn logged(context: &Context, operation: &'static str, response: Response) -> Response {
    let mut outcome = Outcome::begin(context, outcome::Face::Dockerflow);
    outcome.operation = operation;
    if response.status().is_client_error() {
        outcome.answered = Answered::Rejected;
    } else if response.status().is_server_error() {
        outcome.answered = Answered::Failed;
    }
    outcome.attach(response)
}

/// One sentence as a JSON document.
fn error_text(message: &str) -> String {
    json!({ "error": message }).to_string()
}
