//! Objects that only production has: shown, downloaded, copied, changed and deleted.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Fixture, document, refusal, service_over};
use crate::fallback::Fallback;
use crate::protocol::miss::production::{Manners, Production};

const RESOURCE: &str = "/storage/v1/b/bucket/o/pub%2Fa";
const MEDIA: &str = "GET /download/storage/v1/b/bucket/o/pub%2Fa?alt=media";

/// A stage whose bucket leads to production in this mode.
async fn stage(mode: &str) -> (Fixture, Production) {
    let production = Production::start().await;
    production.serve("pub/a", "hello");
    let fallback = production.rules("bucket", mode);
    (over(fallback).await, production)
}

async fn over(fallback: Fallback) -> Fixture {
    let mut fixture = Fixture::open().await;
    fixture.service = service_over(&fixture.store, fallback, &["read,write,list,admin:*"]);
    fixture
}

fn member(answer: &Response<bytes::Bytes>, name: &str) -> String {
    document(answer)[name].as_str().unwrap_or_default().to_owned()
}

fn header<'a>(answer: &'a Response<bytes::Bytes>, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

async fn text(fixture: &Fixture, line: &str) -> String {
    let answer = fixture.ask(line, &[], b"").await;
    assert_eq!(answer.status(), StatusCode::OK, "{line}: {answer:?}");
    String::from_utf8(answer.into_body().to_vec()).expect("text")
}

#[tokio::test]
async fn productions_objects_have_a_resource_and_bytes_that_agree() {
    for mode in ["proxy", "cache", "auto"] {
        let (fixture, _production) = stage(mode).await;
        let shown = fixture.ask(&format!("GET {RESOURCE}"), &[], b"").await;
        assert_eq!(shown.status(), StatusCode::OK, "{mode}: {shown:?}");
        assert_eq!(member(&shown, "size"), "5");
        assert_eq!(member(&shown, "md5Hash"), "XUFAKrxLKna5cZ2REBfFkg==");
        assert_eq!(member(&shown, "contentType"), "text/x-test");
        assert_eq!(document(&shown)["metadata"], json!({ "build": "7" }));
        assert_eq!(member(&shown, "updated"), "2020-09-13T12:26:40.000Z");
        let generation = member(&shown, "generation");
        let media = fixture.ask(&format!("{MEDIA}&generation={generation}"), &[], b"").await;
        assert_eq!(media.body().as_ref(), b"hello", "{mode}: {media:?}");
        assert_eq!(header(&media, "x-goog-hash"), "md5=XUFAKrxLKna5cZ2REBfFkg==");
        assert_eq!(header(&media, "x-goog-meta-build"), "7");
        // With `cache` it is kept by now, under a generation of the store.
        let range = [("range", "bytes=1-3")];
        let part = fixture.ask(&format!("{MEDIA}&generation={generation}"), &range, b"").await;
        assert_eq!((part.status().as_u16(), part.body().as_ref()), (206, &b"ell"[..]), "{mode}: {part:?}");
        let other = fixture.ask(&format!("{MEDIA}&generation=77"), &[], b"").await;
        assert_eq!(refusal(&other), (404, "notFound".to_owned()), "{mode}");
        let missing = fixture.ask("GET /storage/v1/b/bucket/o/pub%2Fnone", &[], b"").await;
        assert_eq!(refusal(&missing), (404, "notFound".to_owned()), "{mode}");
    }
}

#[tokio::test]
async fn conditions_are_of_this_dialects_tags() {
    for manners in [Manners::Good, Manners::Deaf] {
        let (fixture, production) = stage("proxy").await;
        production.behave(manners);
        let etag = member(&fixture.ask(&format!("GET {RESOURCE}"), &[], b"").await, "etag");
        for (name, value, expected) in [
            ("if-match", etag.as_str(), 200),
            ("if-match", "other", 412),
            ("if-none-match", etag.as_str(), 304),
            ("if-none-match", "other", 200),
            ("range", "bytes=5-", 416),
        ] {
            let value = if name == "range" { value.to_owned() } else { format!("\"{value}\"") };
            let answer = fixture.ask(MEDIA, &[(name, &value)], b"").await;
            assert_eq!(answer.status().as_u16(), expected, "{manners:?} {name}: {value}");
        }
        let part = [("range", "bytes=0-1"), ("if-range", "\"other\"")];
        let answer = fixture.ask(MEDIA, &part, b"").await;
        assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, &b"hello"[..]));
    }
}

#[tokio::test]
async fn the_release_under_test_is_not_there_in_production() {
    let production = Production::start().await;
    for name in ["pub/firefox/releases/82.0/a", "pub/firefox/releases/83.0/a"] {
        production.serve(name, "hello");
    }
    let fixture = over(production.rules_with("bucket", "proxy", &["firefox-83.0-build2"])).await;
    for (version, expected) in [("82.0", 200), ("83.0", 404)] {
        let line = format!("GET /storage/v1/b/bucket/o/pub%2Ffirefox%2Freleases%2F{version}%2Fa");
        assert_eq!(fixture.ask(&line, &[], b"").await.status().as_u16(), expected, "{version}");
    }
    assert_eq!(production.asked(), ["HEAD pub/firefox/releases/82.0/a"]);
}

#[tokio::test]
async fn copies_and_compositions_of_production_are_here() {
    for mode in ["redirect", "proxy", "cache"] {
        let (fixture, production) = stage(mode).await;
        let shown = fixture.ask(&format!("GET {RESOURCE}"), &[], b"").await;
        let generation = member(&shown, "generation");
        let lines = [
            format!("POST {RESOURCE}/rewriteTo/b/bucket/o/rewritten?sourceGeneration={generation}"),
            // It is kept by now, and still the same.
            format!("POST {RESOURCE}/rewriteTo/b/bucket/o/again?ifSourceGenerationMatch={generation}"),
            format!("POST {RESOURCE}/copyTo/b/bucket/o/copied"),
        ];
        for line in lines {
            let answer = fixture.ask(&line, &[], b"").await;
            assert_eq!(answer.status(), StatusCode::OK, "{mode} {line}: {answer:?}");
        }
        let sources: Value = json!({ "sourceObjects": [{ "name": "pub/a" }, { "name": "copied" }] });
        let line = "POST /storage/v1/b/bucket/o/composed/compose";
        let composed = fixture.ask(line, &[], sources.to_string().as_bytes()).await;
        assert_eq!(composed.status(), StatusCode::OK, "{mode}: {composed:?}");
        for (name, expected) in
            [("rewritten", "hello"), ("again", "hello"), ("copied", "hello"), ("composed", "hellohello")]
        {
            assert_eq!(
                text(&fixture, &format!("GET /storage/v1/b/bucket/o/{name}?alt=media")).await,
                expected
            );
        }
        let fetched = production.asked().iter().filter(|asked| asked.starts_with("GET")).count();
        assert_eq!(fetched, 1, "{mode}: {:?}", production.asked());
        let wrong = format!("POST {RESOURCE}/rewriteTo/b/bucket/o/x?ifSourceGenerationMatch=77");
        assert_eq!(refusal(&fixture.ask(&wrong, &[], b"").await).0, 412, "{mode}");
        let none = "POST /storage/v1/b/bucket/o/pub%2Fnone/rewriteTo/b/bucket/o/x";
        assert_eq!(refusal(&fixture.ask(none, &[], b"").await).0, 404, "{mode}");
    }
}

#[tokio::test]
async fn metadata_of_productions_objects_can_be_changed_here() {
    let (fixture, _production) = stage("redirect").await;
    let shown = fixture.ask(&format!("GET {RESOURCE}"), &[], b"").await;
    let generation = member(&shown, "generation");
    let line = format!("PATCH {RESOURCE}?ifGenerationMatch={generation}");
    let patched = fixture.ask(&line, &[], br#"{"cacheControl": "no-store"}"#).await;
    assert_eq!(patched.status(), StatusCode::OK, "{patched:?}");
    assert_eq!(member(&patched, "cacheControl"), "no-store");
    assert_eq!(member(&patched, "contentType"), "text/x-test", "the rest stays");
    assert_eq!(text(&fixture, MEDIA).await, "hello");
    let none = fixture.ask("PATCH /storage/v1/b/bucket/o/none", &[], b"{}").await;
    assert_eq!(refusal(&none).0, 404);
}

#[tokio::test]
async fn preconditions_of_writes_see_production() {
    for mode in ["redirect", "proxy", "cache"] {
        let (fixture, _production) = stage(mode).await;
        let upload =
            |query: &str| format!("POST /upload/storage/v1/b/bucket/o?uploadType=media&name=pub%2Fa{query}");
        let refused = fixture.ask(&upload("&ifGenerationMatch=0"), &[], b"new").await;
        assert_eq!(refusal(&refused), (412, "conditionNotMet".to_owned()), "{mode}");
        let generation = member(&fixture.ask(&format!("GET {RESOURCE}"), &[], b"").await, "generation");
        let taken = fixture.ask(&upload(&format!("&ifGenerationMatch={generation}")), &[], b"new").await;
        assert_eq!(taken.status(), StatusCode::OK, "{mode}: {taken:?}");
        assert_eq!(text(&fixture, MEDIA).await, "new", "{mode}");
    }
}

#[tokio::test]
async fn a_generation_of_production_holds_also_after_it_was_kept() {
    let (fixture, _production) = stage("cache").await;
    let generation = member(&fixture.ask(&format!("GET {RESOURCE}"), &[], b"").await, "generation");
    assert_eq!(text(&fixture, MEDIA).await, "hello");
    let kept = member(&fixture.ask(&format!("GET {RESOURCE}"), &[], b"").await, "generation");
    assert_ne!(kept, generation, "it is the store's by now");
    let line = format!(
        "POST /upload/storage/v1/b/bucket/o?uploadType=media&name=pub%2Fa&ifGenerationMatch={generation}"
    );
    let taken = fixture.ask(&line, &[], b"new").await;
    assert_eq!(taken.status(), StatusCode::OK, "{taken:?}");
    let refused = fixture.ask(&line, &[], b"newer").await;
    assert_eq!(refusal(&refused).0, 412, "what was written here has another one");
}

#[tokio::test]
async fn what_production_has_can_be_deleted_here() {
    for mode in ["redirect", "proxy", "cache"] {
        let (fixture, production) = stage(mode).await;
        let line = format!("DELETE {RESOURCE}");
        let refused = fixture.ask(&format!("{line}?ifGenerationMatch=77"), &[], b"").await;
        assert_eq!(refusal(&refused).0, 412, "{mode}");
        assert_eq!(fixture.ask(&line, &[], b"").await.status(), StatusCode::NO_CONTENT, "{mode}");
        let asked = production.asked().len();
        assert_eq!(refusal(&fixture.ask(&line, &[], b"").await).0, 404, "{mode}: it is gone already");
        assert_eq!(refusal(&fixture.ask(MEDIA, &[], b"").await).0, 404, "{mode}");
        assert_eq!(refusal(&fixture.ask(&format!("GET {RESOURCE}"), &[], b"").await).0, 404, "{mode}");
        assert_eq!(production.asked().len(), asked, "{mode}: nobody asks production for it");
    }
    let (fixture, _production) = stage("proxy").await;
    let none = fixture.ask("DELETE /storage/v1/b/bucket/o/pub%2Fnone", &[], b"").await;
    assert_eq!(refusal(&none).0, 404);
}

#[tokio::test]
async fn trouble_of_production_has_a_reason_of_its_own() {
    let (fixture, production) = stage("proxy").await;
    production.behave(Manners::Failing(403));
    for line in [MEDIA.to_owned(), format!("GET {RESOURCE}"), format!("POST {RESOURCE}/copyTo/b/bucket/o/x")]
    {
        let answer = fixture.ask(&line, &[], b"").await;
        assert_eq!(refusal(&answer), (502, "badGateway".to_owned()), "{line}");
        let message = document(&answer)["error"]["message"].to_string();
        assert!(message.contains(&production.url()), "{message}");
    }
}
