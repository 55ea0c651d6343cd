//! Paths whose files only production has.

use http::StatusCode;

use super::{Stage, tree};
use crate::protocol::miss::production::{Manners, Production};

/// A stage whose bucket `one` leads to production in this mode, before the bucket `two`.
async fn stage(mode: &str) -> (Stage, Production) {
    let production = Production::start().await;
    production.serve("pub/a", "hello");
    let trees = vec![tree(&["ftp.example"], "/pub/", &["two", "one"])];
    (Stage::over(production.rules("one", mode), trees).await, production)
}

#[tokio::test]
async fn files_of_production_are_served_as_if_they_were_here() {
    for mode in ["proxy", "cache"] {
        let (stage, _production) = stage(mode).await;
        let head = stage.ask("HEAD", "ftp.example", "/pub/a", &[]).await;
        assert_eq!((head.status, head.header("content-length")), (StatusCode::OK, "5"), "{mode}");
        for _ in 0..2 {
            let whole = stage.get("/pub/a").await;
            assert_eq!((whole.status, whole.body.as_str()), (StatusCode::OK, "hello"), "{mode}");
            assert_eq!(whole.header("content-type"), "text/x-test");
            assert_eq!(whole.header("etag"), head.header("etag"));
            assert_eq!(whole.header("x-amz-meta-build"), "", "that is S3's");
        }
        for (name, value, status, body) in [
            ("range", "bytes=1-2", 206, "el"),
            ("range", "bytes=9-", 416, ""),
            ("if-none-match", head.header("etag"), 304, ""),
            ("if-match", "\"other\"", 412, ""),
        ] {
            let answer = stage.ask("GET", "ftp.example", "/pub/a", &[(name, value)]).await;
            assert_eq!(answer.status.as_u16(), status, "{mode} {name}: {value}");
            assert!(answer.body == body || status >= 400, "{mode} {name}: {}", answer.body);
            let expected = if status == 416 { "bytes */5" } else { answer.header("content-range") };
            assert_eq!(answer.header("content-range"), expected);
        }
        let missing = stage.get("/pub/none").await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND);
        assert!(missing.body.contains("production has none"), "{}", missing.body);
    }
}

#[tokio::test]
async fn a_file_that_the_first_production_lacks_may_be_in_the_next() {
    let (first, second) = (Production::start().await, Production::start().await);
    second.serve("pub/a", "hello");
    let rules = |production: &Production| {
        format!(
            "[[fallback]]\nmatch = \"**\"\nmode = \"proxy\"\nlist = \"local\"\nto = \"{}\"\n",
            production.url()
        )
    };
    let fallback = super::fallback_of(&[("one", &rules(&first)), ("two", &rules(&second))]);
    let stage = Stage::over(fallback, vec![tree(&["ftp.example"], "/pub/", &["one", "two"])]).await;
    assert_eq!(stage.get("/pub/a").await.body, "hello");
    assert_eq!((first.asked().len(), second.asked().len()), (1, 1));
}

#[tokio::test]
async fn an_index_page_of_production_is_a_directory_s_page_where_it_is_fetched() {
    for (mode, expected) in [("proxy", "<p>welcome</p>"), ("redirect", "Index of /pub/x/")] {
        let (stage, production) = stage(mode).await;
        production.serve("pub/x/index.html", "<p>welcome</p>");
        stage.put("one", "pub/x/local", "here").await;
        let page = stage.get("/pub/x/").await;
        assert_eq!(page.status, StatusCode::OK, "{mode}");
        assert!(page.body.contains(expected), "{mode}: {}", page.body);
        stage.put("one", "pub/y/local", "here").await;
        let listed = stage.get("/pub/y/").await;
        assert!(listed.body.contains("Index of /pub/y/"), "{mode}: {}", listed.body);
    }
}

#[tokio::test]
async fn trouble_of_production_is_a_plain_page_that_names_it() {
    let (stage, production) = stage("proxy").await;
    production.behave(Manners::Failing(403));
    let page = stage.get("/pub/a").await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert!(page.body.contains(&production.url()), "{}", page.body);
    assert_eq!(page.header("content-type"), "text/plain; charset=utf-8");
}

#[tokio::test]
async fn a_file_that_nobody_has_is_missing_even_if_production_shows_no_listing() {
    let production = Production::start().await;
    let rules = format!(
        "[[fallback]]\nmatch = \"**\"\nmode = \"proxy\"\nlist = \"merge\"\n\
         s3 = {{ bucket = \"prod\", region = \"us-west-2\", endpoint = \"{}\" }}\n",
        production.url()
    );
    let trees = vec![tree(&["ftp.example"], "/pub/", &["one"])];
    let stage = Stage::over(super::fallback_of(&[("one", &rules)]), trees).await;
    let page = stage.get("/pub/none").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND, "{}", page.body);
    assert!(page.body.contains("production has none"), "{}", page.body);
    assert_eq!(production.asked().len(), 2, "for the file, and for what is below: {:?}", production.asked());
    stage.delete("one", "pub/none").await;
    let page = stage.get("/pub/none").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.body.contains("deleted here"), "{}", page.body);
    assert_eq!(production.asked().len(), 2, "it need not be asked of what was deleted");
}
