//! What is refused changes nothing, whatever the operation.

use http::StatusCode;
use serde_json::json;

use super::{CHUNK, Fixture, document, refusal};
use crate::gcs::allowed::tests::{HEADERS, REQUESTS};

#[tokio::test]
async fn what_is_refused_by_its_name_changes_nothing() {
    let fixture = Fixture::open().await;
    fixture.ask("POST /upload/storage/v1/b/bucket/o?uploadType=media&name=a", &[], b"first").await;
    let state = async || {
        let objects = document(&fixture.ask("GET /storage/v1/b/bucket/o", &[], b"").await);
        let buckets = document(&fixture.ask("GET /storage/v1/b", &[], b"").await);
        (objects, buckets)
    };
    let before = state().await;
    let parameters = ["ifSourceGenerationMatch=1", "upload_protocol=raw", "callback=f", "copySourceAcl=true"];
    let mut refused = 0;
    for line in REQUESTS {
        let with =
            |parameter: &str| format!("{line}{}{parameter}", if line.contains('?') { "&" } else { "?" });
        for parameter in parameters {
            let takes = parameter.starts_with("ifSource") && line.contains("To/");
            if !takes {
                let answer = fixture.ask(&with(parameter), &[], b"").await;
                assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{line} {parameter}: {answer:?}");
                refused += 1;
            }
        }
        for name in HEADERS {
            let takes = name.starts_with("if-") && line.starts_with("GET") && line.contains("/o/");
            if !takes {
                let answer = fixture.ask(line, &[(name, "1")], b"").await;
                assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{line} {name}: {answer:?}");
                refused += 1;
            }
        }
    }
    assert!(refused > 600, "{refused}");
    assert_eq!(state().await, before);
}

#[tokio::test]
async fn fields_that_google_does_not_know_are_refused() {
    let fixture = Fixture::open().await;
    for (path, name) in [
        ("b/bucket?fields=nonexistent", "nonexistent"),
        ("b/bucket/o?fields=items(name,nonexistent)", "nonexistent"),
        ("b/bucket/o?fields=size", "size"),
    ] {
        let answer = fixture.ask(&format!("GET /storage/v1/{path}"), &[], b"").await;
        assert_eq!(refusal(&answer), (400, "invalidParameter".to_owned()), "{path}");
        let message = format!("Invalid field selection {name}");
        assert_eq!(document(&answer)["error"]["message"], message, "{path}");
    }
    let upload = "POST /upload/storage/v1/b/bucket/o?uploadType=media&name=a&fields=nonexistent";
    assert_eq!(refusal(&fixture.ask(upload, &[], b"x").await), (400, "invalidParameter".to_owned()));
    let nothing = fixture.ask("GET /storage/v1/b/bucket/o/a", &[], b"").await;
    assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_question_how_far_an_upload_is_has_no_body() {
    let fixture = Fixture::open().await;
    for range in ["bytes */*", "bytes */5", "bytes */0"] {
        let put = format!("PUT {}", fixture.session("", &json!({"name": "a"})).await);
        let answer = fixture.ask(&put, &[("content-range", range)], b"bytes").await;
        assert_eq!(refusal(&answer), (400, "badRequest".to_owned()), "{range}");
    }
}

#[tokio::test]
async fn digests_of_a_chunk_are_compared() {
    let fixture = Fixture::open().await;
    let put = format!("PUT {}", fixture.session("", &json!({"name": "a"})).await);
    let chunk = vec![0; CHUNK];
    let range = ("content-range", "bytes 0-262143/*");
    let wrong = fixture.ask(&put, &[range, ("x-goog-hash", "crc32c=AAAAAA==")], &chunk).await;
    assert_eq!(refusal(&wrong), (400, "invalid".to_owned()));
    let how_far = fixture.ask(&put, &[("content-range", "bytes */*")], b"").await;
    assert!(!how_far.headers().contains_key("range"), "{how_far:?}");
    let md5 = "md5=7FVsW6eJ5PpRTVhnMl9mEw==";
    let last = ("content-range", "bytes 0-262143/262144");
    let wrong = fixture.ask(&put, &[last, ("x-goog-hash", md5)], &chunk).await;
    assert_eq!(refusal(&wrong), (400, "invalid".to_owned()));
}

#[tokio::test]
async fn the_name_in_the_query_overrides_that_in_the_document() {
    let fixture = Fixture::open().await;
    let put = format!("PUT {}", fixture.session("&name=b", &json!({"name": "a"})).await);
    assert_eq!(document(&fixture.ask(&put, &[], b"x").await)["name"], "b");
}
