//! Which dialect a request speaks: by host, path and method. Pure.
//!
//! Some first steps of a path are taken by other faces than S3, and so no bucket of that name can
//! be addressed path-style: `pub` (for GET and HEAD), `storage`, `upload`, `download` and `batch`
//! followed by Google's API paths, `-`, and every name that begins with `__`. Google's API paths are
//! its own at the hosts of the archive too, which have every other path. Below a base domain
//! (`bucket.s3.localhost`) a path is always a key.

use http::Method;

use super::dockerflow::Endpoint;
use crate::gcs;

/// Who answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// The S3 dialect: whatever nobody else takes.
    S3,
    /// The `pub/` tree by plain paths.
    Archive,
    /// Health and version.
    Dockerflow(Endpoint),
    /// Google Cloud Storage's JSON API.
    Gcs,
    /// The stage itself: its API and its metrics.
    Admin,
    /// A name that is kept for ourselves and means nothing yet.
    Reserved,
}

/// Where a request is addressed to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address<'a> {
    /// Its method.
    pub(super) method: &'a Method,
    /// The host it asked, in lower case and without port.
    pub(super) host: &'a str,
    /// Whether that host names a bucket.
    pub(super) bucket_in_host: bool,
    /// Its path, undecoded.
    pub(super) path: &'a str,
}

/// Finds the face of a request.
pub(super) fn select(address: Address<'_>, archive_hosts: &[String]) -> Face {
    let Address { method, host, bucket_in_host, path } = address;
    // Load balancers ask by any name they like.
    if let Some(endpoint) = Endpoint::parse(path) {
        return Face::Dockerflow(endpoint);
    }
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let host = host.trim_end_matches('.');
    let is_archive_host = archive_hosts.iter().any(|name| name == host);
    // A stage whose clients know it by the archive's name still has its API there.
    if is_archive_host && gcs::is_path(path) {
        return Face::Gcs;
    }
    if reads && is_archive_host {
        return Face::Archive;
    }
    if bucket_in_host {
        return Face::S3;
    }
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if reads && path.starts_with("/pub") && first == "pub" {
        return Face::Archive;
    }
    if gcs::is_path(path) {
        return Face::Gcs;
    }
    if path == "/-" || path.starts_with("/-/") {
        return Face::Admin;
    }
    if first == "-" || first.starts_with("__") {
        return Face::Reserved;
    }
    Face::S3
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::{Address, Face, select};
    use crate::server::dockerflow::Endpoint;

    #[test]
    fn every_request_has_its_face() {
        let heartbeat = Face::Dockerflow(Endpoint::Heartbeat);
        for (method, host, path, face) in [
            ("GET", "127.0.0.1", "/__heartbeat__", heartbeat),
            ("GET", "127.0.0.1", "/__lbheartbeat__", Face::Dockerflow(Endpoint::LbHeartbeat)),
            ("GET", "127.0.0.1", "/__version__", Face::Dockerflow(Endpoint::Version)),
            ("POST", "127.0.0.1", "/__heartbeat__", heartbeat),
            ("GET", "archive.example", "/__heartbeat__", heartbeat),
            ("GET", "bucket.localhost", "/__heartbeat__", heartbeat),
            ("GET", "127.0.0.1", "/__heartbeat__/more", Face::Reserved),
            ("GET", "127.0.0.1", "/__anything", Face::Reserved),
            ("PUT", "127.0.0.1", "/__anything/key", Face::Reserved),
            ("GET", "127.0.0.1", "/-/console", Face::Admin),
            ("POST", "127.0.0.1", "/-/api/v1/buckets/a/undelete", Face::Admin),
            ("GET", "127.0.0.1", "/-", Face::Admin),
            ("GET", "127.0.0.1", "//-/metrics", Face::Reserved),
            ("GET", "archive.example", "/-/metrics", Face::Archive),
            ("GET", "bucket.localhost", "/-/metrics", Face::S3),
            ("GET", "127.0.0.1", "/-bucket/key", Face::S3),
            ("GET", "archive.example", "/", Face::Archive),
            ("HEAD", "archive.example", "/bucket/key", Face::Archive),
            ("GET", "archive.example.", "/", Face::Archive),
            ("GET", "archive.example", "/storage/v1/b", Face::Gcs),
            ("HEAD", "archive.example.", "/download/storage/v1/b/name/o/key", Face::Gcs),
            ("POST", "archive.example", "/upload/storage/v1/b/name/o", Face::Gcs),
            ("POST", "archive.example", "/batch/storage/v1", Face::Gcs),
            ("POST", "archive.example", "/__gcs__/token", Face::Gcs),
            ("GET", "archive.example", "/storage/v1beta", Face::Archive),
            ("GET", "archive.example", "/pub/storage/v1/b", Face::Archive),
            ("PUT", "archive.example", "/bucket/key", Face::S3),
            ("GET", "127.0.0.1", "/pub/firefox/", Face::Archive),
            ("HEAD", "127.0.0.1", "/pub/firefox/a.mar", Face::Archive),
            ("GET", "127.0.0.1", "/pub", Face::Archive),
            ("GET", "127.0.0.1", "//pub/firefox/", Face::S3),
            ("PUT", "127.0.0.1", "/pub/firefox/a.mar", Face::S3),
            ("GET", "127.0.0.1", "/public/key", Face::S3),
            ("GET", "bucket.localhost", "/pub/firefox/a.mar", Face::S3),
            ("GET", "bucket.localhost", "/__hidden", Face::S3),
            ("GET", "bucket.localhost", "/storage/v1/b", Face::S3),
            ("GET", "127.0.0.1", "/storage/v1/b/name", Face::Gcs),
            ("POST", "127.0.0.1", "/upload/storage/v1/b/name/o", Face::Gcs),
            ("GET", "127.0.0.1", "/download/storage/v1/b/name/o/key", Face::Gcs),
            ("POST", "127.0.0.1", "/batch/storage/v1", Face::Gcs),
            ("PUT", "127.0.0.1", "/resumable/upload/storage/v1/b/name/o", Face::Gcs),
            ("POST", "127.0.0.1", "/__gcs__/token", Face::Gcs),
            ("POST", "127.0.0.1", "/__gcs__/other", Face::Reserved),
            ("GET", "storage.googleapis.com", "/bucket/key", Face::S3),
            ("GET", "127.0.0.1", "/storage/v1beta", Face::S3),
            ("GET", "127.0.0.1", "/storage/key", Face::S3),
            ("GET", "127.0.0.1", "/", Face::S3),
            ("OPTIONS", "127.0.0.1", "*", Face::S3),
            ("DELETE", "127.0.0.1", "/bucket/__key__", Face::S3),
        ] {
            let method: Method = method.parse().expect("a method");
            let address =
                Address { method: &method, host, bucket_in_host: host.starts_with("bucket."), path };
            assert_eq!(select(address, &["archive.example".to_owned()]), face, "{method} {host}{path}");
        }
    }
}
