//! The server's request log, read as a test reads it: what was asked and how it was answered.

use serde_json::Value;

use super::server::Server;

/// How many requests of an operation the server has answered with a status below 300.
///
/// The log is written after the answer, so this waits until as many as `wanted` are there; more
/// than that are counted too, as far as they were written by then.
pub(crate) fn successes(server: &Server, operation: &str, wanted: usize) -> usize {
    let mut count = 0;
    let _reached = server.journal().wait_for(|lines, _| {
        count = lines.iter().filter(|line| is_success(line, operation)).count();
        (count >= wanted).then_some(())
    });
    count
}

/// Whether a line is the event of a successful request of this operation.
fn is_success(line: &str, operation: &str) -> bool {
    let Ok(event) = serde_json::from_str::<Value>(line) else { return false };
    let fields = &event["Fields"];
    fields["operation"] == operation && fields["status"].as_u64().is_some_and(|status| status < 300)
}
