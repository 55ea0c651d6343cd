//! beetmoverscript 8.5.6, as it was published in 2019, publishes a release.

use serde_json::Value;

use super::server::{Server, Setup};
use super::{python, request_log};

/// The buckets that the tasks of `beetmover.py` name.
const BUCKETS: [&str; 4] = ["stage-firefox", "stage-partner", "stage-maven", "stage-paged"];

/// Runs `beetmover.py`, then compares what it did with what the server says was asked of it.
fn publish(arguments: &[&str]) {
    let server = Server::start(&Setup::with_buckets(&BUCKETS));
    let counts = python::run(&server, "beetmover.py", arguments);
    assert_eq!(counts["version"], "8.5.6");
    for (operation, name) in [("PutObject", "uploads"), ("CopyObject", "copies"), ("ListObjects", "listings")]
    {
        let wanted = counts[name].as_u64().and_then(|count| usize::try_from(count).ok());
        let wanted = wanted.filter(|count| *count > 0).unwrap_or_else(|| panic!("{name} of {counts}"));
        assert_eq!(request_log::successes(&server, operation, wanted), wanted, "{operation}s in the log");
    }
}

#[test]
fn unmodified_beetmover_publishes_a_release_by_sigv2_links() {
    publish(&["release"]);
}

#[test]
fn unmodified_beetmover_publishes_a_release_by_sigv4_links() {
    publish(&["release", "--region", "eu-central-1"]);
}

#[test]
fn push_to_releases_pages_through_more_than_a_thousand_keys() {
    publish(&["paged"]);
}

#[test]
fn calls_of_todays_beetmover_store_what_they_send() {
    let server = Server::start(&Setup::with_buckets(&BUCKETS));
    let report = python::run(&server, "beetmover_today.py", &[]);
    assert!(report["checked"].as_u64() > Some(0), "{report}");
}

/// Nothing of beetmover is used here, so a failure of the package cannot hide one of the server.
#[test]
fn presigned_puts_are_accepted_or_refused_as_s3_does() {
    let server = Server::start(&Setup::with_buckets(&BUCKETS));
    let report: Value = python::run(&server, "presign.py", &[]);
    assert!(report["checked"].as_u64() > Some(0), "{report}");
}
