//! Clients that go away before their answer comes: whatever was begun for them comes to an end.

use http::StatusCode;
use serde_json::json;
use tokio::runtime::Handle;

use super::{CHUNK, Fixture, document, waited};

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

#[tokio::test]
async fn a_last_chunk_that_is_stored_becomes_the_object_though_its_client_went_away() {
    const LAST: [(&str, &str); 1] = [("content-range", "bytes 262144-262144/262145")];
    for waits in 0.. {
        let fixture = Fixture::open().await;
        let session = fixture.session("", &json!({"name": "a"})).await;
        let put = format!("PUT {session}");
        let first = fixture.ask(&put, &[("content-range", "bytes 0-262143/*")], &vec![0; CHUNK]).await;
        assert_eq!(first.status(), StatusCode::PERMANENT_REDIRECT);
        let tasks = Handle::current().metrics().num_alive_tasks();
        let came = fixture.leave(waits, &put, &LAST, b"x").await;
        quiet(tasks).await;
        let after = fixture.ask(&put, &[("content-range", "bytes */*")], b"").await;
        let range = after.headers().get("range").map(|range| range.to_str().expect("text"));
        match range {
            None => assert_eq!(document(&after)["size"], "262145"),
            Some(range) => assert_eq!((range, came), ("bytes=0-262143", false), "after {waits} waits"),
        }
        if came {
            assert!(waits > 0, "the client never went away");
            return;
        }
    }
}

#[tokio::test]
async fn a_last_chunk_that_comes_again_at_once_is_answered_with_the_object() {
    const LAST: [(&str, &str); 1] = [("content-range", "bytes 262144-262144/262145")];
    for waits in 0.. {
        let fixture = Fixture::open().await;
        let session = fixture.session("", &json!({"name": "a"})).await;
        let put = format!("PUT {session}");
        fixture.ask(&put, &[("content-range", "bytes 0-262143/*")], &vec![0; CHUNK]).await;
        let came = fixture.leave(waits, &put, &LAST, b"x").await;
        // What the first one began may still be under way.
        let again = fixture.ask(&put, &LAST, b"x").await;
        assert_eq!(again.status(), StatusCode::OK, "after {waits} waits: {again:?}");
        assert_eq!(document(&again)["size"], "262145");
        if came {
            return;
        }
    }
}
