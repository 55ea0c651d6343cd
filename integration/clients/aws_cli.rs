//! The AWS command line.

use super::python;
use super::server::{Server, Setup};

#[test]
fn aws_s3_and_s3api_do_what_people_and_scripts_ask() {
    let server = Server::start(&Setup::default());
    let report = python::run(&server, "aws_cli.py", &[]);
    assert!(report["calls"].as_u64() > Some(30), "{report}");
}
