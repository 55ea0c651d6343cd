//! Health and version, as Mozilla's platform and load balancers ask for them.
//!
//! Dockerflow: <https://github.com/mozilla-services/Dockerflow>.

use http::{Method, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::fallback::ReleaseConfig;
use crate::protocol::body::ResponseBody;
use crate::protocol::request::Response;
use crate::store::{Damage, Illness};
use crate::upstream::Health;
use crate::view::View;

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Does the process answer? No service behind it is looked at.
    LbHeartbeat,
    /// Does the store answer, and how is production?
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
    view: View,
    version: String,
}

impl Dockerflow {
    /// Answers for a stage; what is running is read once, from the container's file if there is one.
    pub(super) fn new(view: View) -> Self {
        let built = std::fs::read_to_string(VERSION_FILE).ok();
        let version = built.filter(|text| serde_json::from_str::<Value>(text).is_ok());
        Self { view, version: version.unwrap_or_else(|| compiled_version().to_string()) }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, endpoint: Endpoint, method: &Method) -> Response {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let refusal = json!({ "error": "only GET and HEAD can be asked of this path" });
            let mut response = document(StatusCode::METHOD_NOT_ALLOWED, refusal.to_string());
            response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match endpoint {
            Endpoint::LbHeartbeat => document(StatusCode::OK, json!({ "status": "ok" }).to_string()),
            Endpoint::Heartbeat => self.heartbeat().await,
            Endpoint::Version => document(StatusCode::OK, self.version.clone()),
        }
    }

    async fn heartbeat(&self) -> Response {
        let store = self.view.store().health().await;
        if let Err(error) = &store {
            tracing::error!(%error, "the store is not healthy");
        }
        let damage = self.view.store().damage();
        let (status, text) = heartbeat(store.err().as_ref(), &damage, &self.view.upstream().health());
        let text = with_release(text, self.view.fallback().release());
        document(status, text.to_string())
    }
}

/// How the stage is: ill without its store, but healthy without production, which it is there to
/// stand in for. Another container would not reach it either. Blobs that are broken are a warning: all
/// others are served as ever.
fn heartbeat(store: Option<&Illness>, damage: &Damage, upstreams: &[Health]) -> (StatusCode, Value) {
    let mut checks = Map::new();
    let mut details = Map::new();
    let mut check = |name: String, status: &'static str, messages: &[String]| {
        if !messages.is_empty() {
            details.insert(name.clone(), json!({ "status": status, "messages": messages }));
        }
        checks.insert(name, status.into());
    };
    match store {
        None => check("store".to_owned(), "ok", &[]),
        Some(error) => check("store".to_owned(), "error", &[error.to_string()]),
    }
    let is_damaged = !damage.blobs.is_empty();
    if is_damaged {
        let remedy = "run `understudy fsck --scrub` for all that is broken".to_owned();
        let messages: Vec<String> = damage.blobs.iter().cloned().chain([remedy]).collect();
        check("blobs".to_owned(), "warning", &messages);
    }
    for upstream in upstreams {
        let name = format!("upstream {}", upstream.name);
        if upstream.down {
            let last = upstream.last_error.as_deref().unwrap_or("it failed too often");
            check(name, "warning", &[format!("it is down and left alone for now: {last}")]);
        } else {
            check(name, "ok", &[]);
        }
    }
    let (code, status) = if store.is_some() {
        (StatusCode::SERVICE_UNAVAILABLE, "error")
    } else if is_damaged || upstreams.iter().any(|upstream| upstream.down) {
        (StatusCode::OK, "warning")
    } else {
        (StatusCode::OK, "ok")
    };
    (code, json!({ "status": status, "checks": checks, "details": details }))
}

/// The same with what is under test, which is no secret: whoever may ask can see what is hidden.
fn with_release(mut text: Value, release: &ReleaseConfig) -> Value {
    text["under_test"] = json!(release.names());
    text
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

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::{heartbeat, with_release};
    use crate::fallback::ReleaseConfig;
    use crate::store::{Damage, Illness};
    use crate::upstream::Health;

    fn upstream(name: &str, last_error: Option<&str>) -> Health {
        let last_error = last_error.map(str::to_owned);
        let down = last_error.is_some();
        Health { name: name.to_owned(), down, last_error, requests: 1, failures: 1, bytes: 0 }
    }

    #[test]
    fn production_that_is_down_is_a_warning_and_a_store_that_is_gone_is_an_error() {
        let (up, down) = (upstream("one", None), upstream("two", Some("it answered 503")));
        let (closed, no_damage) = (Illness::Closed, Damage::default());
        assert_eq!(
            heartbeat(None, &no_damage, &[]),
            (StatusCode::OK, json!({ "status": "ok", "checks": { "store": "ok" }, "details": {} }))
        );
        let (status, text) = heartbeat(None, &no_damage, &[up.clone(), down.clone()]);
        assert_eq!(status, StatusCode::OK);
        assert_eq!(
            text,
            json!({
                "status": "warning",
                "checks": { "store": "ok", "upstream one": "ok", "upstream two": "warning" },
                "details": {
                    "upstream two": {
                        "status": "warning",
                        "messages": ["it is down and left alone for now: it answered 503"],
                    },
                },
            })
        );
        let (status, text) = heartbeat(Some(&closed), &no_damage, &[down]);
        assert_eq!((status, &text["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("error")));
        assert_eq!(text["details"]["store"]["messages"], json!(["the store is closed"]));
        assert_eq!(heartbeat(None, &no_damage, std::slice::from_ref(&up)).1["status"], "ok");
        let damage = Damage { reads: 3, blobs: vec!["aa has other bytes than were written".to_owned()] };
        let (status, text) = heartbeat(None, &damage, &[up]);
        assert_eq!((status, &text["status"]), (StatusCode::OK, &json!("warning")));
        assert_eq!(text["checks"]["blobs"], "warning");
        assert_eq!(text["details"]["blobs"]["messages"][0], "aa has other bytes than were written");
    }

    #[test]
    fn a_heartbeat_names_what_is_under_test() {
        let text = |names: &[&str]| {
            let release = ReleaseConfig::parse(names.iter().copied()).expect("releases");
            with_release(heartbeat(None, &Damage::default(), &[]).1, &release)
        };
        assert_eq!(text(&["firefox-83.0-build1"])["under_test"], json!(["firefox-83.0-build1"]));
        assert_eq!(text(&[])["under_test"], json!([]));
    }
}
