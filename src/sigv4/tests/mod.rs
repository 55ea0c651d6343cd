//! Version 4, by where the requests come from and by what is wrong with them.

mod aws_examples;
mod header_errors;
mod presigned;
mod query_errors;
mod signed_by_aws;
