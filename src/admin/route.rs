//! Method and path -> what is asked. Pure.

use http::Method;

use super::refusal::Refusal;
use crate::model::{BucketName, SnapshotName};

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// Counts, for Prometheus.
    GetMetrics,
    /// What was done with the stage, and what it holds.
    GetReceipt,
    /// What is under test.
    GetRelease,
    /// What a page of ours shows besides the password, to be allowed to change things.
    GetToken,
    /// How production is.
    ListUpstreams,
    /// What is stored here.
    ListStored,
    /// What was deleted here.
    ListTombstones,
    /// Tombstones go.
    Undelete,
    /// What is known of production by import.
    GetInventory,
    /// An import.
    ImportInventory,
    /// An import is forgotten.
    DropInventory,
    /// How far a crawl is.
    GetCrawl,
    /// A step of a crawl.
    KeepCrawl,
    /// States that the stage can go back to.
    ListSnapshots,
    /// A state is kept.
    CreateSnapshot,
    /// A state is forgotten.
    DeleteSnapshot,
    /// The stage goes back.
    RestoreSnapshot,
    /// What is not the same in two states.
    DiffSnapshots,
    /// Blobs are read again and compared with what was written.
    Scrub,
}

/// Every route. `{bucket}` stands for a bucket's name, `{snapshot}` for a snapshot's.
const ROUTES: &[(&str, &str, Operation)] = &[
    ("GET", "/-/metrics", Operation::GetMetrics),
    ("GET", "/-/api/v1/receipt", Operation::GetReceipt),
    ("GET", "/-/api/v1/release", Operation::GetRelease),
    ("GET", "/-/api/v1/token", Operation::GetToken),
    ("GET", "/-/api/v1/upstreams", Operation::ListUpstreams),
    ("GET", "/-/api/v1/buckets/{bucket}/objects", Operation::ListStored),
    ("GET", "/-/api/v1/buckets/{bucket}/tombstones", Operation::ListTombstones),
    ("POST", "/-/api/v1/buckets/{bucket}/undelete", Operation::Undelete),
    ("GET", "/-/api/v1/buckets/{bucket}/inventory", Operation::GetInventory),
    ("POST", "/-/api/v1/buckets/{bucket}/inventory", Operation::ImportInventory),
    ("DELETE", "/-/api/v1/buckets/{bucket}/inventory", Operation::DropInventory),
    ("GET", "/-/api/v1/buckets/{bucket}/crawl", Operation::GetCrawl),
    ("POST", "/-/api/v1/buckets/{bucket}/crawl", Operation::KeepCrawl),
    ("GET", "/-/api/v1/snapshots", Operation::ListSnapshots),
    ("POST", "/-/api/v1/snapshots", Operation::CreateSnapshot),
    ("DELETE", "/-/api/v1/snapshots/{snapshot}", Operation::DeleteSnapshot),
    ("POST", "/-/api/v1/snapshots/{snapshot}/restore", Operation::RestoreSnapshot),
    ("GET", "/-/api/v1/snapshots/{snapshot}/diff", Operation::DiffSnapshots),
    ("POST", "/-/api/v1/scrub", Operation::Scrub),
];

/// A request, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) operation: Operation,
    /// The bucket that it is about, if it is about one.
    pub(super) bucket: Option<BucketName>,
    /// The snapshot, if it is about one.
    pub(super) snapshot: Option<SnapshotName>,
}

impl Operation {
    /// Its name in the log and in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::GetMetrics => "GetMetrics",
            Self::GetReceipt => "GetReceipt",
            Self::GetRelease => "GetRelease",
            Self::GetToken => "GetToken",
            Self::ListUpstreams => "ListUpstreams",
            Self::ListStored => "ListStored",
            Self::ListTombstones => "ListTombstones",
            Self::Undelete => "Undelete",
            Self::GetInventory => "GetInventory",
            Self::ImportInventory => "ImportInventory",
            Self::DropInventory => "DropInventory",
            Self::GetCrawl => "GetCrawl",
            Self::KeepCrawl => "KeepCrawl",
            Self::ListSnapshots => "ListSnapshots",
            Self::CreateSnapshot => "CreateSnapshot",
            Self::DeleteSnapshot => "DeleteSnapshot",
            Self::RestoreSnapshot => "RestoreSnapshot",
            Self::DiffSnapshots => "DiffSnapshots",
            Self::Scrub => "Scrub",
        }
    }
}

/// Finds the route of a request. HEAD goes where GET does.
pub(super) fn route(method: &Method, path: &str) -> Result<Route, Refusal> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let mut allowed = Vec::new();
    for (known, pattern, operation) in ROUTES {
        let Some(named) = matched(pattern, path) else { continue };
        if *known != method {
            allowed.push(*known);
            continue;
        }
        let (bucket, snapshot) = match named {
            Named::Nothing => (None, None),
            Named::Bucket(name) => (Some(BucketName::parse(name).map_err(|error| malformed(&error))?), None),
            Named::Snapshot(name) => {
                (None, Some(SnapshotName::parse(name).map_err(|error| malformed(&error))?))
            }
        };
        return Ok(Route { operation: *operation, bucket, snapshot });
    }
    if allowed.is_empty() {
        Err(Refusal::NotFound(format!(
            "there is nothing at {}; docs/operations.md lists what there is",
            path.chars().take(200).collect::<String>()
        )))
    } else {
        Err(Refusal::NotAllowed { path: path.to_owned(), allowed: allowed.join(", ") })
    }
}

fn malformed(error: &dyn std::error::Error) -> Refusal {
    Refusal::Malformed(error.to_string())
}

/// What a path names.
enum Named<'path> {
    Nothing,
    Bucket(&'path str),
    Snapshot(&'path str),
}

/// What a path names by a pattern; `None` if it is another's.
fn matched<'path>(pattern: &str, path: &'path str) -> Option<Named<'path>> {
    let between = |(before, after): (&str, &str)| {
        let name = path.strip_prefix(before)?.strip_suffix(after)?;
        (!name.contains('/')).then_some(name)
    };
    if let Some(around) = pattern.split_once("{bucket}") {
        return between(around).map(Named::Bucket);
    }
    if let Some(around) = pattern.split_once("{snapshot}") {
        return between(around).map(Named::Snapshot);
    }
    (pattern == path).then_some(Named::Nothing)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::{Operation, route};
    use crate::admin::refusal::Refusal;

    #[test]
    fn every_request_has_its_operation() {
        for (method, path, operation, bucket) in [
            ("GET", "/-/metrics", Operation::GetMetrics, None),
            ("HEAD", "/-/metrics", Operation::GetMetrics, None),
            ("GET", "/-/api/v1/receipt", Operation::GetReceipt, None),
            ("GET", "/-/api/v1/release", Operation::GetRelease, None),
            ("GET", "/-/api/v1/upstreams", Operation::ListUpstreams, None),
            ("GET", "/-/api/v1/buckets/stage/objects", Operation::ListStored, Some("stage")),
            ("GET", "/-/api/v1/buckets/stage/tombstones", Operation::ListTombstones, Some("stage")),
            ("POST", "/-/api/v1/buckets/stage/undelete", Operation::Undelete, Some("stage")),
            ("GET", "/-/api/v1/buckets/a.b/inventory", Operation::GetInventory, Some("a.b")),
            ("POST", "/-/api/v1/buckets/stage/inventory", Operation::ImportInventory, Some("stage")),
            ("DELETE", "/-/api/v1/buckets/stage/inventory", Operation::DropInventory, Some("stage")),
            ("GET", "/-/api/v1/buckets/stage/crawl", Operation::GetCrawl, Some("stage")),
            ("POST", "/-/api/v1/buckets/stage/crawl", Operation::KeepCrawl, Some("stage")),
        ] {
            let method: Method = method.parse().expect("a method");
            let found = route(&method, path).expect("a route");
            assert_eq!(
                (found.operation, found.bucket.as_ref().map(crate::model::BucketName::as_str)),
                (operation, bucket),
                "{path}"
            );
        }
    }

    #[test]
    fn snapshots_have_theirs() {
        for (method, path, operation, snapshot) in [
            ("GET", "/-/api/v1/snapshots", Operation::ListSnapshots, None),
            ("POST", "/-/api/v1/snapshots", Operation::CreateSnapshot, None),
            ("DELETE", "/-/api/v1/snapshots/a", Operation::DeleteSnapshot, Some("a")),
            ("POST", "/-/api/v1/snapshots/A.b_c-1/restore", Operation::RestoreSnapshot, Some("A.b_c-1")),
            ("GET", "/-/api/v1/snapshots/a/diff", Operation::DiffSnapshots, Some("a")),
        ] {
            let found = route(&method.parse().expect("a method"), path).expect("a route");
            let name = found.snapshot.as_ref().map(crate::model::SnapshotName::as_str);
            assert_eq!((found.operation, name, found.bucket), (operation, snapshot, None), "{path}");
        }
        let refused = route(&Method::DELETE, "/-/api/v1/snapshots/.hidden").expect_err("no such name");
        assert!(matches!(refused, Refusal::Malformed(_)));
    }

    #[test]
    fn what_is_no_route_is_refused_with_what_could_be_asked() {
        for path in
            ["/-/", "/-", "/-/metrics/", "/-/api/v1/buckets//objects/x", "/-/api/v1/buckets/a/b/objects"]
        {
            assert!(matches!(route(&Method::GET, path), Err(Refusal::NotFound(_))), "{path}");
        }
        let refused = route(&Method::PUT, "/-/api/v1/buckets/stage/inventory").expect_err("no such method");
        assert!(matches!(&refused, Refusal::NotAllowed { allowed, .. } if allowed == "GET, POST, DELETE"));
        let refused = route(&Method::GET, "/-/api/v1/buckets/UPPER/objects").expect_err("no such name");
        assert!(matches!(refused, Refusal::Malformed(_)));
    }
}
