//! Keys that only production has: read, copied, tagged, written over and deleted.

use http::StatusCode;
use http_body_util::BodyExt as _;

use super::{Answer, Stage};
use crate::model::Grant;
use crate::protocol::miss::production::{Manners, Production};

/// Bytes that differ from place to place, too many to be sent at once.
fn pattern() -> Vec<u8> {
    (0..300_000_usize).map(|index| (index.wrapping_mul(31) ^ (index >> 9)).to_le_bytes()[0]).collect()
}

/// A stage whose bucket leads to production in this mode.
async fn stage(mode: &str) -> (Stage, Production) {
    let production = Production::start().await;
    production.serve("pub/a", pattern());
    let stage = Stage::over(production.rules("bucket", mode), vec![Grant::all()]);
    stage.put("/bucket", "").await;
    (stage, production)
}

/// What a client compares between two answers about one object.
fn identity(answer: &Answer) -> [String; 4] {
    ["etag", "last-modified", "content-type", "x-amz-meta-build"].map(|name| answer.header(name).to_owned())
}

fn code(answer: &Answer) -> String {
    let text = answer.text();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    code.map_or_else(String::new, |(code, _)| code.to_owned())
}

#[tokio::test]
async fn a_download_in_parts_sees_one_object_however_it_comes() {
    for (mode, manners) in [
        ("proxy", Manners::Good),
        ("proxy", Manners::Deaf),
        ("cache", Manners::Good),
        ("cache", Manners::Deaf),
    ] {
        let (stage, production) = stage(mode).await;
        production.behave(manners);
        let head = stage.get("HEAD /bucket/pub/a").await;
        assert_eq!(head.header("content-length"), "300000", "{mode} {manners:?}");
        assert_eq!(head.body.len(), 0);
        let etag = head.header("etag");
        let mut bytes = Vec::new();
        // The first is answered by proxy, and with `cache` later ones are along the flight or from here.
        for range in ["bytes=0-99999", "bytes=100000-199999", "bytes=200000-"] {
            let part = stage.send("GET /bucket/pub/a", &[("range", range), ("if-match", etag)], "").await;
            assert_eq!(
                part.status,
                StatusCode::PARTIAL_CONTENT,
                "{mode} {manners:?} {range}: {}",
                part.text()
            );
            assert!(part.header("content-range").ends_with("/300000"), "{:?}", part.headers);
            assert_eq!(part.header("content-length"), "100000");
            assert_eq!(identity(&part), identity(&head), "{mode} {manners:?}");
            bytes.extend_from_slice(&part.body);
        }
        assert!(bytes == pattern(), "{mode} {manners:?}");
        let whole = stage.get("GET /bucket/pub/a").await;
        assert_eq!(identity(&whole), identity(&head));
        assert!(whole.body == pattern());
    }
}

#[tokio::test]
async fn conditions_and_ranges_hold_of_production_even_if_it_knows_none() {
    for (mode, manners) in [("proxy", Manners::Good), ("proxy", Manners::Deaf), ("cache", Manners::Good)] {
        let (stage, production) = stage(mode).await;
        production.behave(manners);
        let etag = stage.get("HEAD /bucket/pub/a").await.header("etag").to_owned();
        for (name, value, expected) in [
            ("if-none-match", etag.as_str(), 304),
            ("if-none-match", "\"other\"", 200),
            ("if-match", "\"other\"", 412),
            ("if-modified-since", "Fri, 20 Nov 2026 21:20:19 GMT", 304),
            ("if-unmodified-since", "Fri, 20 Nov 2015 21:20:19 GMT", 412),
            ("range", "bytes=300000-", 416),
            ("range", "bytes=-5", 206),
            ("range", "bytes=0-1,4-5", 200),
        ] {
            let answer = stage.send("GET /bucket/pub/a", &[(name, value)], "").await;
            assert_eq!(answer.status.as_u16(), expected, "{mode} {manners:?} {name}: {value}");
            match expected {
                412 => assert_eq!(code(&answer), "PreconditionFailed"),
                416 => {
                    assert_eq!(code(&answer), "InvalidRange");
                    assert_eq!(answer.header("content-range"), "bytes */300000");
                    assert!(answer.text().contains("<ActualObjectSize>300000<"), "{}", answer.text());
                }
                304 => assert_eq!((answer.body.len(), answer.header("content-type")), (0, "")),
                _ => {}
            }
        }
        let changed = [("range", "bytes=0-9"), ("if-range", "\"other\"")];
        let answer = stage.send("GET /bucket/pub/a", &changed, "").await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 300_000), "{mode} {manners:?}");
        let same = [("range", "bytes=0-9"), ("if-range", etag.as_str())];
        let answer = stage.send("GET /bucket/pub/a", &same, "").await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (206, 10), "{mode} {manners:?}");
    }
}

#[tokio::test]
async fn who_cannot_follow_a_redirect_gets_none() {
    let (stage, production) = stage("auto").await;
    for method in ["GET", "HEAD"] {
        let line = format!("{method} /bucket/pub/a");
        let plain = stage.send(&line, &[], "").await;
        assert_eq!(plain.status, StatusCode::FOUND);
        assert_eq!(plain.header("location"), format!("{}pub/a", production.url()));
        assert_eq!(production.asked(), [""; 0]);
    }
    for (name, value) in [("amz-sdk-invocation-id", "1"), ("x-amz-user-agent", "aws-sdk-js/3")] {
        let sdk = stage.send("GET /bucket/pub/a", &[(name, value)], "").await;
        assert_eq!((sdk.status.as_u16(), sdk.body.len()), (200, 300_000), "{name}");
    }
    let missing = stage.send("GET /bucket/pub/none", &[("amz-sdk-request", "attempt=1")], "").await;
    assert_eq!((missing.status.as_u16(), code(&missing).as_str()), (404, "NoSuchKey"));
}

#[tokio::test]
async fn an_object_of_production_is_its_own_only_part() {
    let (stage, _production) = stage("proxy").await;
    let first = stage.get("GET /bucket/pub/a?partNumber=1").await;
    assert_eq!((first.status.as_u16(), first.header("content-range")), (206, "bytes 0-299999/300000"));
    assert!(first.body == pattern());
    let second = stage.send("GET /bucket/pub/a?partNumber=2", &[], "").await;
    assert_eq!((second.status.as_u16(), code(&second).as_str()), (416, "InvalidPartNumber"));
}

#[tokio::test]
async fn trouble_of_production_is_named_and_is_never_a_404() {
    let (stage, production) = stage("proxy").await;
    production.behave(Manners::Failing(403));
    for line in ["GET /bucket/pub/a", "GET /bucket/pub/a?tagging"] {
        let answer = stage.send(line, &[], "").await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (502, "BadGateway"), "{line}");
        assert!(answer.text().contains(&production.url()), "{}", answer.text());
    }
    let copy = stage.send("PUT /bucket/copy", &[("x-amz-copy-source", "bucket/pub/a")], "").await;
    assert_eq!((copy.status.as_u16(), code(&copy).as_str()), (502, "BadGateway"));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_not_an_end() {
    for mode in ["proxy", "cache"] {
        let (stage, production) = stage(mode).await;
        production.serve("pub/large", vec![7; 2 << 20]);
        production.behave(Manners::Short);
        let answer = stage.stream("GET /bucket/pub/large").await;
        // Along a flight it may have failed before the head went out.
        if answer.status() == StatusCode::OK {
            assert_eq!(answer.headers()["content-length"], "2097152", "{mode}");
            answer.into_body().collect().await.expect_err("half of it is missing");
        } else {
            assert_eq!((mode, answer.status()), ("cache", StatusCode::BAD_GATEWAY));
        }
        production.behave(Manners::Good);
        assert_eq!(stage.get("GET /bucket/pub/large").await.body.len(), 2 << 20, "{mode}");
    }
}

#[tokio::test]
async fn what_only_production_has_can_be_copied() {
    for mode in ["redirect", "proxy", "cache"] {
        let (stage, production) = stage(mode).await;
        let source = [("x-amz-copy-source", "bucket/pub/a")];
        let copied = stage.send("PUT /bucket/copy", &source, "").await;
        assert_eq!(copied.status, StatusCode::OK, "{mode}: {}", copied.text());
        let again = stage.send("PUT /bucket/again", &source, "").await;
        assert_eq!(again.status, StatusCode::OK, "{mode}: {}", again.text());
        let copy = stage.get("GET /bucket/copy").await;
        assert!(copy.body == pattern(), "{mode}");
        assert_eq!((copy.header("content-type"), copy.header("x-amz-meta-build")), ("text/x-test", "7"));
        let fetched = production.asked().iter().filter(|asked| asked.starts_with("GET")).count();
        assert_eq!(fetched, 1, "{mode}: {:?}", production.asked());
        let missing = stage.send("PUT /bucket/copy", &[("x-amz-copy-source", "bucket/pub/none")], "").await;
        assert_eq!((missing.status.as_u16(), code(&missing).as_str()), (404, "NoSuchKey"), "{mode}");
    }
}

#[tokio::test]
async fn conditions_on_the_source_hold_of_production() {
    let (stage, _production) = stage("proxy").await;
    let etag = stage.get("HEAD /bucket/pub/a").await.header("etag").to_owned();
    for (value, expected) in [("\"other\"", 412), (etag.as_str(), 200)] {
        let headers = [("x-amz-copy-source", "bucket/pub/a"), ("x-amz-copy-source-if-match", value)];
        let answer = stage.send("PUT /bucket/copy", &headers, "").await;
        assert_eq!(answer.status.as_u16(), expected, "{value}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_part_can_be_copied_from_production() {
    let (stage, _production) = stage("proxy").await;
    let begun = stage.get("POST /bucket/whole?uploads").await.text();
    let (_, rest) = begun.split_once("<UploadId>").expect("an id");
    let id = rest.split('<').next().expect("its end");
    let headers = [("x-amz-copy-source", "bucket/pub/a"), ("x-amz-copy-source-range", "bytes=10-19")];
    let part = stage.send(&format!("PUT /bucket/whole?partNumber=1&uploadId={id}"), &headers, "").await;
    assert_eq!(part.status, StatusCode::OK, "{}", part.text());
    let (_, rest) =
        part.text().split_once("<ETag>").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a tag");
    let etag = rest.split('<').next().expect("its end");
    let parts = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    let done = stage.send(&format!("POST /bucket/whole?uploadId={id}"), &[], &parts).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    assert!(stage.get("GET /bucket/whole").await.body == pattern()[10..20]);
}

#[tokio::test]
async fn tags_of_what_only_production_has_are_none_until_some_are_put() {
    let (stage, production) = stage("redirect").await;
    let none = stage.get("GET /bucket/pub/a?tagging").await;
    assert!(!none.text().contains("<Tag>"), "{}", none.text());
    assert_eq!(production.asked(), ["HEAD pub/a"]);
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let put = stage.send("PUT /bucket/pub/a?tagging", &[], tags).await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text());
    assert!(stage.get("GET /bucket/pub/a?tagging").await.text().contains("<Key>a</Key>"));
    assert!(stage.get("GET /bucket/pub/a").await.body == pattern(), "it is here now");
    for method in ["GET", "PUT", "DELETE"] {
        let body = if method == "PUT" { tags } else { "" };
        let missing = stage.send(&format!("{method} /bucket/pub/none?tagging"), &[], body).await;
        assert_eq!((missing.status.as_u16(), code(&missing).as_str()), (404, "NoSuchKey"), "{method}");
    }
}

#[tokio::test]
async fn conditions_of_writes_see_what_production_has() {
    for mode in ["redirect", "proxy", "cache"] {
        let (stage, _production) = stage(mode).await;
        let etag = stage.send("HEAD /bucket/pub/a", &[("amz-sdk-request", "1")], "").await;
        let etag = if mode == "redirect" { "*".to_owned() } else { etag.header("etag").to_owned() };
        let put = |name: &'static str, value: String| {
            let stage = &stage;
            async move { stage.send("PUT /bucket/pub/a", &[(name, value.as_str())], "new").await }
        };
        let refused = put("if-none-match", "*".to_owned()).await;
        assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (412, "PreconditionFailed"), "{mode}");
        let refused = put("if-match", "\"other\"".to_owned()).await;
        assert_eq!(refused.status.as_u16(), 412, "{mode}");
        let deleted = stage.send("DELETE /bucket/pub/a", &[("if-match", "\"other\"")], "").await;
        assert_eq!(deleted.status.as_u16(), 412, "{mode}: {}", deleted.text());
        let taken = put("if-match", etag).await;
        assert_eq!(taken.status.as_u16(), 200, "{mode}: {}", taken.text());
        assert_eq!(stage.get("GET /bucket/pub/a").await.text(), "new", "{mode}");
        let fresh = stage.send("PUT /bucket/pub/none", &[("if-none-match", "*")], "new").await;
        assert_eq!(fresh.status.as_u16(), 200, "{mode}: {}", fresh.text());
    }
}

#[tokio::test]
async fn what_was_deleted_here_is_gone_for_good() {
    let (stage, production) = stage("proxy").await;
    assert_eq!(stage.get("DELETE /bucket/pub/a").await.status, StatusCode::NO_CONTENT);
    for line in ["GET /bucket/pub/a", "HEAD /bucket/pub/a", "GET /bucket/pub/a?tagging"] {
        assert_eq!(stage.send(line, &[], "").await.status, StatusCode::NOT_FOUND, "{line}");
    }
    let copy = stage.send("PUT /bucket/copy", &[("x-amz-copy-source", "bucket/pub/a")], "").await;
    assert_eq!((copy.status.as_u16(), code(&copy).as_str()), (404, "NoSuchKey"));
    assert_eq!(production.asked(), [""; 0], "nobody asks production for it");
}
