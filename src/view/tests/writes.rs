//! Conditions of writes, and deletes, where production has the key.

use super::*;
use crate::model::{ETag, ETagMatch};

async fn check(
    fixture: &Fixture,
    name: &str,
    conditions: &WriteConditions,
) -> Result<WriteConditions, Error> {
    let mut conditions = conditions.clone();
    let hops = Hops::default();
    fixture.view.check_write(&bucket(), &key(name), &mut conditions, &hops).await.map(|()| conditions)
}

fn none_may_be_there() -> WriteConditions {
    WriteConditions { if_none_match: Some(ETagMatch::Any), ..WriteConditions::default() }
}

fn it_must_be(tag: &str) -> WriteConditions {
    let tag = ETag::parse(tag).expect("a tag");
    WriteConditions { if_match: Some(ETagMatch::OneOf(vec![tag])), ..WriteConditions::default() }
}

#[tokio::test]
async fn conditions_see_what_production_has() {
    let fixture = Fixture::with(&CACHE.replace("cache", "redirect"), Config::default()).await;
    fixture.production.serve("a", Served { etag: "\"tag\"".to_owned(), ..Served::new("abc") });
    let failed = check(&fixture, "a", &none_may_be_there()).await;
    assert!(matches!(failed, Err(Error::Condition(ConditionFailed::Precondition("If-None-Match")))));
    let failed = check(&fixture, "a", &it_must_be("other")).await;
    assert!(matches!(failed, Err(Error::Condition(ConditionFailed::Precondition("If-Match")))));
    let now = check(&fixture, "a", &it_must_be("tag")).await.expect("it holds");
    let nothing = WriteConditions { if_generation_match: Some(0), ..WriteConditions::default() };
    assert_eq!(now, nothing, "the store decides whether something came meanwhile");

    for conditions in [none_may_be_there(), it_must_be("tag")] {
        let same = check(&fixture, "gone", &conditions).await.expect("nobody has it");
        assert_eq!(same, conditions, "the store decides");
    }
}

#[tokio::test]
async fn conditions_on_what_is_here_are_the_stores_and_none_cost_nothing() {
    let fixture = Fixture::new().await;
    fixture.put("written", b"abc").await;
    fixture.put("deleted", b"abc").await;
    fixture.bury("deleted").await;
    for name in ["written", "deleted"] {
        let same = check(&fixture, name, &none_may_be_there()).await.expect("left alone");
        assert_eq!(same, none_may_be_there(), "{name}");
    }
    let same = check(&fixture, "a", &WriteConditions::default()).await.expect("nothing to check");
    assert_eq!(same, WriteConditions::default());
    assert_eq!(fixture.production.asked(), [""; 0]);
}

#[tokio::test]
async fn what_was_kept_and_is_hidden_now_does_not_fail_a_condition() {
    let name = "pub/firefox/releases/83.0/a";
    let fixture = Fixture::new().await;
    fixture.production.serve(name, Served::new("abc"));
    assert!(fixture.materialise(name).await.expect("it is here"));
    let view = fixture.seen_by(CACHE, &["firefox-83.0-build1"]);
    let mut conditions = none_may_be_there();
    view.check_write(&bucket(), &key(name), &mut conditions, &Hops::default()).await.expect("it holds");
    assert_eq!(conditions, none_may_be_there());
    let found = fixture.store.find_object(&bucket(), &key(name), None).expect("the index answers");
    assert!(matches!(found, Lookup::Absent), "the store will find nothing: {found:?}");
}

#[tokio::test]
async fn conditions_fail_where_production_cannot_be_asked() {
    let fixture = Fixture::new().await;
    fixture.production.stop();
    assert!(matches!(check(&fixture, "a", &none_may_be_there()).await, Err(Error::Upstream(_))));
}

#[tokio::test]
async fn a_delete_sees_what_production_has() {
    let sees = async |fixture: &Fixture, name: &str| {
        let seen = fixture.view.delete_sees(&bucket(), &key(name), &Hops::default()).await;
        let DeleteSees { covered, exists } = seen.expect("an answer");
        (covered, exists)
    };
    for mode in ["cache", "proxy", "redirect\"\nprobe = true\n#\""] {
        let fixture = Fixture::with(&CACHE.replace("cache", mode), Config::default()).await;
        fixture.production.serve("a", Served::new("abc"));
        assert_eq!(sees(&fixture, "a").await, (true, true), "{mode}");
        assert_eq!(sees(&fixture, "gone").await, (true, false), "{mode}");
        assert_eq!(fixture.production.asked(), ["HEAD a", "HEAD gone"], "{mode}");
        fixture.production.stop();
        assert_eq!(sees(&fixture, "b").await, (true, true), "{mode}: trouble keeps nobody from deleting");
    }
    let redirecting = Fixture::with(&CACHE.replace("cache", "redirect"), Config::default()).await;
    assert_eq!(sees(&redirecting, "gone").await, (true, true), "it is assumed");
    assert_eq!(redirecting.production.asked(), [""; 0]);
    let other = Fixture::with(&CACHE.replace("**", "pub/**"), Config::default()).await;
    assert_eq!(sees(&other, "a").await, (false, false));
}
