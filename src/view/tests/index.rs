//! What the imported index answers without a call, and what rules hide.

use super::*;
use crate::model::{ETag, Timestamp};
use crate::store::InventoryRow;

/// An index that covers `pub/` and has `pub/here` there.
async fn index(fixture: &Fixture) {
    let row = InventoryRow {
        key: key("pub/here"),
        size_bytes: 3,
        modified: Some(Timestamp::from_seconds(1000)),
        etag: Some(ETag::parse("tag").expect("a tag")),
        md5: None,
        crc32c: None,
    };
    fixture.store.add_inventory(&bucket(), vec![row]).await.expect("added");
    let taken = Timestamp::from_seconds(2000);
    fixture.store.cover_inventory(&bucket(), "pub/".to_owned(), taken).await.expect("covered");
}

async fn head(fixture: &Fixture, name: &str) -> Got {
    fixture.ask(name, ReadMethod::Head, &HeaderMap::new()).await.expect("an answer")
}

#[tokio::test]
async fn the_index_answers_without_a_call_in_every_mode() {
    for mode in ["redirect", "redirect\"\nprobe = true\n#\"", "proxy", "cache", "auto"] {
        let fixture = Fixture::with(&CACHE.replace("cache", mode), Config::default()).await;
        index(&fixture).await;
        assert!(matches!(fixture.get("pub/gone").await, Ok(Got::Absent)), "{mode}");
        assert!(matches!(head(&fixture, "pub/gone").await, Got::Absent), "{mode}");
        let Got::Known(remote) = head(&fixture, "pub/here").await else { panic!("{mode}") };
        assert_eq!((remote.size_bytes, remote.etag.as_str()), (Some(3), "tag"));
        assert!(!fixture.materialise("pub/gone").await.expect("an answer"), "{mode}");
        let known = fixture.view.remote(&bucket(), &key("pub/here"), &Hops::default()).await;
        assert_eq!(known.expect("an answer"), Some(remote), "{mode}");
        let known = fixture.view.remote(&bucket(), &key("pub/gone"), &Hops::default()).await;
        assert_eq!(known.expect("an answer"), None, "{mode}");
        assert_eq!(fixture.production.asked(), [""; 0], "{mode}");
    }
}

#[tokio::test]
async fn what_the_index_knows_needs_no_probe() {
    let text = CACHE.replace("cache\"", "redirect\"\nprobe = true");
    let fixture = Fixture::with(&text, Config::default()).await;
    index(&fixture).await;
    assert!(matches!(fixture.get("pub/here").await, Ok(Got::Redirect(_))));
    assert_eq!(fixture.production.asked(), [""; 0]);
}

#[tokio::test]
async fn outside_of_what_the_index_covers_production_is_asked() {
    let fixture = Fixture::new().await;
    index(&fixture).await;
    fixture.production.serve("other/a", Served::new("abc"));
    assert!(fixture.materialise("other/a").await.expect("it is here"));
}

#[tokio::test]
async fn rules_hide_what_the_index_knows() {
    let fixture = Fixture::with("[[fallback]]\nmatch = \"**\"\nmode = \"deny\"\n", Config::default()).await;
    index(&fixture).await;
    assert!(matches!(head(&fixture, "pub/here").await, Got::Absent));
    assert!(!fixture.materialise("pub/here").await.expect("an answer"));
}

#[tokio::test]
async fn what_was_kept_is_absent_once_no_rule_shows_it() {
    let name = "pub/firefox/releases/83.0/a";
    let fixture = Fixture::new().await;
    fixture.production.serve(name, Served::new("abc"));
    assert!(fixture.materialise(name).await.expect("it is here"));
    let deny = CACHE.replace("mode = \"cache\"\nto = \"PRODUCTION\"", "mode = \"deny\"");
    for (text, under_test, seen) in [
        (CACHE, &[][..], true),
        (CACHE, &["firefox-82.0-build1"], false),
        (CACHE, &["firefox-84.0-build1"], true),
        (&deny, &[], false),
    ] {
        let view = fixture.seen_by(text, under_test);
        let found = view.find(&bucket(), &key(name), None).expect("the index answers");
        assert_eq!(matches!(found, Lookup::Here(..)), seen, "{under_test:?} {found:?}");
        assert_eq!(view.stats().hits, u64::from(seen));
        let here = view.materialise(&bucket(), &key(name), &Hops::default()).await;
        assert_eq!(here.expect("an answer"), seen, "{under_test:?}");
    }
    assert_eq!(fixture.production.asked().len(), 1);
}
