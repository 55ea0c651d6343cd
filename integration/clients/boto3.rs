//! The surface of S3 through boto3: a group of cases for each test.

use super::python;
use super::server::{Server, Setup};

/// Runs every case of a group; the program fails if one of them does, and shows them all.
fn group(name: &str) {
    let server = Server::start(&Setup::default());
    let report = python::run(&server, "boto3_surface.py", &[name]);
    assert!(report["passed"].as_u64() > Some(2), "{report}");
}

#[test]
fn objects_behave_as_in_s3() {
    group("objects");
}

#[test]
fn conditions_behave_as_in_s3() {
    group("conditions");
}

#[test]
fn lists_behave_as_in_s3() {
    group("lists");
}

#[test]
fn multipart_uploads_behave_as_in_s3() {
    group("multipart");
}

#[test]
fn checksums_behave_as_in_s3() {
    group("checksums");
}

#[test]
fn buckets_behave_as_in_s3() {
    group("buckets");
}
