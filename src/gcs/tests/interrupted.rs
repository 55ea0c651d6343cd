//! Clients that go away before their answer comes: whatever was begun for them comes to an end.

use http::StatusCode;
use serde_json::json;
use tokio::runtime::Handle;

use super::{Fixture, waited};

impl Fixture {
    /// Sends a request whose client goes away after so many waits; says whether the answer was faster.
    async fn leave(&self, waits: usize, line: &str, headers: &[(&str, &str)], body: &[u8]) -> bool {
        waited(self.ask(line, headers, body), waits).await.0.is_some()
    }
}

/// Waits until all work that goes on without a client is done.
async fn quiet(tasks: usize) {
    while Handle::current().metrics().num_alive_tasks() > tasks {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_composition_whose_client_went_away_leaves_no_upload_behind() {
    for waits in 0.. {
        let fixture = Fixture::open().await;
        for name in ["a", "b"] {
            let line = format!("POST /upload/storage/v1/b/bucket/o?uploadType=media&name={name}");
            fixture.ask(&line, &[], b"x").await;
        }
        let tasks = Handle::current().metrics().num_alive_tasks();
        let sources = json!({"sourceObjects": [{"name": "a"}, {"name": "b"}]}).to_string();
        let line = "POST /storage/v1/b/bucket/o/c/compose";
        let came = fixture.leave(waits, line, &[], sources.as_bytes()).await;
        quiet(tasks).await;
        for name in ["a", "b", "c"] {
            fixture.ask(&format!("DELETE /storage/v1/b/bucket/o/{name}"), &[], b"").await;
        }
        let gone = fixture.ask("DELETE /storage/v1/b/bucket", &[], b"").await;
        assert_eq!(gone.status(), StatusCode::NO_CONTENT, "after {waits} waits: {gone:?}");
        if came {
            assert!(waits > 0, "the client never went away");
            return;
        }
    }
}
