//! Real clients against a real server: boto3, aws-cli, aws-sdk-s3, aiohttp, curl and beetmover.
//!
//! The Python programs are in `integration/python`; each prints one JSON object for the test here.

#[expect(dead_code, reason = "the wire tests hold a connection open, these do not")]
#[path = "../harness/http.rs"]
mod http;
#[path = "../harness/production.rs"]
mod production;
#[path = "../harness/python.rs"]
mod python;
#[path = "../harness/request_log.rs"]
mod request_log;
#[expect(dead_code, reason = "only the crash test kills its server and starts it again")]
#[path = "../harness/server.rs"]
mod server;

mod aws_cli;
mod beetmover;
mod boto3;
mod first_start;
mod sdk;
mod update_task;
