//! storage.objects.move.

use http::StatusCode;
use serde_json::json;

use super::{Fixture, document, refusal};

#[tokio::test]
async fn a_move_leaves_nothing_behind_and_keeps_everything() {
    let fixture = Fixture::open().await;
    let session = fixture.session("", &json!({"name": "a/x", "metadata": {"arrow/gcsfs": "1"}})).await;
    let object = document(&fixture.ask(&format!("PUT {session}"), &[], b"bytes").await);
    let generation = object["generation"].as_str().expect("a number");
    let line =
        format!("POST /storage/v1/b/bucket/o/a%2Fx/moveTo/o/b%2Fy?ifSourceGenerationMatch={generation}");
    let moved = document(&fixture.ask(&line, &[], b"").await);
    assert_eq!((&moved["name"], &moved["size"]), (&json!("b/y"), &json!("5")));
    assert_eq!((&moved["metadata"], &moved["md5Hash"]), (&json!({"arrow/gcsfs": "1"}), &object["md5Hash"]));
    let gone = fixture.ask("GET /storage/v1/b/bucket/o/a%2Fx", &[], b"").await;
    assert_eq!(refusal(&gone), (404, "notFound".to_owned()));
    let bytes = fixture.ask("GET /storage/v1/b/bucket/o/b%2Fy?alt=media", &[], b"").await;
    assert_eq!(bytes.body().as_ref(), b"bytes");
    // A name that is no header is left out of the headers.
    assert!(!bytes.headers().keys().any(|name| name.as_str().starts_with("x-goog-meta-")), "{bytes:?}");
}

#[tokio::test]
async fn a_move_that_is_refused_changes_nothing() {
    let fixture = Fixture::open().await;
    for name in ["a", "b"] {
        let line = format!("POST /upload/storage/v1/b/bucket/o?uploadType=media&name={name}");
        fixture.ask(&line, &[], name.as_bytes()).await;
    }
    for (line, status, reason) in [
        ("POST /storage/v1/b/bucket/o/a/moveTo/o/b?ifGenerationMatch=0", 412, "conditionNotMet"),
        ("POST /storage/v1/b/bucket/o/a/moveTo/o/b?ifSourceGenerationMatch=7777", 412, "conditionNotMet"),
        ("POST /storage/v1/b/bucket/o/a/moveTo/o/b?ifSourceMetagenerationNotMatch=1", 412, "conditionNotMet"),
        ("POST /storage/v1/b/bucket/o/a/moveTo/o/a", 400, "invalid"),
        ("POST /storage/v1/b/bucket/o/none/moveTo/o/b", 404, "notFound"),
        ("POST /storage/v1/b/bucket/o/a/moveTo/o/b?sourceGeneration=1", 400, "invalidParameter"),
        ("GET /storage/v1/b/bucket/o/a/moveTo/o/b", 404, "notFound"),
    ] {
        assert_eq!(refusal(&fixture.ask(line, &[], b"").await), (status, reason.to_owned()), "{line}");
    }
    for name in ["a", "b"] {
        let answer = fixture.ask(&format!("GET /storage/v1/b/bucket/o/{name}?alt=media"), &[], b"").await;
        assert_eq!((answer.status(), answer.body().as_ref()), (StatusCode::OK, name.as_bytes()));
    }
}
