//! What tokens may do, and what ends with their account.

use http::StatusCode;
use serde_json::{Value, json};

use super::{CHUNK, Fixture, refusal, service_for};
use crate::fallback::Fallback;
use crate::gcs::bearer::tests::{READ_ONLY, header, sign};
use crate::gcs::service_account::{NewAccount, ServiceAccounts, mint};
use crate::model::Grant;

struct Stage {
    fixture: Fixture,
    key: Value,
    account: std::path::PathBuf,
}

async fn stage() -> Stage {
    let fixture = Fixture::new(&[]).await;
    let folder = fixture.folder.path().join("accounts");
    let new = NewAccount {
        name: "tester".to_owned(),
        grants: vec![Grant::all()],
        server_url: "https://stage.example:8443".to_owned(),
    };
    let minted = mint(&folder, &new).expect("a key");
    let accounts = ServiceAccounts::in_folder(&folder);
    let service = service_for(&fixture.store, Fallback::default(), &[], accounts);
    let key = serde_json::from_str(&minted.key_file).expect("JSON");
    Stage { fixture: Fixture { service, ..fixture }, key, account: minted.account }
}

impl Stage {
    /// An assertion as token, with a scope.
    fn bearer(&self, scope: &str) -> String {
        let claims = json!({
            "iss": self.key["client_email"], "scope": scope, "iat": 1_700_000_000, "exp": 1_700_003_600,
        });
        format!("Bearer {}", sign(&self.key, &header(&self.key), &claims))
    }
}

#[tokio::test]
async fn a_token_does_no_more_than_its_scope() {
    let stage = stage().await;
    let scopes = ["devstorage.read_only", "devstorage.read_write", "devstorage.full_control"]
        .map(|name| stage.bearer(&format!("https://www.googleapis.com/auth/{name}")));
    for (line, body, needed) in [
        ("GET /storage/v1/b/bucket", "", 0),
        ("GET /storage/v1/b/bucket/o", "", 0),
        ("POST /upload/storage/v1/b/bucket/o?uploadType=media&name=a", "x", 1),
        ("POST /storage/v1/b/bucket/o/a/copyTo/b/bucket/o/b", "", 1),
        ("POST /storage/v1/b/bucket/o/b/moveTo/o/c", "", 1),
        ("PATCH /storage/v1/b/bucket/o/a", "{}", 2),
        ("PATCH /storage/v1/b/bucket", "{}", 2),
        ("DELETE /storage/v1/b/bucket/o/a", "", 1),
    ] {
        for (at, token) in scopes.iter().enumerate() {
            let answer = stage.fixture.ask(line, &[("authorization", token)], body.as_bytes()).await;
            if at < needed {
                assert_eq!(refusal(&answer), (403, "insufficientPermissions".to_owned()), "{line} {at}");
            } else {
                assert!(answer.status().is_success(), "{line} {at}: {answer:?}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_upload_session_ends_with_the_account_that_began_it() {
    let stage = stage().await;
    let token = stage.bearer(&READ_ONLY.replace("read_only", "read_write"));
    let line = "POST /upload/storage/v1/b/bucket/o?uploadType=resumable&name=a";
    let begun = stage.fixture.ask(line, &[("authorization", &token)], b"").await;
    let location = begun.headers()["location"].to_str().expect("text");
    let put = location.replace("https://stage.example:8443", "PUT ");
    let first = [("content-range", "bytes 0-262143/*")];
    let answer = stage.fixture.ask(&put, &first, &vec![0; CHUNK]).await;
    assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
    std::fs::remove_file(&stage.account).expect("the account was there");
    for (range, body) in [("bytes */*", &b""[..]), ("bytes 262144-262144/262145", b"x")] {
        let answer = stage.fixture.ask(&put, &[("content-range", range)], body).await;
        assert_eq!(refusal(&answer), (401, "authError".to_owned()), "{range}");
    }
}
