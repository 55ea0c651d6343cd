//! Imports and crawls that go on after what they had found was taken away: nothing may be covered.

use super::*;
use crate::store::fsck::{self, Check};

fn rows(names: &[&str]) -> Vec<InventoryRow> {
    let row = |name: &&str| InventoryRow {
        key: key(name),
        size_bytes: 1,
        modified: None,
        etag: None,
        md5: None,
        crc32c: None,
    };
    names.iter().map(row).collect()
}

fn forgotten<T: std::fmt::Debug>(outcome: &Result<T, Error>) {
    assert!(matches!(outcome, Err(Error::Forgotten { .. })), "{outcome:?}");
}

impl Fixture {
    async fn step(
        &self,
        prefix: &str,
        names: &[&str],
        done: &[&str],
        found: &[&str],
    ) -> Result<Crawl, Error> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let (done, found) = (texts(done), texts(found));
        self.store.keep_crawl(&bucket(), prefix.to_owned(), rows(names), done, found).await
    }

    async fn begin(&self, prefix: &str) -> Import {
        self.store.begin_import(&bucket(), prefix.to_owned()).await.expect("begun")
    }

    async fn end(&self, import: Import) -> Result<(), Error> {
        self.store.end_import(import, Timestamp::from_seconds(10)).await
    }

    async fn drop_below(&self, prefix: &str) {
        self.store.drop_inventory(&bucket(), prefix.to_owned()).await.expect("dropped");
    }

    fn says(&self, name: &str) -> Known {
        self.store.find_inventory(&bucket(), &key(name)).expect("the index answers")
    }

    fn covered(&self) -> usize {
        self.store.inventory_covers(&bucket()).expect("the index answers").0.len()
    }
}

#[tokio::test]
async fn a_crawl_that_was_forgotten_cannot_go_on() {
    let fixture = Fixture::new().await;
    for dropped in ["", "pub/", "pub/x/below/"] {
        fixture.step("pub/", &["pub/a"], &[], &["pub/"]).await.expect("begun");
        fixture.step("pub/", &["pub/b"], &["pub/"], &["pub/x/"]).await.expect("kept");
        fixture.drop_below(dropped).await;
        forgotten(&fixture.step("pub/", &["pub/x/a"], &["pub/x/"], &[]).await);
        forgotten(&fixture.step("pub/", &["pub/x/a"], &["pub/x/"], &["pub/x/y/"]).await);
        forgotten(&fixture.step("pub/", &["pub/x/a"], &[], &[]).await);
        assert_eq!(fixture.says("pub/none"), Known::Unknown, "{dropped:?}");
        assert_eq!(fixture.says("pub/x/a"), Known::Unknown, "what is refused changes nothing");
        assert_eq!(fixture.store.find_crawl(&bucket(), "pub/").expect("an answer"), None);
    }
    let whole = fixture.step("pub/", &["pub/a"], &["pub/"], &["pub/"]).await.expect("all in one step");
    assert_eq!((whole.pending_count, fixture.says("pub/none")), (0, Known::Absent));
}

#[tokio::test]
async fn a_crawl_that_was_begun_after_the_snapshot_is_forgotten_by_going_back() {
    let fixture = Fixture::new().await;
    fixture.take("before").await;
    fixture.step("pub/", &[], &[], &["pub/a/"]).await.expect("begun");
    fixture.go_back("before").await;
    forgotten(&fixture.step("pub/", &["pub/a/1"], &["pub/a/"], &[]).await);
    assert_eq!(fixture.says("pub/b"), Known::Unknown);
}

#[tokio::test]
async fn an_import_covers_its_prefix_at_its_end() {
    let fixture = Fixture::new().await;
    fixture.store.add_inventory(&bucket(), rows(&["pub/old", "other"])).await.expect("added");
    let mut import = fixture.begin("pub/").await;
    fixture.store.keep_import(&mut import, rows(&["pub/b", "pub/a"])).await.expect("kept");
    fixture.store.keep_import(&mut import, rows(&["pub/c"])).await.expect("kept");
    assert_eq!(fixture.says("pub/none"), Known::Unknown, "it is not done");
    assert_eq!(fixture.store.find_crawl(&bucket(), "pub/").expect("an answer"), None, "it is no crawl");
    fixture.end(import).await.expect("whole");
    assert_eq!(fixture.says("pub/old"), Known::Absent, "what was known before has gone");
    assert!(
        matches!(fixture.says("pub/a"), Known::Here(_)) && matches!(fixture.says("other"), Known::Here(_))
    );
    let covers = fixture.store.inventory_covers(&bucket()).expect("an answer");
    assert_eq!(covers, (vec![("pub/".to_owned(), Timestamp::from_seconds(10))], 4));
}

#[tokio::test]
async fn an_import_whose_rows_were_dropped_cannot_go_on() {
    let fixture = Fixture::new().await;
    for dropped in ["", "pub/", "pub/x/below/"] {
        let (mut one, mut other) = (fixture.begin("pub/").await, fixture.begin("elsewhere/").await);
        fixture.store.keep_import(&mut one, rows(&["pub/a"])).await.expect("kept");
        fixture.drop_below(dropped).await;
        forgotten(&fixture.store.keep_import(&mut one, rows(&["pub/b"])).await);
        forgotten(&fixture.end(one).await);
        assert_eq!((fixture.says("pub/b"), fixture.covered()), (Known::Unknown, 0), "{dropped:?}");
        if !dropped.is_empty() {
            fixture.store.keep_import(&mut other, rows(&["elsewhere/a"])).await.expect("it has lost nothing");
        }
    }
}

#[tokio::test]
async fn of_two_imports_and_crawls_of_one_prefix_the_one_that_began_last_ends() {
    let fixture = Fixture::new().await;
    let mut first = fixture.begin("pub/").await;
    fixture.store.keep_import(&mut first, rows(&["pub/first"])).await.expect("kept");
    let mut second = fixture.begin("pub/").await;
    forgotten(&fixture.store.keep_import(&mut first, rows(&["pub/again"])).await);
    fixture.store.keep_import(&mut second, rows(&["pub/second"])).await.expect("kept");
    forgotten(&fixture.end(first).await);
    forgotten(&fixture.step("pub/", &["pub/crawled"], &["pub/"], &[]).await);
    fixture.end(second).await.expect("whole");
    assert_eq!((fixture.says("pub/first"), fixture.says("pub/again")), (Known::Absent, Known::Absent));
    assert!(matches!(fixture.says("pub/second"), Known::Here(_)));

    // A crawl of the same prefix begins as `upstream index` does.
    let third = fixture.begin("pub/").await;
    fixture.drop_below("pub/").await;
    fixture.step("pub/", &[], &[], &["pub/"]).await.expect("begun");
    forgotten(&fixture.end(third).await);
    assert_eq!(fixture.covered(), 0);
    fixture.step("pub/", &["pub/crawled"], &["pub/"], &[]).await.expect("done");
    assert_eq!(fixture.covered(), 1);
}

#[tokio::test]
async fn an_import_is_not_gone_on_with_behind_rows_that_going_back_took() {
    let fixture = Fixture::new().await;
    let mut import = fixture.begin("pub/").await;
    // The snapshot knows that it was begun, and not what came then.
    fixture.take("begun").await;
    fixture.store.keep_import(&mut import, rows(&["pub/lost"])).await.expect("kept");
    fixture.go_back("begun").await;
    forgotten(&fixture.store.keep_import(&mut import, rows(&["pub/next"])).await);
    forgotten(&fixture.end(import).await);
    assert_eq!((fixture.says("pub/lost"), fixture.covered()), (Known::Unknown, 0));
}

#[tokio::test]
async fn an_import_that_broke_off_is_no_damage_and_stands_in_nobodys_way() {
    let fixture = Fixture::new().await;
    let mut import = fixture.begin("pub/").await;
    let many: Vec<_> = (0..5000).map(|number| format!("pub/{number}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    fixture.store.keep_import(&mut import, rows(&many)).await.expect("kept");
    drop(import);
    let Fixture { store, options, folder } = fixture.reopened().await;
    store.close().await;
    drop(store);
    let report = fsck::run(folder.path(), Check::default(), |_| {}).expect("checked");
    assert_eq!(report.findings, []);
    let fixture = Fixture { store: Store::open(options.clone()).expect("it opens"), options, folder };
    let again = fixture.begin("pub/").await;
    fixture.end(again).await.expect("whole");
    assert_eq!((fixture.says("pub/0"), fixture.covered()), (Known::Absent, 1));
}
