//! Uploads as clients differ in sending them, and those that are refused before their bytes come.

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use super::{CHUNK, Fixture, Frames, document, refusal};
use crate::protocol::body::{BodyError, ByteCount, receive};

#[tokio::test]
async fn clients_that_want_no_308_are_told_it_in_a_header() {
    let fixture = Fixture::open().await;
    let put = format!("PUT {}", fixture.session("", &json!({"name": "a"})).await);
    let no_308 = ("x-guploader-no-308", "yes");
    let chunk = vec![0; CHUNK];
    for (range, body, persisted) in [
        ("bytes */*", &b""[..], None),
        ("bytes 0-262143/*", &chunk, Some("bytes=0-262143")),
        ("bytes */*", b"", Some("bytes=0-262143")),
    ] {
        let answer = fixture.ask(&put, &[("content-range", range), no_308], body).await;
        assert_eq!(answer.status(), StatusCode::OK, "{range}: {answer:?}");
        assert_eq!(answer.headers()["x-http-status-code-override"], "308", "{range}");
        let told = answer.headers().get("range").map(|range| range.to_str().expect("text"));
        assert_eq!(told, persisted, "{range}");
    }
    let done = fixture.ask(&put, &[("content-range", "bytes 262144-262144/262145"), no_308], b"x").await;
    assert_eq!(document(&done)["size"], "262145");
    assert!(!done.headers().contains_key("x-http-status-code-override"), "{done:?}");
}

#[tokio::test]
async fn a_chunk_may_go_from_its_first_byte_to_the_end_of_the_body() {
    let fixture = Fixture::open().await;
    for (range, sent, kept, status) in [
        ("bytes 0-*/*", 5, 0, 200),
        ("bytes 0-*/5", 5, 0, 200),
        ("bytes 262144-*/*", 5, CHUNK, 200),
        ("bytes 262144-*/262149", 5, CHUNK, 200),
        ("bytes 262144-*/262144", 0, CHUNK, 200),
        ("bytes 0-*/6", 5, 0, 400),
        ("bytes 1-*/*", 5, 0, 400),
        ("bytes 262145-*/*", 5, CHUNK, 400),
        ("bytes 6-*/5", 0, 0, 400),
    ] {
        let put = format!("PUT {}", fixture.session("", &json!({"name": "a"})).await);
        if kept > 0 {
            fixture.ask(&put, &[("content-range", "bytes 0-262143/*")], &vec![0; kept]).await;
        }
        let answer = fixture.ask(&put, &[("content-range", range)], &vec![1; sent]).await;
        assert_eq!(answer.status().as_u16(), status, "{range}: {answer:?}");
        if status == 200 {
            assert_eq!(document(&answer)["size"], (kept + sent).to_string(), "{range}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_before_its_bytes_are_read() {
    let fixture = Fixture::open().await;
    fixture.ask("POST /upload/storage/v1/b/bucket/o?uploadType=media&name=a", &[], b"first").await;
    let multipart = ("content-type", "multipart/related; boundary=b");
    for (parameters, hash, status, reason) in [
        ("name=a&ifGenerationMatch=0", "", 412, "conditionNotMet"),
        ("name=a&ifMetagenerationNotMatch=1", "", 412, "conditionNotMet"),
        ("name=new&ifGenerationMatch=5", "", 412, "conditionNotMet"),
        ("name=new&ifGenerationMatch=x", "", 400, "invalidParameter"),
        ("name=new", "sha1=AAAA", 400, "invalid"),
        // Nothing is wrong but the body.
        ("name=new&ifGenerationMatch=0", "md5=XUFAKrxLKna5cZ2REBfFkg==", 503, "uploadBrokenConnection"),
    ] {
        let head = Bytes::from_static(b"--b\r\n\r\n{}\r\n--b\r\n\r\nx");
        let bodies = [
            ("media", vec![Err(BodyError::TimedOut)]),
            ("multipart", vec![Ok(head), Err(BodyError::TimedOut)]),
        ];
        for (kind, frames) in bodies {
            let line = format!("POST /upload/storage/v1/b/bucket/o?uploadType={kind}&{parameters}");
            let body = receive(Frames(frames.into()), ByteCount::default());
            let answer = fixture.send(&line, &[multipart, ("x-goog-hash", hash)], body).await;
            assert_eq!(refusal(&answer), (status, reason.to_owned()), "{line}");
        }
    }
}

#[tokio::test]
async fn who_may_do_nothing_in_a_bucket_is_refused_before_the_document_is_read() {
    let fixture = Fixture::new(&["read,write:other/"]).await;
    for kind in ["media&name=a", "multipart", "resumable"] {
        let line = format!("POST /upload/storage/v1/b/bucket/o?uploadType={kind}");
        let body = receive(Frames([Err(BodyError::TimedOut)].into()), ByteCount::default());
        let answer = fixture.send(&line, &[("content-type", "multipart/related; boundary=b")], body).await;
        assert_eq!(refusal(&answer), (401, "required".to_owned()), "{kind}");
    }
}
