//! Listings of what is here and what production has, by its imported index, and ListObjectVersions.

use http::StatusCode;

use super::{Config, Inner, NOW_MS, Service, Stage};
use crate::clock::Clock;
use crate::fallback::{Fallback, ReleaseConfig, Rule};
use crate::model::{BucketName, Grant, ObjectKey, Timestamp};
use crate::protocol::auth::Credentials;
use crate::store::{Durability, InventoryRow, Options, Store};
use crate::view::View;

/// A bucket whose `pub/` falls through to production, and what production has by its index.
async fn stage_with_index(keys: &[&str]) -> Stage {
    #[derive(serde::Deserialize)]
    struct Rules {
        fallback: Vec<Rule>,
    }
    let rules = "[[fallback]]\nmatch = \"pub/**\"\nmode = \"redirect\"\nto = \"https://archive.example/\"";
    let rules = toml::from_str::<Rules>(rules).expect("rules").fallback;
    let bucket = BucketName::parse("bucket").expect("a name");
    let fallback = Fallback::new([(bucket.clone(), rules)], ReleaseConfig::default(), |_| None);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut options = Options::new(folder.path().to_owned());
    options.durability = Durability::Ephemeral;
    options.clock = Clock::Fixed(Timestamp::from_ms(NOW_MS));
    let store = Store::open(options).expect("an empty folder opens");
    let service = Service::new(Inner {
        view: View::over(store.clone(), fallback.expect("no credentials to look up")),
        credentials: Credentials::default(),
        anonymous: vec![Grant::all()],
        limits: crate::protocol::Config::for_tests(),
        config: Config::default(),
    });
    let stage = Stage { service, _folder: folder };
    stage.put("/bucket", "").await;
    let row = |key: &&str| InventoryRow {
        key: ObjectKey::parse(key).expect("a key"),
        size_bytes: 7,
        modified: Some(Timestamp::from_seconds(1_500_000_000)),
        etag: None,
        md5: Some([0xab; 16]),
        crc32c: None,
    };
    store.add_inventory(&bucket, keys.iter().map(row).collect()).await.expect("rows are kept");
    stage
}

/// What stands between each pair of these tags.
fn all(text: &str, tag: &str) -> Vec<String> {
    let (begin, end) = (format!("<{tag}>"), format!("</{tag}>"));
    text.split(&begin)
        .skip(1)
        .filter_map(|rest| rest.split_once(&end))
        .map(|(value, _)| value.to_owned())
        .collect()
}

#[tokio::test]
async fn listings_show_what_production_has_and_hide_what_was_deleted_here() {
    let stage = stage_with_index(&["elsewhere/x", "pub/b", "pub/c", "pub/d/1", "pub/d/2", "pub/e/1"]).await;
    stage.put("/bucket/pub/a", "here").await;
    stage.put("/bucket/pub/c", "here").await;
    for key in ["pub/b", "pub/e/1"] {
        stage.get(&format!("DELETE /bucket/{key}")).await;
    }
    let list = "GET /bucket?list-type=2&prefix=pub/&delimiter=/&max-keys=1";
    let (mut keys, mut prefixes, mut next) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = stage.get(&format!("{list}{next}")).await.text();
        keys.extend(all(&page, "Key"));
        prefixes.extend(all(&page, "CommonPrefixes"));
        assert!(page.contains("<KeyCount>1</KeyCount>"), "{page}");
        let Some(token) = all(&page, "NextContinuationToken").pop() else { break };
        next = format!("&continuation-token={token}");
    }
    assert_eq!(keys, ["pub/a", "pub/c"]);
    assert_eq!(prefixes, ["<Prefix>pub/d/</Prefix>"]);
    let whole = stage.get("GET /bucket").await.text();
    assert_eq!(all(&whole, "Key"), ["pub/a", "pub/c", "pub/d/1", "pub/d/2"]);
    assert!(whole.contains("<LastModified>2017-07-14T02:40:00.000Z</LastModified>"), "{whole}");
    assert!(
        whole.contains(&format!("<ETag>&quot;{}&quot;</ETag><Size>7</Size>", "ab".repeat(16))),
        "{whole}"
    );
    let versions = stage.get("GET /bucket?versions").await.text();
    assert_eq!(all(&versions, "Key"), all(&whole, "Key"));
    assert_eq!(all(&versions, "VersionId"), ["null"; 4]);
}

#[tokio::test]
async fn each_object_of_a_bucket_without_versioning_is_its_one_version() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    for key in ["a%20b", "c/1", "d"] {
        stage.put(&format!("/bucket/{key}"), "x").await;
    }
    let first = stage.get("GET /bucket?versions&delimiter=/&max-keys=1&encoding-type=url").await;
    insta::assert_snapshot!(first.xml(), @r#"
    <ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
    <Name>bucket</Name>
    <Prefix/>
    <KeyMarker/>
    <VersionIdMarker/>
    <NextKeyMarker>a%20b</NextKeyMarker>
    <NextVersionIdMarker>null</NextVersionIdMarker>
    <MaxKeys>1</MaxKeys>
    <Delimiter>/</Delimiter>
    <IsTruncated>true</IsTruncated>
    <EncodingType>url</EncodingType>
    <Version>
    <Key>a%20b</Key>
    <VersionId>null</VersionId>
    <IsLatest>true</IsLatest>
    <LastModified>2026-11-20T21:20:19.123Z</LastModified>
    <ETag>&quot;9dd4e461268c8034f5c8564e155c67a6&quot;</ETag>
    <ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>
    <ChecksumType>FULL_OBJECT</ChecksumType>
    <Size>1</Size>
    <Owner>
    <ID>65a011a29cdf8ec533ec3d1ccaae921c</ID>
    <DisplayName>anonymous</DisplayName>
    </Owner>
    <StorageClass>STANDARD</StorageClass>
    </Version>
    </ListVersionsResult>
    "#);
    let second = stage
        .get("GET /bucket?versions&delimiter=/&max-keys=1&key-marker=a%20b&version-id-marker=null")
        .await;
    let second = second.text();
    assert!(all(&second, "Version").is_empty() && second.contains("<Prefix>c/</Prefix>"), "{second}");
    assert_eq!(all(&second, "NextKeyMarker"), ["c/"]);
    assert!(all(&second, "NextVersionIdMarker").is_empty(), "a common prefix has no version");
    let last = stage.get("GET /bucket?versions&delimiter=/&key-marker=c/").await.text();
    assert_eq!(
        (all(&last, "Key"), all(&last, "IsTruncated")),
        (vec!["d".to_owned()], vec!["false".to_owned()])
    );
}

#[tokio::test]
async fn a_version_marker_without_a_key_is_refused() {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    let refused = stage.send("GET /bucket?versions&version-id-marker=null", &[], "").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text().contains("<ArgumentName>version-id-marker</ArgumentName>"), "{}", refused.text());
    let absent = stage.send("GET /nothing?versions", &[], "").await;
    assert_eq!(absent.status, StatusCode::NOT_FOUND);
}
