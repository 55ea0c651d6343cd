//! Requests for the tests of the signature rooms, with AWS's example credentials.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::SignedRequest;
use crate::model::{AccessKeyId, SecretKey, Timestamp};

/// A request that owns what a `SignedRequest` borrows.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) bucket: Option<String>,
}

impl Received {
    /// Of a request line such as `GET /bucket/key?query`.
    pub(crate) fn new(line: &str, headers: &[(&str, &str)]) -> Self {
        let (method, target) = line.split_once(' ').expect("a method and a target");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut received = Self {
            method: method.parse().expect("a method"),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            bucket: None,
        };
        for (name, value) in headers {
            received.add(name, value);
        }
        received
    }

    /// Of a method and an absolute URL, with the `Host` that a client makes of it.
    pub(crate) fn of_url(method: &str, url: &str, headers: &[(&str, &str)]) -> Self {
        let rest = url.split_once("://").expect("a scheme").1;
        let (host, target) = rest.split_at(rest.find('/').expect("a path"));
        let mut received = Self::new(&format!("{method} {target}"), headers);
        received.add("host", host);
        received
    }

    pub(crate) fn add(&mut self, name: &str, value: &str) {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        self.headers.append(name, HeaderValue::from_str(value).expect("a header value"));
    }

    /// The same with a header set to another value, or removed.
    pub(crate) fn with(&self, name: &'static str, value: Option<&str>) -> Self {
        let mut changed = self.clone();
        changed.headers.remove(name);
        if let Some(value) = value {
            changed.add(name, value);
        }
        changed
    }

    pub(crate) fn as_signed(&self) -> SignedRequest<'_> {
        SignedRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            virtual_host_bucket: self.bucket.as_deref(),
        }
    }
}

pub(crate) const ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

pub(crate) fn id() -> AccessKeyId {
    AccessKeyId::parse(ID).expect("an access key id")
}

pub(crate) fn secret() -> SecretKey {
    SecretKey::parse(SECRET).expect("a secret")
}

/// 2013-05-24T00:00:00Z, the time of AWS's examples.
pub(crate) fn example_time() -> Timestamp {
    Timestamp::from_seconds(1_369_353_600)
}

/// The same, some seconds later.
pub(crate) fn later(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(example_time().as_seconds() + seconds)
}
