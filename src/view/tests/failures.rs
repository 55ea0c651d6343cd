//! What goes wrong: nothing of it is kept, nobody takes it for whole, and the next one starts anew.

use super::production::Gate;
use super::*;

#[tokio::test]
async fn bytes_that_are_not_what_was_announced_are_never_whole() {
    let fixture = Fixture::new().await;
    let bytes = pattern(3 << 20);
    let lie = Served { etag: format!("\"{}\"", "0".repeat(32)), ..Served::new(bytes.clone()) };
    fixture.production.serve("a", lie.clone());
    let flying = fixture.get("a").await.expect("a flight").flying();
    let (read, outcome) = read_along(&flying, ByteRange::whole(3 << 20)).await;
    assert!(matches!(outcome, Err(Error::Corrupt { .. })), "{outcome:?}");
    assert!(read.len() < bytes.len(), "the last byte is held back");
    assert!(read == bytes[..read.len()]);
    assert!(matches!(fixture.found("a"), Lookup::Absent));

    let error = fixture.materialise("a").await.expect_err("the same again");
    assert!(error.to_string().contains("nothing of it was kept"), "{error}");
    assert_eq!(fixture.production.asked().len(), 2, "each failure starts anew");
    assert_eq!(fixture.view.stats().failures, 2);

    fixture.production.serve("a", Served::new(bytes));
    assert!(fixture.materialise("a").await.expect("production is honest again"));
}

#[tokio::test]
async fn a_hash_of_gcs_is_compared_too() {
    let fixture = Fixture::new().await;
    let hashed = |hash: &str| Served {
        etag: "\"not-an-md5\"".to_owned(),
        extra: format!("x-goog-hash: {hash}\r\n"),
        ..Served::new("abc")
    };
    for (name, hash, expected) in [
        ("right", "crc32c=Nks/tw==,md5=kAFQmDzST7DWlj99KOF/cg==", true),
        ("wrong-md5", "md5=AAFQmDzST7DWlj99KOF/cg==", false),
        ("wrong-crc32c", "crc32c=AAAAAA==", false),
    ] {
        fixture.production.serve(name, hashed(hash));
        assert_eq!(fixture.get(name).await.is_ok(), expected, "{name}");
        assert_eq!(fixture.here(name).await.is_some(), expected, "{name}");
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_not_kept() {
    let fixture = Fixture::new().await;
    for (name, size) in [("small", 1000), ("large", 3 << 20)] {
        let honest = Served::new(pattern(size));
        fixture.production.serve(name, Served { announced: Some(size + 1), ..honest });
        let failed = match fixture.get(name).await {
            Err(_) => true,
            Ok(got) => read_along(&got.flying(), ByteRange::whole(size as u64 + 1)).await.1.is_err(),
        };
        assert!(failed, "{name}");
        assert!(matches!(fixture.found(name), Lookup::Absent), "{name}");
    }
    assert_eq!(fixture.store.cached().expect("a sum"), crate::store::Cached::default());
}

#[tokio::test]
async fn a_body_whose_end_nothing_marks_is_passed_on_and_not_kept() {
    let fixture = Fixture::new().await;
    let untold = Served { announced: None, etag: "\"not-an-md5\"".to_owned(), ..Served::new("") };
    for (name, size) in [("small", 1000), ("large", 3 << 20)] {
        fixture.production.serve(name, Served { bytes: Arc::new(pattern(size)), ..untold.clone() });
        let flying = fixture.get(name).await.expect("a flight").flying();
        assert!(read_whole(&flying).await == pattern(size), "{name}: as far as anybody can tell");
        assert!(matches!(fixture.found(name), Lookup::Absent), "{name}: it may have been cut short");
        let failed = fixture.materialise(name).await.expect_err("nothing to make a copy of");
        assert!(matches!(failed, Error::Corrupt { .. }), "{name}: {failed}");
    }
    let chunked = Served {
        bytes: Arc::new(b"3\r\nabc\r\n0\r\n\r\n".to_vec()),
        extra: "Transfer-Encoding: chunked\r\n".to_owned(),
        ..untold
    };
    fixture.production.serve("chunked", chunked);
    assert!(fixture.materialise("chunked").await.expect("its end is marked"));
    assert_eq!(fixture.here("chunked").await.expect("an object").1, b"abc");
}

#[tokio::test]
async fn a_small_object_that_fails_has_an_error_instead_of_an_answer() {
    let fixture = Fixture::new().await;
    fixture.production.serve("a", Served { etag: format!("\"{}\"", "0".repeat(32)), ..Served::new("abc") });
    assert!(matches!(fixture.get("a").await, Err(Error::Corrupt { .. })));
    fixture.production.serve("b", Served { status: 500, ..Served::new("abc") });
    assert!(matches!(fixture.get("b").await, Err(Error::Upstream(_))));
    fixture.production.stop();
    assert!(matches!(fixture.get("c").await, Err(Error::Upstream(_))));
}

#[tokio::test]
async fn flights_end_with_the_view() {
    let fixture = Fixture::new().await;
    let gate = Gate::new();
    fixture.production.serve("a", Served::new(pattern(3 << 20)).held_at(2 << 20, &gate));
    let flying = fixture.get("a").await.expect("a flight").flying();
    let Fixture { view, .. } = fixture;
    drop(view);
    let (_, outcome) = read_along(&flying, ByteRange::whole(3 << 20)).await;
    assert!(matches!(outcome, Err(Error::Store(store::Error::Closed))), "{outcome:?}");
}

#[tokio::test]
async fn a_full_disk_keeps_nobody_from_reading_production() {
    let fixture = Fixture::new().await;
    fixture.store.close().await;
    let Fixture { view: last, production, store, folder } = fixture;
    drop((last, store));
    let full = Options { reserve_bytes: u64::MAX, ..Options::new(folder.path()) };
    let store = Store::open(full).expect("the folder is free again");
    let view = view(&store, &production, (CACHE, &[]), Config::default());
    let fixture = Fixture { view, production, store, folder };
    for (name, size) in [("small", 1000), ("large", 3 << 20)] {
        fixture.production.serve(name, Served::new(pattern(size)));
        let got = fixture.get(name).await;
        assert!(matches!(got, Ok(Got::Proxied(200, bytes)) if bytes == pattern(size)), "{name}");
        let failed = fixture.materialise(name).await;
        assert!(matches!(failed, Err(Error::Store(store::Error::Full { .. }))), "{name}: {failed:?}");
    }
}
