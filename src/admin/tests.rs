//! The face over a store of its own: who may ask, and what every route does.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use super::{Inner, Service};
use crate::clock::Clock;
use crate::fallback::Fallback;
use crate::model::{
    AccessKeyId, BucketName, Credential, Grant, ObjectKey, Owner, SecretKey, Timestamp, WriteConditions,
};
use crate::protocol::auth::Credentials;
use crate::protocol::body::{ByteCount, receive};
use crate::protocol::meter::Meter;
use crate::protocol::request::{Context, RequestId};
use crate::store::{DeleteObject, Known, NewBucket, Options, Store};
use crate::view::View;

const NOW: i64 = 1_795_209_619;
const SECRET: &str = "secret-of-the-test";

struct Stage {
    service: Service,
    store: Store,
    meter: Meter,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    asks_who: bool,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

fn bucket() -> BucketName {
    BucketName::parse("stage").expect("a name")
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("a key")
}

impl Stage {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(Options::new(folder.path())).expect("an empty folder");
        let new = NewBucket { name: bucket(), region: "us-east-1".to_owned(), owner: Owner::anonymous() };
        store.create_bucket(new).await.expect("a new bucket");
        let credential = |id: &str, grant: &str| Credential {
            access_key_id: AccessKeyId::parse(id).expect("an id"),
            secret_key: SecretKey::parse(SECRET).expect("a secret"),
            owner: Owner::anonymous(),
            grants: vec![Grant::parse(grant).expect("a grant")],
        };
        let known = [
            credential("all", "read,write,list,admin:*"),
            credential("one", "admin:stage"),
            credential("below", "admin:*/pub/"),
            credential("writer", "read,write,list:*"),
        ];
        let meter = Meter::default();
        let service = Service::new(Inner {
            view: View::over(store.clone(), Fallback::default()),
            credentials: Credentials::new(known).expect("the ids differ"),
            meter: meter.clone(),
            limits: crate::protocol::Config::for_tests(),
            started: Timestamp::from_seconds(NOW),
        });
        Self { service, store, meter, _folder: folder }
    }

    async fn send(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let now = Timestamp::from_seconds(NOW);
        let context = Context {
            request_id: RequestId::new(1),
            peer: ([127, 0, 0, 1], 1).into(),
            scheme: http::uri::Scheme::HTTP,
            host: http::uri::Authority::from_static("localhost:8000"),
            now,
            clock: Clock::Fixed(now),
            started: std::time::Instant::now(),
            hops: crate::upstream::Hops::default(),
            received: ByteCount::default(),
            meter: self.meter.clone(),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost:8000")
            .header("content-length", body.len());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::from(body.to_owned()));
        let request = request.body(receive(body, context.received.clone())).expect("a request");
        let response = self.service.call(&context, request).await;
        let status = response.status();
        let asks_who = response.headers().contains_key("www-authenticate");
        let bytes = response.into_body().collect().await.expect("bytes in memory").to_bytes();
        Answer { status, asks_who, text: String::from_utf8(bytes.to_vec()).expect("UTF-8") }
    }

    /// Asks as whoever may do everything.
    async fn ask(&self, line: &str, body: &str) -> Answer {
        self.send(line, &[("authorization", &basic("all", SECRET))], body).await
    }

    async fn delete(&self, keys: &[&str]) {
        let deletes = keys.iter().map(|text| DeleteObject {
            key: key(text),
            version: None,
            conditions: WriteConditions::default(),
            tombstone: true,
        });
        for deleted in self.store.delete_objects(&bucket(), deletes.collect()).await.expect("a bucket") {
            deleted.expect("a tombstone");
        }
    }
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
}

#[tokio::test]
async fn only_the_admin_permission_opens_it() {
    let stage = Stage::start().await;
    let whole = "GET /-/metrics";
    let of_bucket = "GET /-/api/v1/buckets/stage/tombstones";
    let of_other = "GET /-/api/v1/buckets/other/tombstones";
    for (line, id, secret, status) in [
        (whole, "all", SECRET, 200),
        (of_bucket, "all", SECRET, 200),
        (of_other, "all", SECRET, 404),
        (whole, "all", "secret-of-the-tesT", 401),
        (whole, "all", "", 401),
        (whole, "nobody", SECRET, 401),
        (whole, "", SECRET, 401),
        (whole, "one", SECRET, 403),
        (of_bucket, "one", SECRET, 200),
        (of_other, "one", SECRET, 403),
        (whole, "below", SECRET, 403),
        (of_bucket, "below", SECRET, 403),
        (whole, "writer", SECRET, 403),
        (of_bucket, "writer", SECRET, 403),
        ("GET /-/other", "writer", SECRET, 404),
        ("DELETE /-/metrics", "all", SECRET, 405),
    ] {
        let answer = stage.send(line, &[("authorization", &basic(id, secret))], "").await;
        assert_eq!(answer.status.as_u16(), status, "{line} {id}: {}", answer.text);
        assert_eq!(answer.asks_who, status == 401, "{line} {id}");
        if status != 200 {
            assert!(answer.json()["error"].is_string(), "{line} {id}: {}", answer.text);
            assert!(!answer.text.contains(SECRET), "{line} {id}: {}", answer.text);
        }
    }
    for authorization in ["", "Basic", "Basic !", "Basic YWxs", "Bearer x", "AWS4-HMAC-SHA256 x"] {
        let answer = stage.send(whole, &[("authorization", authorization)], "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{authorization}: {}", answer.text);
    }
    let answer = stage.send("GET /-/nothing", &[], "").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "what there is is not told to everybody");
}

#[tokio::test]
async fn a_page_changes_nothing_with_the_password_that_its_browser_remembers() {
    let stage = Stage::start().await;
    let password = basic("all", SECRET);
    let token = stage.ask("GET /-/api/v1/token", "").await.json()["token"].as_str().expect("text").to_owned();
    let of_another = stage.send("GET /-/api/v1/token", &[("authorization", &basic("one", SECRET))], "").await;
    assert_eq!(of_another.status, StatusCode::FORBIDDEN, "it has no grant for the whole stage");
    let page = ("sec-fetch-site", "same-origin");
    let line = "POST /-/api/v1/buckets/stage/undelete";
    for (headers, status) in [
        (vec![], 200),
        (vec![page], 403),
        (vec![("origin", "http://localhost:8000")], 403),
        (vec![("referer", "http://localhost:8000/stage/stored.html")], 403),
        (vec![page, ("x-understudy-token", "")], 403),
        (vec![page, ("x-understudy-token", "0000")], 403),
        (vec![page, ("x-understudy-token", &token)], 200),
    ] {
        let headers: Vec<_> = [("authorization", password.as_str())].into_iter().chain(headers).collect();
        let answer = stage.send(line, &headers, "{\"keys\": [\"a\"]}").await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}: {}", answer.text);
    }
    let to_page = stage.send("GET /-/api/v1/token", &[("authorization", &password), page], "").await;
    assert_eq!(to_page.status, StatusCode::FORBIDDEN, "{}", to_page.text);
    assert!(!to_page.text.contains(&token));
}

#[tokio::test]
async fn tombstones_are_listed_and_removed() {
    let stage = Stage::start().await;
    stage.delete(&["a", "pub/b", "pub/c", "pub/d"]).await;
    let path = "/-/api/v1/buckets/stage/tombstones";
    let keys = |answer: &Answer| {
        let document = answer.json();
        let rows = document["tombstones"].as_array().expect("a list").clone();
        (
            rows.iter().map(|row| row["key"].as_str().expect("text").to_owned()).collect::<Vec<_>>(),
            document["next"].clone(),
        )
    };
    let all = stage.ask(&format!("GET {path}"), "").await;
    assert_eq!(keys(&all), (["a", "pub/b", "pub/c", "pub/d"].map(str::to_owned).to_vec(), Value::Null));
    let first = stage.ask(&format!("GET {path}?prefix=pub/&limit=2"), "").await;
    assert_eq!(keys(&first), (["pub/b", "pub/c"].map(str::to_owned).to_vec(), json!("pub/c")));
    let second = stage.ask(&format!("GET {path}?prefix=pub/&limit=2&after=pub%2Fc"), "").await;
    assert_eq!(keys(&second), (vec!["pub/d".to_owned()], Value::Null));
    let objects = stage.ask("GET /-/api/v1/buckets/stage/objects", "").await;
    assert_eq!(objects.json()["objects"], json!([]));
    let with = stage.ask("GET /-/api/v1/buckets/stage/objects?tombstones=true&limit=1", "").await.json();
    assert_eq!((&with["objects"][0]["kind"], &with["next"]), (&json!("tombstone"), &json!("a")));

    let line = "POST /-/api/v1/buckets/stage/undelete";
    let done = stage.ask(line, "{\"keys\": [\"pub/b\", \"x\"]}").await.json();
    assert_eq!(done, json!({ "undeleted": 1, "without_tombstone": ["x"] }));
    let done = stage.ask(line, "{\"prefix\": \"pub/\"}").await.json();
    assert_eq!(done, json!({ "undeleted": 2, "without_tombstone": [] }));
    assert_eq!(keys(&stage.ask(&format!("GET {path}"), "").await).0, ["a"]);
    for body in
        ["", "{}", "[]", "{\"keys\": [\"a\"], \"prefix\": \"\"}", "{\"keys\": [\"\"]}", "{\"key\": \"a\"}"]
    {
        let answer = stage.ask(line, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text);
    }
    for query in ["limit=0", "limit=x", "limit=-1"] {
        let answer = stage.ask(&format!("GET {path}?{query}"), "").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

fn rows(keys: impl IntoIterator<Item = String>) -> String {
    keys.into_iter().map(|key| json!({ "key": key, "size": 1 }).to_string() + "\n").collect()
}

#[tokio::test]
async fn an_import_covers_only_what_came_whole() {
    let stage = Stage::start().await;
    let path = "/-/api/v1/buckets/stage/inventory";
    let inventory = async || stage.ask(&format!("GET {path}"), "").await.json();
    let known = |text: &str| stage.store.find_inventory(&bucket(), &key(text)).expect("a bucket");
    assert_eq!(inventory().await, json!({ "rows": 0, "covers": [] }));

    // More rows than a batch, and no end of the last line.
    let many = rows((0..2500).map(|number| format!("pub/{number:04}")));
    let done = stage.ask(&format!("POST {path}?cover=pub/"), many.trim_end()).await;
    assert_eq!(done.json(), json!({ "rows": 2500 }), "{}", done.text);
    let told = inventory().await;
    assert_eq!((&told["rows"], &told["covers"][0]["prefix"]), (&json!(2500), &json!("pub/")));
    assert_eq!(told["covers"][0]["taken"], "2026-11-20T21:20:19.000Z");
    assert!(matches!(known("pub/2499"), Known::Here(_)));
    assert_eq!((known("pub/none"), known("other")), (Known::Absent, Known::Unknown));

    for (query, body, told) in [
        ("cover=pub/", "{\"key\": \"pub/a\", \"size\": 1}\n\nnonsense\n".to_owned(), "line 3: "),
        (
            "cover=pub/",
            "{\"key\": \"private/a\", \"size\": 1}".to_owned(),
            "line 1: the key \"private/a\" is not below",
        ),
        ("cover=", String::new(), "no row came"),
        ("", format!("{{\"key\": \"{}\"", "x".repeat(20_000)), "line 1 is longer"),
    ] {
        let refused = stage.ask(&format!("POST {path}?{query}"), &body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(
            refused.json()["error"].as_str().is_some_and(|error| error.starts_with(told)),
            "{}",
            refused.text
        );
    }
    assert_eq!(inventory().await["rows"], 2500, "a first batch that does not read changes nothing");

    // Behind a whole batch, what was there has gone already: nothing is covered any more.
    let broken = rows((0..1500).map(|number| format!("pub/x{number:04}"))) + "nonsense";
    let refused = stage.ask(&format!("POST {path}?cover=pub/"), &broken).await;
    assert!(refused.text.contains("line 1501"), "{}", refused.text);
    assert_eq!(inventory().await["covers"], json!([]));
    assert_eq!(known("pub/none"), Known::Unknown);

    let done = stage.ask(&format!("POST {path}?cover=pub/"), &rows(["pub/new".to_owned()])).await;
    assert_eq!(done.json(), json!({ "rows": 1 }));
    assert_eq!(known("pub/0000"), Known::Absent, "what was known before has gone");
    assert_eq!(stage.ask(&format!("DELETE {path}"), "").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(stage.ask(&format!("DELETE {path}?prefix="), "").await.json(), json!({ "rows": 1 }));
    assert_eq!(inventory().await, json!({ "rows": 0, "covers": [] }));
}

#[tokio::test]
async fn a_crawl_is_kept_step_by_step() {
    let stage = Stage::start().await;
    let path = "/-/api/v1/buckets/stage/crawl";
    let step = async |document: Value| stage.ask(&format!("POST {path}"), &document.to_string()).await;
    let nothing = json!({ "begun": false, "pending": [], "pending_count": 0, "done_count": 0 });
    assert_eq!(stage.ask(&format!("GET {path}?prefix=pub/"), "").await.json(), nothing);
    assert_eq!(stage.ask(&format!("GET {path}"), "").await.status, StatusCode::BAD_REQUEST);
    let begun = step(json!({ "prefix": "pub/", "found": ["pub/"] })).await.json();
    assert_eq!((&begun["begun"], &begun["pending"]), (&json!(true), &json!(["pub/"])));
    let next = step(json!({
        "prefix": "pub/",
        "rows": [{ "key": "pub/a", "size": 1 }],
        "done": ["pub/"],
        "found": ["pub/x/"],
    }))
    .await;
    assert_eq!((&next.json()["pending"], &next.json()["done_count"]), (&json!(["pub/x/"]), &json!(1)));
    for wrong in [
        json!({ "prefix": "pub/", "found": ["private/"] }),
        json!({ "prefix": "pub/", "rows": [{ "key": "private/a", "size": 1 }] }),
        json!({ "prefix": "pub/", "rows": [{ "key": "pub/a" }] }),
        json!({ "prefix": "pub/", "row": [] }),
    ] {
        let refused = step(wrong.clone()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}: {}", refused.text);
    }
    let resumed = stage.ask(&format!("GET {path}?prefix=pub/"), "").await.json();
    assert_eq!(resumed, next.json(), "what was refused has changed nothing");
    let done = step(json!({ "prefix": "pub/", "done": ["pub/x/"] })).await.json();
    assert_eq!((&done["begun"], &done["pending_count"]), (&json!(false), &json!(0)));
    let known = |text: &str| stage.store.find_inventory(&bucket(), &key(text)).expect("a bucket");
    assert!(matches!(known("pub/a"), Known::Here(_)));
    assert_eq!(known("pub/b"), Known::Absent);

    step(json!({ "prefix": "lost/", "found": ["lost/"] })).await.json();
    stage.ask("DELETE /-/api/v1/buckets/stage/inventory?prefix=lost/", "").await.json();
    let refused = step(json!({ "prefix": "lost/", "done": ["lost/"] })).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    assert!(refused.text.contains("begin it again"), "{}", refused.text);
    assert_eq!(known("lost/a"), Known::Unknown);
}

#[tokio::test]
async fn metrics_count_requests_and_tell_how_the_store_is() {
    let stage = Stage::start().await;
    stage.ask("GET /-/api/v1/buckets/stage/tombstones", "").await;
    stage.send("GET /-/api/v1/upstreams?secret=hunter2", &[], "").await;
    let answer = stage.ask("GET /-/metrics", "").await;
    for line in [
        "process_start_time_seconds 1795209619",
        "understudy_store_healthy 1",
        "understudy_cached_objects 0",
        "understudy_cache_fills_total 0",
        "understudy_requests_total{face=\"admin\",operation=\"ListTombstones\",outcome=\"local\",status=\"2xx\"} 1",
        "understudy_requests_total{face=\"admin\",operation=\"Unknown\",outcome=\"refused\",status=\"4xx\"} 1",
        "# EOF",
    ] {
        assert!(answer.text.lines().any(|found| found == line), "{line} is not in\n{}", answer.text);
    }
    assert!(answer.text.contains(concat!(
        "understudy_build_info{version=\"",
        env!("CARGO_PKG_VERSION"),
        "\""
    )));
    assert!(!answer.text.contains("hunter2"));
    assert_eq!(stage.ask("GET /-/api/v1/upstreams", "").await.json(), json!({ "upstreams": [] }));
    assert_eq!(stage.ask("HEAD /-/metrics", "").await.text, "");
    stage.store.close().await;
    let answer = stage.ask("GET /-/metrics", "").await;
    assert!(answer.text.contains("understudy_store_healthy 0\n"), "{}", answer.text);
}
