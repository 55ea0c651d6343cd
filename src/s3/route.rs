//! Method, host, path and query to an operation and what it is about. Pure.
//!
//! AWS: "Virtual hosting of buckets", "Actions" of the Amazon S3 API reference.

use http::{HeaderMap, Method};

use super::error::{Code, Error};
use super::operation::{Chosen, Operation};
use crate::model::{BucketName, InvalidObjectKey, ObjectKey};
use crate::protocol::query::Query;
use crate::signature;

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The service itself.
    Service,
    /// A bucket.
    Bucket(BucketName),
    /// An object, there or not.
    Object(BucketName, ObjectKey),
}

/// What a request line and its headers say, parsed.
#[derive(Debug)]
pub(super) struct Route {
    /// What is asked for.
    pub(super) chosen: Chosen,
    /// What it is asked of.
    pub(super) target: Target,
    /// Its parameters.
    pub(super) query: Query,
    /// Whether the bucket stood in the host, which signature version 2 must know.
    pub(super) virtual_host: bool,
}

/// Finds the operation of a request.
///
/// `host` is the authority that the client addressed; a bucket is taken from it where it ends in
/// one of `base_domains`.
///
/// # Errors
/// `InvalidURI`, `InvalidBucketName`, `KeyTooLongError`, `MethodNotAllowed`.
pub(super) fn route(
    method: &Method,
    uri: &http::Uri,
    headers: &HeaderMap,
    host: &str,
    base_domains: &[String],
) -> Result<Route, Error> {
    let query = Query::parse(uri.query().unwrap_or_default())?;
    let in_host = bucket_in_host(host, base_domains);
    let virtual_host = in_host.is_some();
    let path = uri.path().strip_prefix('/').unwrap_or(uri.path());
    let (bucket, key) = match in_host {
        Some(bucket) => (&*bucket.to_ascii_lowercase(), path),
        None => path.split_once('/').unwrap_or((path, "")),
    };
    let target = target(bucket, key)?;
    let chosen = Operation::find(method, &target, &query, headers)?;
    Ok(Route { chosen, target, query, virtual_host })
}

/// The bucket that a host names: what stands in front of a base domain, in the case that it has there.
pub(super) fn bucket_in_host<'host>(host: &'host str, base_domains: &[String]) -> Option<&'host str> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    // The longest base domain wins, so that `b.s3.localhost` is bucket `b` of `s3.localhost`
    // although `localhost` is a base domain too; and `s3.localhost` itself is no bucket.
    if base_domains.iter().any(|domain| domain.eq_ignore_ascii_case(name)) {
        return None;
    }
    base_domains
        .iter()
        .filter_map(|domain| {
            let cut = name.len().checked_sub(domain.len())?;
            let (bucket, tail) = name.split_at_checked(cut)?;
            let bucket = bucket.strip_suffix('.').filter(|bucket| !bucket.is_empty())?;
            tail.eq_ignore_ascii_case(domain).then_some(bucket)
        })
        .min_by_key(|bucket| bucket.len())
}

fn target(bucket: &str, key: &str) -> Result<Target, Error> {
    if bucket.is_empty() {
        return match key {
            "" => Ok(Target::Service),
            _ => Err(Error::new(Code::InvalidBucketName).field("BucketName", "")),
        };
    }
    let bucket = decode(bucket)?;
    let bucket = BucketName::parse(&bucket).map_err(|reason| {
        Error::with_message(Code::InvalidBucketName, format!("The specified bucket is not valid: {reason}."))
            .field("BucketName", bucket.chars().take(80).collect::<String>())
    })?;
    if key.is_empty() {
        return Ok(Target::Bucket(bucket));
    }
    match ObjectKey::parse(&decode(key)?) {
        Ok(key) => Ok(Target::Object(bucket, key)),
        Err(InvalidObjectKey::Empty) => Ok(Target::Bucket(bucket)),
        Err(InvalidObjectKey::TooLong(size)) => Err(Error::new(Code::KeyTooLongError)
            .field("Size", size.to_string())
            .field("MaxSizeAllowed", ObjectKey::BYTES_MAX.to_string())),
    }
}

fn decode(raw: &str) -> Result<String, Error> {
    signature::read_path(raw).map_err(|reason| {
        Error::with_message(Code::InvalidURI, format!("Couldn't parse the specified URI: {reason}."))
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, Uri};

    use super::{Operation, Route, Target, route};
    use crate::s3::error::{Code, Error};

    fn find(method: &str, host: &str, uri: &str) -> Result<Route, Error> {
        let uri: Uri = uri.parse().expect("a URI");
        let method: Method = method.parse().expect("a method");
        let base_domains = ["localhost".to_owned(), "s3.localhost".to_owned()];
        route(&method, &uri, &HeaderMap::new(), host, &base_domains)
    }

    fn object(bucket: &str, key: &str) -> Target {
        let Ok(bucket) = bucket.parse() else { panic!("{bucket} is not a bucket") };
        Target::Object(bucket, crate::model::ObjectKey::parse(key).expect("a key"))
    }

    #[test]
    fn keys_are_the_path_decoded_once_and_nothing_else() {
        for (host, uri, key) in [
            ("127.0.0.1:8000", "/bucket/a/b", "a/b"),
            ("127.0.0.1:8000", "/bucket//a", "/a"),
            ("127.0.0.1:8000", "/bucket/../a/./b/", "../a/./b/"),
            ("127.0.0.1:8000", "/bucket/a%2Fb%252F", "a/b%2F"),
            ("127.0.0.1:8000", "/bucket/a+b%20c", "a+b c"),
            ("bucket.localhost:8000", "/a/b", "a/b"),
            ("bucket.s3.localhost", "/a", "a"),
            ("BUCKET.localhost", "//", "/"),
            ("Bucket.S3.LocalHost:8000", "/a", "a"),
        ] {
            let route = find("GET", host, uri).expect("a route");
            assert_eq!(route.target, object("bucket", key), "{host} {uri}");
        }
    }

    #[test]
    fn the_base_domain_itself_is_no_bucket() {
        for host in ["localhost:8000", "s3.localhost", "example.com", "[::1]:8000"] {
            let route = find("GET", host, "/bucket/key").expect("a route");
            assert_eq!((route.target, route.virtual_host), (object("bucket", "key"), false), "{host}");
        }
    }

    #[test]
    fn the_root_is_the_service_and_a_bucket_may_end_in_a_slash() {
        let operation = |uri| find("GET", "127.0.0.1", uri).expect("a route").chosen.operation;
        assert_eq!(operation("/"), Operation::ListBuckets);
        assert_eq!(operation("/bucket"), Operation::ListObjects);
        assert_eq!(operation("/bucket/"), Operation::ListObjects);
    }

    #[test]
    fn what_cannot_be_named_is_refused() {
        let long = format!("/bucket/{}", "a".repeat(1025));
        for (uri, code) in [
            ("/UPPER/key", Code::InvalidBucketName),
            ("//key", Code::InvalidBucketName),
            ("/bucket/%FF", Code::InvalidURI),
            ("/bucket/%zz", Code::InvalidURI),
            (long.as_str(), Code::KeyTooLongError),
        ] {
            let refused = find("GET", "127.0.0.1", uri).expect_err("no route");
            assert_eq!(refused.code(), code, "{uri}");
        }
    }
}
