//! Requests through the whole face, over a store of their own.

mod elsewhere;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Empty};

use super::{Config, Inner, Service};
use crate::clock::Clock;
use crate::fallback::{Fallback, ReleaseConfig, Rule};
use crate::model::{
    BucketName, Grant, Metadata, ObjectKey, Owner, SystemHeader, Tags, Timestamp, WriteConditions,
};
use crate::protocol::body::{ByteCount, receive};
use crate::protocol::request::Context;
use crate::store::{DeleteObject, Durability, NewBucket, Options, PutObject, Store};

/// 2026-11-20 21:20:19.
const NOW_MS: i64 = 1_795_209_619_123;

/// The rules of bucket `one`; `two` has none, and `private` has no grant.
const RULES: &str = r#"
    [[fallback]]
    match = "pub/denied/**"
    mode = "deny"

    [[fallback]]
    match = "pub/signed/**"
    mode = "presign"
    list = "local"
    s3 = { bucket = "prod", region = "us-west-2", access_key_id = "AKIDEXAMPLE", secret_access_key = "correct-horse" }

    [[fallback]]
    match = "pub/**"
    mode = "redirect"
    to = "https://archive.mozilla.org/"
"#;

struct Stage {
    _folder: tempfile::TempDir,
    store: Store,
    service: Service,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }
}

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).expect("a name")
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("a key")
}

fn tree(hosts: &[&str], path: &str, buckets: &[&str]) -> Config {
    let buckets = buckets.iter().map(|name| bucket(name)).collect();
    Config::new(hosts.iter().map(|host| (*host).to_owned()), path, buckets).expect("a tree")
}

fn fallback() -> Fallback {
    fallback_of(&[("one", RULES)])
}

/// The rules of each bucket, with a release under test.
fn fallback_of(buckets: &[(&str, &str)]) -> Fallback {
    #[derive(serde::Deserialize)]
    struct Rules {
        fallback: Vec<Rule>,
    }
    let rules = buckets
        .iter()
        .map(|(name, rules)| (bucket(name), toml::from_str::<Rules>(rules).expect("rules").fallback));
    let release: ReleaseConfig = toml::from_str("under_test = [\"firefox-83.0-build2\"]").expect("a release");
    Fallback::new(rules, release, |_| None).expect("key pairs")
}

impl Stage {
    async fn new(trees: Vec<Config>) -> Self {
        Self::over(fallback(), trees).await
    }

    async fn over(fallback: Fallback, trees: Vec<Config>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::Fixed(Timestamp::from_ms(NOW_MS));
        let options = Options {
            durability: Durability::Ephemeral,
            reserve_bytes: 0,
            clock,
            ..Options::new(folder.path())
        };
        let store = Store::open(options).expect("a store");
        for name in ["one", "two", "private"] {
            let new =
                NewBucket { name: bucket(name), region: "us-east-1".to_owned(), owner: Owner::anonymous() };
            store.create_bucket(new).await.expect("a bucket");
        }
        let anonymous = ["read,list:one", "read,list:two"].map(|text| Grant::parse(text).expect("a grant"));
        let inner = Inner {
            view: crate::view::View::over(store.clone(), fallback),
            anonymous: anonymous.to_vec(),
            trees,
        };
        Self { _folder: folder, store, service: Service::new(inner) }
    }

    /// A stage as production's archive is: several buckets behind `/pub/`.
    async fn usual() -> Self {
        Self::new(vec![tree(&["ftp.example"], "/pub/", &["private", "one", "two"])]).await
    }

    async fn put(&self, bucket_name: &str, key_text: &str, body: &str) {
        let mut metadata = Metadata::default();
        metadata.set_system(SystemHeader::ContentType, "text/x-test").expect("a header");
        metadata.set_system(SystemHeader::CacheControl, "public, max-age=14400").expect("a header");
        metadata.add_user("secret", "of S3").expect("an entry");
        let mut staging = self.store.stage(&[], None);
        staging.write(Bytes::from(body.to_owned())).await.expect("room");
        let put = PutObject {
            bucket: bucket(bucket_name),
            key: key(key_text),
            staged: staging.finish().await.expect("staged"),
            metadata,
            tags: Tags::default(),
            owner: Owner::anonymous(),
            checksum: None,
            conditions: WriteConditions::default(),
        };
        self.store.put_object(put).await.expect("put");
    }

    async fn delete(&self, bucket_name: &str, key_text: &str) {
        let delete = DeleteObject {
            key: key(key_text),
            version: None,
            conditions: WriteConditions::default(),
            tombstone: true,
        };
        self.store.delete_objects(&bucket(bucket_name), vec![delete]).await.expect("deleted");
    }

    async fn ask(&self, method: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let context =
            Context { host: host.parse().expect("a host"), ..Context::for_tests(Timestamp::from_ms(NOW_MS)) };
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = receive(Empty::<Bytes>::new(), ByteCount::default());
        let response = self.service.call(&context, request.body(body).expect("a request")).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let body = String::from_utf8(body.to_vec()).expect("text");
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", "ftp.example", path, &[]).await
    }
}

#[tokio::test]
async fn objects_are_served_as_they_were_stored_and_without_the_headers_of_s3() {
    let stage = Stage::usual().await;
    stage.put("one", "pub/firefox/Firefox Setup 1.0.exe", "0123456789").await;
    let path = "/pub/firefox/Firefox%20Setup%201.0.exe";
    for host in ["ftp.example", "FTP.example:8000", "127.0.0.1:8000"] {
        let answer = stage.ask("GET", host, path, &[]).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "0123456789"), "{host}");
        let names: Vec<_> = answer.headers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(
            std::collections::BTreeSet::from_iter(names),
            std::collections::BTreeSet::from([
                "accept-ranges",
                "cache-control",
                "content-length",
                "content-type",
                "etag",
                "last-modified"
            ])
        );
        assert_eq!(answer.header("content-type"), "text/x-test");
        assert_eq!(answer.header("cache-control"), "public, max-age=14400");
        assert_eq!(answer.header("etag"), "\"781e5e245d69b566979b86e28d23f2c7\"");
        assert_eq!(answer.header("last-modified"), "Fri, 20 Nov 2026 21:20:19 GMT");
    }
    let head = stage.ask("HEAD", "ftp.example", path, &[]).await;
    assert_eq!((head.status, head.body.as_str(), head.header("content-length")), (StatusCode::OK, "", "10"));
}

#[tokio::test]
async fn ranges_and_conditions_hold() {
    let stage = Stage::usual().await;
    stage.put("one", "pub/a", "0123456789").await;
    let etag = "\"781e5e245d69b566979b86e28d23f2c7\"";
    for (name, value, status, body, content_range) in [
        ("range", "bytes=0-2", 206, "012", "bytes 0-2/10"),
        ("range", "bytes=-3", 206, "789", "bytes 7-9/10"),
        ("range", "bytes=10-", 416, "", "bytes */10"),
        ("if-none-match", etag, 304, "", ""),
        ("if-none-match", "\"other\"", 200, "0123456789", ""),
        ("if-match", "\"other\"", 412, "", ""),
        ("if-modified-since", "Fri, 20 Nov 2026 21:20:19 GMT", 304, "", ""),
    ] {
        let answer = stage.ask("GET", "ftp.example", "/pub/a", &[(name, value)]).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {value}");
        assert_eq!(answer.header("content-range"), content_range, "{name}: {value}");
        if status < 400 {
            assert_eq!(answer.body, body, "{name}: {value}");
        } else {
            assert!(!answer.body.contains('<'), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn what_is_not_here_is_answered_by_the_rules() {
    let stage = Stage::usual().await;
    stage.put("one", "pub/gone", "x").await;
    stage.delete("one", "pub/gone").await;
    stage.delete("one", "pub/never-was-here").await;
    stage.put("two", "pub/gone-from-one", "from two").await;
    stage.delete("one", "pub/gone-from-one").await;
    for (path, status, location) in [
        (
            "/pub/firefox/releases/82.0/Firefox%20Setup.exe",
            302,
            "https://archive.mozilla.org/pub/firefox/releases/82.0/Firefox%20Setup.exe",
        ),
        ("/pub/firefox/releases/83.0/a", 404, ""),
        (
            "/pub/firefox/candidates/83.0-candidates/build1/a",
            302,
            "https://archive.mozilla.org/pub/firefox/candidates/83.0-candidates/build1/a",
        ),
        ("/pub/firefox/candidates/83.0-candidates/build2/a", 404, ""),
        ("/pub/firefox/candidates/84.0b1-candidates/build1/a", 404, ""),
        ("/pub/gone", 404, ""),
        ("/pub/never-was-here", 404, ""),
        ("/pub/gone-from-one", 200, ""),
        ("/pub/denied/a", 404, ""),
        ("/pub/%2e%2e/%2e%2e/a", 404, ""),
        ("/pub/a%0d%0aSet-Cookie:%20x", 302, "https://archive.mozilla.org/pub/a%0D%0ASet-Cookie%3A%20x"),
        ("/pub//evil.example/", 302, "https://archive.mozilla.org/pub//evil.example/"),
        ("/pub//evil.example", 302, "https://archive.mozilla.org/pub//evil.example"),
        ("/public/a", 404, ""),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = stage.ask(method, "ftp.example", path, &[]).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("location")),
                (status, location),
                "{method} {path}"
            );
            assert!(status == 200 || answer.header("cache-control") == "no-store", "{method} {path}");
        }
    }
    let signed = stage.get("/pub/signed/a").await;
    assert_eq!(signed.status, StatusCode::FOUND);
    let location = signed.header("location");
    assert!(location.starts_with("https://s3.us-west-2.amazonaws.com/prod/pub/signed/a?"), "{location}");
    assert!(location.contains("X-Amz-Date=20261120T212019Z"), "{location}");
}

#[tokio::test]
async fn a_404_says_why() {
    let stage = Stage::usual().await;
    stage.delete("one", "pub/gone").await;
    for (path, why) in [
        ("/pub/firefox/releases/83.0/a", "firefox-83.0-build2 is under test"),
        ("/pub/denied/a", "#1 pub/denied/**"),
        ("/pub/gone", "deleted"),
        ("/public/a", "no fallback rule"),
    ] {
        let answer = stage.get(path).await;
        assert!(
            answer.body.starts_with("404 Not Found\n") && answer.body.contains(why),
            "{path}: {}",
            answer.body
        );
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
}

#[tokio::test]
async fn the_first_bucket_that_has_the_key_answers() {
    let stage = Stage::usual().await;
    stage.put("one", "pub/both", "one").await;
    stage.put("two", "pub/both", "two").await;
    stage.put("two", "pub/second", "two").await;
    stage.put("private", "pub/both", "private").await;
    assert_eq!(stage.get("/pub/both").await.body, "one");
    assert_eq!(stage.get("/pub/second").await.body, "two");
}

#[tokio::test]
async fn without_an_anonymous_grant_nothing_is_seen() {
    let stage = Stage::new(vec![tree(&[], "/pub/", &["private"])]).await;
    stage.put("private", "pub/a", "x").await;
    stage.put("private", "pub/index.html", "x").await;
    for path in ["/pub/a", "/pub/absent", "/pub/", "/pub/a/"] {
        assert_eq!(stage.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn without_named_buckets_every_bucket_is_shown() {
    let stage = Stage::new(vec![Config::default()]).await;
    stage.put("one", "pub/a", "one").await;
    stage.put("two", "pub/b", "two").await;
    stage.put("private", "pub/c", "private").await;
    let listed = stage.ask("GET", "anything", "/pub/", &[("accept", "application/json")]).await;
    assert!(listed.body.contains("\"a\"") && listed.body.contains("\"b\""), "{}", listed.body);
    assert!(!listed.body.contains("\"c\""), "{}", listed.body);
}

#[tokio::test]
async fn indexes_merge_the_buckets_of_a_path() {
    let stage = Stage::usual().await;
    stage.put("one", "pub/firefox/releases/82.0/a", "1").await;
    stage.put("one", "pub/firefox/both", "1").await;
    stage.put("one", "pub/firefox/", "").await;
    stage.put("two", "pub/firefox/both", "22").await;
    stage.put("two", "pub/firefox/nightly/a", "2").await;
    stage.put("two", "pub/firefox/Firefox Setup.exe", "22").await;
    stage.put("private", "pub/firefox/private", "3").await;
    stage.delete("one", "pub/firefox/deleted").await;

    let answer = stage.get("/pub/firefox/").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("vary"), "Accept");
    let names: Vec<_> =
        answer.body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(
        names,
        [
            "/pub/",
            "/pub/firefox/nightly/",
            "/pub/firefox/releases/",
            "/pub/firefox/Firefox%20Setup.exe",
            "/pub/firefox/both"
        ]
    );

    let json = stage.ask("GET", "ftp.example", "/pub/firefox/", &[("accept", "application/json")]).await;
    assert_eq!((json.header("content-type"), json.header("vary")), ("application/json", "Accept"));
    assert_eq!(
        json.body,
        r#"{"files":[{"last_modified":"2026-11-20T21:20:19Z","name":"Firefox Setup.exe","size":2},{"last_modified":"2026-11-20T21:20:19Z","name":"both","size":1}],"prefixes":["nightly/","releases/"]}"#
    );
    let head = stage.ask("HEAD", "ftp.example", "/pub/firefox/", &[]).await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
    assert_eq!(head.header("content-length"), answer.body.len().to_string());
}

#[tokio::test]
async fn json_is_for_those_who_ask_for_it() {
    let stage = Stage::usual().await;
    stage.put("one", "pub/a", "1").await;
    for (accept, expected) in [
        ("application/json", "application/json"),
        ("Application/JSON; q=0.9", "application/json"),
        ("*/*", "text/html; charset=utf-8"),
        ("text/html,application/json", "text/html; charset=utf-8"),
        ("application/jsonp", "text/html; charset=utf-8"),
    ] {
        let answer = stage.ask("GET", "ftp.example", "/pub/", &[("accept", accept)]).await;
        assert_eq!(answer.header("content-type"), expected, "{accept}");
    }
}

#[tokio::test]
async fn directories_without_their_slash_lead_to_it_and_empty_ones_are_not_there() {
    let stage = Stage::usual().await;
    stage.put("one", "pub/a b/c", "1").await;
    stage.put("one", "pub/file", "1").await;
    stage.put("one", "pub/file/below", "1").await;
    for (path, status, location) in [
        ("/pub/a%20b", 302, "/pub/a%20b/"),
        ("/pub", 302, "/pub/"),
        ("/pub/file", 200, ""),
        ("/pub/file/", 200, ""),
        ("/pub/", 200, ""),
        ("/", 200, ""),
        ("/pub/denied/empty/", 404, ""),
        // What has nothing here is production's.
        ("/pub/empty/", 302, "https://archive.mozilla.org/pub/empty/"),
        ("/other/", 404, ""),
        ("/pub/denied", 302, "https://archive.mozilla.org/pub/denied"),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = stage.ask(method, "ftp.example", path, &[]).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("location")),
                (status, location),
                "{method} {path}"
            );
        }
    }
    assert!(stage.get("/").await.body.contains("href=\"/pub/\">pub/</a>"));
}

#[tokio::test]
async fn the_root_of_a_tree_is_there_with_nothing_in_it() {
    let stage = Stage::usual().await;
    let answer = stage.get("/pub/").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("Index of /pub/"));
}

#[tokio::test]
async fn a_directory_shows_its_index_html() {
    let stage = Stage::usual().await;
    stage.put("one", "pub/a/index.html", "<p>hello").await;
    stage.put("one", "pub/a/b", "1").await;
    let answer = stage.get("/pub/a/").await;
    assert_eq!((answer.body.as_str(), answer.header("content-type")), ("<p>hello", "text/x-test"));
    for path in ["/pub/a/", "/pub/none/"] {
        assert_eq!(stage.get(path).await.header("vary"), "Accept", "{path}");
    }
    stage.delete("one", "pub/a/index.html").await;
    assert!(stage.get("/pub/a/").await.body.contains("Index of /pub/a/"));
}

#[tokio::test]
async fn indexes_hold_more_than_a_page_of_a_listing() {
    let stage = Stage::usual().await;
    for number in 0..1010 {
        stage.put("one", &format!("pub/many/{number:05}/a"), "1").await;
    }
    let answer = stage.get("/pub/many/").await;
    let directories = answer.body.matches("<td>Dir</td>").count();
    assert_eq!(directories, 1011, "a thousand and ten, and the parent: {}", answer.body);
}

#[tokio::test]
async fn keys_that_begin_with_a_slash_lead_to_no_other_host() {
    let stage = Stage::new(vec![tree(&["root.example"], "/", &["two"])]).await;
    stage.put("two", "/evil.example/a", "1").await;
    let answer = stage.ask("GET", "root.example", "//evil.example", &[]).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::FOUND, "/.//evil.example/"));
    let answer = stage.ask("GET", "root.example", "/", &[]).await;
    assert!(!answer.body.contains("href=\"//"), "{}", answer.body);
}

#[tokio::test]
async fn nothing_but_reading_is_allowed_and_paths_are_utf8() {
    let stage = Stage::usual().await;
    for method in ["PUT", "POST", "DELETE", "OPTIONS", "PATCH"] {
        let answer = stage.ask(method, "ftp.example", "/pub/a", &[]).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"),
            "{method}"
        );
    }
    assert_eq!(stage.get("/pub/%FF").await.status, StatusCode::BAD_REQUEST);
    let long = format!("/pub/{}", "a".repeat(2000));
    assert_eq!(stage.get(&long).await.status, StatusCode::NOT_FOUND);
}

fn indexed(keys: &[&str]) -> Vec<crate::store::InventoryRow> {
    let row = |text: &&str| crate::store::InventoryRow {
        key: key(text),
        size_bytes: 2048,
        modified: Some(Timestamp::from_seconds(1_500_000_000)),
        etag: None,
        md5: None,
        crc32c: None,
    };
    keys.iter().map(row).collect()
}

#[tokio::test]
async fn indexes_show_what_productions_imported_index_has() {
    let stage = Stage::usual().await;
    let keys = ["pub/a/1", "pub/a/2", "pub/a/b/3", "pub/denied/x", "else/x"];
    stage.store.add_inventory(&bucket("one"), indexed(&keys)).await.expect("rows are kept");
    stage.put("one", "pub/a/here", "x").await;
    stage.delete("one", "pub/a/2").await;
    let listed = stage.ask("GET", "ftp.example", "/pub/a/", &[("accept", "application/json")]).await;
    assert_eq!(
        listed.body,
        r#"{"files":[{"last_modified":"2017-07-14T02:40:00Z","name":"1","size":2048},{"last_modified":"2026-11-20T21:20:19Z","name":"here","size":1}],"prefixes":["b/"]}"#
    );
    assert_eq!(stage.get("/pub/denied/").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_directory_of_the_imported_index_gets_the_slash_it_lacks() {
    let stage = Stage::usual().await;
    let keys = ["pub/a/b/1", "pub/denied/a/1"];
    stage.store.add_inventory(&bucket("one"), indexed(&keys)).await.expect("rows are kept");
    let answer = stage.get("/pub/a/b").await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::FOUND, "/pub/a/b/"));
    assert_eq!(stage.get("/pub/denied/a").await.status, StatusCode::NOT_FOUND);
    stage.delete("one", "pub/a/b/1").await;
    let gone = stage.get("/pub/a/b").await;
    assert_eq!(gone.header("location"), "https://archive.mozilla.org/pub/a/b");
}
