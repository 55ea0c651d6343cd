//! Listings of what is here and what production has, by its imported index.

use serde_json::Value;

use super::{Fixture, Inner, Service, waited};
use crate::fallback::{Fallback, ReleaseConfig, Rule};
use crate::gcs::{Config, ServiceAccounts};
use crate::model::{BucketName, Grant, ObjectKey, Timestamp};
use crate::store::InventoryRow;
use crate::view::View;

/// A bucket whose `pub/` falls through to production, and what production has by its index.
async fn fixture_with_index(keys: &[&str]) -> Fixture {
    #[derive(serde::Deserialize)]
    struct Rules {
        fallback: Vec<Rule>,
    }
    let rules = "[[fallback]]\nmatch = \"pub/**\"\nmode = \"redirect\"\nto = \"https://archive.example/\"";
    let rules = toml::from_str::<Rules>(rules).expect("rules").fallback;
    let bucket = BucketName::parse("bucket").expect("a name");
    let fallback = Fallback::new([(bucket.clone(), rules)], ReleaseConfig::default(), |_| None);
    let fixture = Fixture::open().await;
    let service = Service::new(Inner {
        view: View::over(fixture.store.clone(), fallback.expect("no credentials to look up")),
        accounts: ServiceAccounts::none(),
        anonymous: vec![Grant::all()],
        limits: crate::protocol::Config::for_tests(),
        config: Config::default(),
    });
    let row = |key: &&str| InventoryRow {
        key: ObjectKey::parse(key).expect("a key"),
        size_bytes: 7,
        modified: Some(Timestamp::from_seconds(1_500_000_000)),
        etag: None,
        md5: None,
        crc32c: Some(1),
    };
    fixture.store.add_inventory(&bucket, keys.iter().map(row).collect()).await.expect("rows are kept");
    Fixture { service, ..fixture }
}

impl Fixture {
    async fn upload(&self, name: &str) {
        let line = format!("POST /upload/storage/v1/b/bucket/o?uploadType=media&name={name}");
        let answer = self.ask(&line, &[], b"here").await;
        assert!(answer.status().is_success(), "{answer:?}");
    }

    async fn list(&self, parameters: &str) -> Value {
        let answer = self.ask(&format!("GET /storage/v1/b/bucket/o?{parameters}"), &[], b"").await;
        assert!(answer.status().is_success(), "{answer:?}");
        serde_json::from_slice(answer.body()).expect("a document")
    }
}

/// The names of the items, and the prefixes.
fn listed(document: &Value) -> (Vec<&str>, Vec<&str>) {
    let texts = |member: &str, name: Option<&str>| {
        let of = |value| name.map_or(Some(value), |name| Value::get(value, name)).and_then(Value::as_str);
        document[member].as_array().into_iter().flatten().filter_map(of).collect()
    };
    (texts("items", Some("name")), texts("prefixes", None))
}

#[tokio::test]
async fn listings_show_what_production_has_and_hide_what_was_deleted_here() {
    let stage = fixture_with_index(&["elsewhere/x", "pub/b", "pub/c", "pub/d/", "pub/d/2", "pub/e/1"]).await;
    stage.upload("pub/a").await;
    stage.upload("pub/c").await;
    for name in ["pub%2Fb", "pub%2Fe%2F1"] {
        let answer = stage.ask(&format!("DELETE /storage/v1/b/bucket/o/{name}"), &[], b"").await;
        assert!(answer.status().is_success(), "{answer:?}");
    }
    let first = stage.list("prefix=pub/&delimiter=/&maxResults=2").await;
    assert_eq!(listed(&first), (vec!["pub/a", "pub/c"], vec![]));
    let token = first["nextPageToken"].as_str().expect("a further page");
    let last = stage.list(&format!("prefix=pub/&delimiter=/&maxResults=2&pageToken={token}")).await;
    assert_eq!(listed(&last), (vec![], vec!["pub/d/"]));
    assert!(last.get("nextPageToken").is_none(), "{last}");
    let folders = stage.list("prefix=pub/&delimiter=/&includeTrailingDelimiter=True").await;
    assert_eq!(listed(&folders), (vec!["pub/a", "pub/c", "pub/d/"], vec!["pub/d/"]));
}

#[tokio::test]
async fn offsets_and_globs_choose_among_productions_keys_too() {
    let stage = fixture_with_index(&["pub/b", "pub/d/1", "pub/d/2.mar", "pub/e/1", "pub/f"]).await;
    stage.upload("pub/c").await;
    for (parameters, names, prefixes) in [
        ("startOffset=pub/c&endOffset=pub/e", &["pub/c", "pub/d/1", "pub/d/2.mar"][..], &[][..]),
        ("startOffset=pub/d/2&prefix=pub/&delimiter=/", &["pub/f"], &["pub/d/", "pub/e/"]),
        ("endOffset=pub/d/1&prefix=pub/&delimiter=/", &["pub/b", "pub/c"], &[]),
        ("matchGlob=**/*.mar", &["pub/d/2.mar"], &[]),
        ("matchGlob=**/*.mar&delimiter=/&prefix=pub/", &[], &["pub/d/"]),
        ("matchGlob=**.mar", &["pub/d/2.mar"], &[]),
        ("matchGlob=p**2*", &["pub/d/2.mar"], &[]),
        ("matchGlob=pub/[cd]/**", &["pub/d/1", "pub/d/2.mar"], &[]),
        ("matchGlob=*/&delimiter=/", &[], &["pub/"]),
        ("matchGlob=pub/{c,e/}&delimiter=/&prefix=pub/", &["pub/c"], &["pub/e/"]),
    ] {
        let document = stage.list(parameters).await;
        assert_eq!(listed(&document), (names.to_vec(), prefixes.to_vec()), "{parameters}");
    }
}

#[tokio::test]
async fn a_glob_with_a_delimiter_loses_no_key() {
    let folder = |name: &str, ends: &str| -> Vec<String> {
        (0..8).zip(ends.chars()).map(|(number, end)| format!("pub/{name}{number}.{end}")).collect()
    };
    let keys = [folder("k", "xxxxxyyy"), folder("l", "yyyyyyyy"), folder("m", "yyyyyyyy")].concat();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let stage = fixture_with_index(&keys).await;
    let passing: Vec<&str> = keys.iter().copied().filter(|key| key.ends_with('y')).collect();
    for parameters in ["", "&delimiter=/", "&delimiter=/&maxResults=20"] {
        let document = stage.list(&format!("matchGlob=pub/*.y&prefix=pub/{parameters}")).await;
        let (names, prefixes) = listed(&document);
        assert_eq!((&names, prefixes), (&passing, vec![]), "{parameters}");
    }
}

#[tokio::test]
async fn a_glob_that_matches_little_reads_many_rows_at_once_and_lets_others_run() {
    let keys: Vec<String> = (0..3000).map(|number| format!("pub/{number:04}")).collect();
    let merging = fixture_with_index(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let plain = Fixture::open().await;
    for number in 0..200 {
        plain.upload(&format!("pub/{number:04}")).await;
    }
    for (stage, glob, waits) in [(merging, "pub/2999", 2..20), (plain, "pub/0199", 1..20)] {
        let parameters = format!("matchGlob={glob}&maxResults=1");
        let (document, waited) = waited(stage.list(&parameters), usize::MAX).await;
        assert_eq!(listed(&document.expect("an answer")).0, [glob]);
        assert!(waits.contains(&waited), "{glob}: {waited}");
    }
}

#[tokio::test]
async fn a_long_glob_lets_others_run_within_a_single_name() {
    let stage = Fixture::open().await;
    stage.upload(&"a".repeat(1000)).await;
    let glob = format!("{}b", "*a".repeat(511));
    let (document, waited) = waited(stage.list(&format!("matchGlob={glob}")), usize::MAX).await;
    assert_eq!(listed(&document.expect("an answer")).0, [""; 0]);
    // Each of the thousand letters is looked at from each of the stars that it can be behind.
    let steps = 1000 * 1000;
    assert!(waited >= steps / crate::view::Turn::STEPS, "{waited}");
}

#[tokio::test]
async fn listings_that_pass_over_what_was_deleted_let_others_run() {
    let stage = fixture_with_index(&[]).await;
    let bucket = BucketName::parse("bucket").expect("a name");
    let deletes = (0..5000).map(|number| crate::store::DeleteObject {
        key: ObjectKey::parse(&format!("pub/{number:05}")).expect("a key"),
        version: None,
        conditions: crate::model::WriteConditions::default(),
        tombstone: true,
    });
    stage.store.delete_objects(&bucket, deletes.collect()).await.expect("tombstones");
    let plain = super::service_of(&stage.store, &["read,write,list,admin:*"]);
    let merging = Fixture { service: stage.service.clone(), ..stage };
    let (document, merged) = waited(merging.list("prefix=pub/"), usize::MAX).await;
    assert_eq!(listed(&document.expect("an answer")).0, [""; 0]);
    let flat = Fixture { service: plain, ..merging };
    let (document, whole) = waited(flat.list("prefix=pub/"), usize::MAX).await;
    assert_eq!(listed(&document.expect("an answer")).0, [""; 0]);
    let view = crate::view::View::over(flat.store.clone(), Fallback::default());
    let query = crate::protocol::listing::ListQuery { keys_max: 1000, ..Default::default() };
    let hops = crate::protocol::request::Context::for_tests(Timestamp::from_seconds(0)).hops;
    let by_s3 = crate::protocol::listing::objects(&view, &bucket, &query, &hops);
    let (page, by_s3) = waited(by_s3, usize::MAX).await;
    assert!(page.expect("an answer").expect("a page").entries.is_empty());
    assert!(merged >= 20 && whole >= 5 && by_s3 >= 2, "{merged} {whole} {by_s3}");
}

#[tokio::test]
async fn an_item_of_production_is_described_as_far_as_it_is_known() {
    let stage = fixture_with_index(&["pub/b"]).await;
    let document = stage.list("").await;
    let item = &document["items"][0];
    assert_eq!((&item["size"], &item["crc32c"]), (&Value::from("7"), &Value::from("AAAAAQ==")));
    assert_eq!(item["updated"], "2017-07-14T02:40:00.000Z");
    assert!(item.get("md5Hash").is_none(), "{item}");
}
