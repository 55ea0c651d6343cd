//! What the request log is told of a read that goes elsewhere.

use http::{HeaderName, HeaderValue};

use super::production::{Manners, Production};
use super::{Asked, Missed, Tags, read};
use crate::fallback::{ClientKind, Fallback, ReadMethod};
use crate::model::{BucketName, ObjectKey, Owner, Timestamp};
use crate::protocol::outcome::{Answered, Face, Outcome};
use crate::protocol::request::Context;
use crate::store::{Durability, NewBucket, Options, Store};
use crate::view::View;

const KEY: &str = "pub/firefox/releases/82.0/a";

fn context() -> Context {
    Context::for_tests(Timestamp::from_seconds(1_795_209_619))
}

/// What became of a read, and what the log will say: answered, rule, upstream.
async fn told(
    fallback: Fallback,
    key: &str,
    method: ReadMethod,
) -> (String, Answered, Option<String>, Option<String>) {
    told_of(fallback, key, method, &[]).await
}

/// The same of a read with headers.
async fn told_of(
    fallback: Fallback,
    key: &str,
    method: ReadMethod,
    headers: &[(&'static str, &'static str)],
) -> (String, Answered, Option<String>, Option<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let options =
        Options { durability: Durability::Ephemeral, reserve_bytes: 0, ..Options::new(folder.path()) };
    let store = Store::open(options).expect("a store");
    let (bucket, key) = (BucketName::parse("bucket").expect("a name"), ObjectKey::parse(key).expect("a key"));
    let new = NewBucket { name: bucket.clone(), region: "us".to_owned(), owner: Owner::anonymous() };
    store.create_bucket(new).await.expect("a bucket");
    let view = View::over(store, fallback);
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let context = context();
    let mut outcome = Outcome::begin(&context, Face::S3);
    let asked = Asked {
        bucket: &bucket,
        key: &key,
        method,
        client: ClientKind::Plain,
        headers: &headers,
        context: &context,
        tags: Tags::OfObjects,
        may_write: false,
    };
    let became = match read(&view, asked, &mut outcome).await {
        Ok(Missed::Absent) => "absent".to_owned(),
        Ok(Missed::Redirect(answer)) => answer.status().to_string(),
        Ok(Missed::Found(found)) => format!("{:?}", found.extent),
        Ok(Missed::PreconditionFailed(_)) => "412".to_owned(),
        Ok(Missed::Unsatisfiable(_)) => "416".to_owned(),
        Err(_) => "failed".to_owned(),
    };
    (became, outcome.answered, outcome.rule.take(), outcome.upstream.take())
}

#[tokio::test]
async fn the_log_names_what_answered_its_rule_and_its_upstream() {
    use ReadMethod::{Get, Head};
    let production = Production::start().await;
    production.serve(KEY, "hello");
    let newer = KEY.replace("82.0", "83.0");
    let rules = |mode: &str| production.rules_with("bucket", mode, &["firefox-83.0-build2"]);
    let upstream = || Some(production.url());
    for (mode, key, method, became, answered, named) in [
        ("redirect", KEY, Get, "302 Found", Answered::Redirect, None),
        ("redirect", KEY, Head, "302 Found", Answered::Redirect, None),
        ("proxy", KEY, Get, "Whole", Answered::Proxy, upstream()),
        ("proxy", KEY, Head, "Whole", Answered::Proxy, upstream()),
        ("proxy", "pub/none", Get, "absent", Answered::Absent, upstream()),
        ("cache", KEY, Get, "Whole", Answered::Fill, upstream()),
        ("cache", KEY, Head, "Whole", Answered::Proxy, upstream()),
    ] {
        let told = told(rules(mode), key, method).await;
        let rule = Some("#1 **".to_owned());
        assert_eq!(told, (became.to_owned(), answered, rule, named), "{mode} {key} {method:?}");
    }
    let hidden = told(rules("proxy"), &newer, Get).await;
    assert_eq!(hidden, ("absent".to_owned(), Answered::UnderTest, None, None));
    let asked = production.asked();
    assert!(!asked.iter().any(|asked| asked.contains("83.0")), "{asked:?}");
}

#[tokio::test]
async fn trouble_is_told_with_the_rule_that_led_there() {
    let production = Production::start().await;
    production.behave(Manners::Failing(403));
    let (became, _, rule, upstream) = told(production.rules("bucket", "proxy"), KEY, ReadMethod::Get).await;
    let expected = ("failed", Some("#1 **"), Some(production.url()));
    assert_eq!((became.as_str(), rule.as_deref(), upstream), expected);
}

#[tokio::test]
async fn a_tag_of_production_is_its_own_even_if_it_looks_like_one_of_ours() {
    let production = Production::start().await;
    production.serve(KEY, "hello");
    // As Apache makes them of size and time.
    production.behave(Manners::Tagging("2aa6-5f3b0c8a1d2c0"));
    let part = "Part(ByteRange { start: 1, end: 3 })";
    for (name, value, expected) in [
        ("if-match", "\"2aa6-5f3b0c8a1d2c0\"", part),
        ("if-match", "\"2aa6-5f3b0c8a1d2c1\"", "412"),
        ("if-none-match", "\"2aa6-5f3b0c8a1d2c0\"", "NotModified"),
        ("if-none-match", "\"2aa6-5f3b0c8a1d2c1\"", part),
        ("if-range", "\"2aa6-5f3b0c8a1d2c0\"", part),
        ("if-range", "\"2aa6-5f3b0c8a1d2c1\"", "Whole"),
        // One that was made here of the time and the size, as long as there was none to be seen.
        ("if-match", "\"5f5e1000-5\"", part),
        ("if-match", "\"5f5e1000-unsized\"", part),
    ] {
        for mode in ["proxy", "cache"] {
            let headers = [("range", "bytes=1-2"), (name, value)];
            let (became, ..) =
                told_of(production.rules("bucket", mode), KEY, ReadMethod::Get, &headers).await;
            assert_eq!(became, expected, "{mode} {name}: {value}");
        }
    }
}

#[tokio::test]
async fn a_part_is_the_one_that_was_asked_for_or_none() {
    let production = Production::start().await;
    production.serve(KEY, "hello");
    for (range, named, expected) in [
        ("bytes=1-2", "bytes 1-2/5", "Part(ByteRange { start: 1, end: 3 })"),
        ("bytes=1-2", "bytes 1-2/*", "Part(ByteRange { start: 1, end: 3 })"),
        ("bytes=3-9", "bytes 3-4/5", "Part(ByteRange { start: 3, end: 5 })"),
        ("bytes=3-9", "bytes 3-4/*", "Part(ByteRange { start: 3, end: 5 })"),
        ("bytes=-2", "bytes 3-4/5", "Part(ByteRange { start: 3, end: 5 })"),
        ("bytes=-2", "bytes 3-4/*", "Part(ByteRange { start: 3, end: 5 })"),
        ("bytes=3-", "bytes 3-4/*", "Part(ByteRange { start: 3, end: 5 })"),
        // Two bytes come in each of these.
        ("bytes=1-2", "bytes 1-4/5", "failed"),
        ("bytes=1-2", "bytes 1-1/5", "failed"),
        ("bytes=1-2", "bytes 2-3/5", "failed"),
        ("bytes=1-2", "bytes 2-3/*", "failed"),
        ("bytes=-2", "bytes 2-3/5", "failed"),
        ("bytes=3-", "bytes 2-3/*", "failed"),
    ] {
        production.behave(Manners::Naming(named));
        let fallback = production.rules("bucket", "proxy");
        let (became, ..) = told_of(fallback, KEY, ReadMethod::Get, &[("range", range)]).await;
        assert_eq!(became, expected, "{range}: {named}");
    }
}
