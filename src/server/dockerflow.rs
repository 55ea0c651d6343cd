//! Health and version, as Mozilla's platform and load balancers ask for them.
//!
//! Dockerflow: <https://github.com/mozilla-services/Dockerflow>.

use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::protocol::body::ResponseBody;
use crate::protocol::request::Response;
use crate::store::Store;

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Does the process answer? No service behind it is looked at.
    LbHeartbeat,
    /// Does the store answer?
    Heartbeat,
    /// What is running?
    Version,
}

/// Where a container's build leaves the description of itself.
const VERSION_FILE: &str = "/app/version.json";

impl Endpoint {
    /// The endpoint of a path.
    pub(super) fn parse(path: &str) -> Option<Self> {
        match path {
            "/__lbheartbeat__" => Some(Self::LbHeartbeat),
            "/__heartbeat__" => Some(Self::Heartbeat),
            "/__version__" => Some(Self::Version),
            _ => None,
        }
    }

    /// Its name in the request log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LbHeartbeat => "LbHeartbeat",
            Self::Heartbeat => "Heartbeat",
            Self::Version => "Version",
        }
    }
}

/// The answers.
#[derive(Clone)]
pub(super) struct Dockerflow {
    store: Store,
    version: String,
}

impl Dockerflow {
    /// Answers for `store`; what is running is read once, from the container's file if there is one.
    pub(super) fn new(store: Store) -> Self {
        let built = std::fs::read_to_string(VERSION_FILE).ok();
        let version = built.filter(|text| serde_json::from_str::<Value>(text).is_ok());
        Self { store, version: version.unwrap_or_else(|| compiled_version().to_string()) }
    }

    /// Answers a request.
    pub(super) fn answer(&self, endpoint: Endpoint, method: &Method) -> Response {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let refusal = json!({ "error": "only GET and HEAD can be asked of this path" });
            let mut response = document(StatusCode::METHOD_NOT_ALLOWED, refusal.to_string());
            response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match endpoint {
            Endpoint::LbHeartbeat => document(StatusCode::OK, json!({ "status": "ok" }).to_string()),
            Endpoint::Heartbeat => self.heartbeat(),
            Endpoint::Version => document(StatusCode::OK, self.version.clone()),
        }
    }

    fn heartbeat(&self) -> Response {
        match self.store.health() {
            Ok(()) => document(
                StatusCode::OK,
                json!({ "status": "ok", "checks": { "store": "ok" }, "details": {} }).to_string(),
            ),
            Err(error) => {
                tracing::error!(%error, "the store is not healthy");
                document(
                    StatusCode::SERVICE_UNAVAILABLE,
                    json!({
                        "status": "error",
                        "checks": { "store": "error" },
                        "details": { "store": { "status": "error", "messages": [error.to_string()] } },
                    })
                    .to_string(),
                )
            }
        }
    }
}

/// What was known when this was compiled.
fn compiled_version() -> Value {
    json!({
        "source": option_env!("UNDERSTUDY_SOURCE").unwrap_or_default(),
        "version": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("UNDERSTUDY_COMMIT").unwrap_or_default(),
        "build": option_env!("UNDERSTUDY_BUILD").unwrap_or_default(),
    })
}

/// A JSON document that nobody may keep.
pub(super) fn document(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(ResponseBody::bytes(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}
