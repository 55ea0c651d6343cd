//! Bytes in and out: staging, ranges, and readers that outlive their objects.

use super::*;

/// Sizes around what is kept in the index and around what a buffer holds.
const SIZES: &[usize] = &[0, 1, 65_535, 65_536, 65_537, 262_145, 524_287, 524_288, 528_384, 1_500_000];

#[tokio::test]
async fn every_size_comes_back_whole_and_with_its_digests() {
    for durability in [Durability::Ephemeral, Durability::Synced] {
        let fixture = Fixture::with(|options| options.durability = durability).await;
        for &size in SIZES {
            let bytes = pattern(size);
            let name = format!("{size}");
            let object = fixture.put(&name, &bytes).await;
            let mut digester = crate::checksum::Digester::new(&[]);
            digester.update(&bytes);
            assert_eq!(object.md5, Some(digester.finish().md5), "{size} {durability:?}");
            assert_eq!(object.size_bytes, size as u64);
        }
        let fixture = fixture.reopened().await;
        for &size in SIZES {
            assert!(fixture.get(&size.to_string()).await.expect("an object") == pattern(size), "{size}");
        }
    }
}

#[tokio::test]
async fn bodies_up_to_the_bound_have_no_file() {
    let fixture = Fixture::with(|options| options.inline_max_bytes = 1000).await;
    fixture.put("small", &pattern(1000)).await;
    assert_eq!(fixture.files(), 0);
    fixture.put("large", &pattern(1001)).await;
    assert_eq!(fixture.files(), 1);
}

#[tokio::test]
async fn a_wrong_size_hint_does_no_harm() {
    let fixture = Fixture::new().await;
    for (hint, size) in [(Some(u64::from(u32::MAX)), 10), (Some(0), 300_000), (Some(1 << 20), 70_000)] {
        let mut staging = fixture.store.stage(&[], hint);
        staging.write(pattern(size).into()).await.expect("room");
        let staged = staging.finish().await.expect("room");
        assert_eq!(staged.size_bytes(), size as u64, "{hint:?}");
    }
}

#[tokio::test]
async fn what_is_staged_and_not_put_is_removed() {
    let fixture = Fixture::new().await;
    let mut staging = fixture.store.stage(&[], None);
    staging.write(pattern(1 << 20).into()).await.expect("room");
    drop(staging);
    fixture.swept_to(0).await;
    let staged = fixture.stage(&pattern(1 << 20)).await;
    assert_eq!(fixture.files(), 1);
    drop(staged);
    fixture.swept_to(0).await;
    let refused = fixture.put_if("a", &pattern(1 << 20), if_match(&ETag::of_md5([0; 16]))).await;
    refused.expect_err("there is no object");
    fixture.swept_to(0).await;
}

#[tokio::test]
async fn any_range_is_read() {
    let fixture = Fixture::new().await;
    let bytes = pattern(700_000);
    fixture.put("a", &bytes).await;
    let Lookup::Here(_, content) = fixture.find("a") else { panic!("it was put") };
    for (start, end) in [(0, 1), (0, 0), (699_999, 700_000), (262_143, 262_145), (5, 600_000)] {
        let range = ByteRange { start, end };
        let (from, to) = (usize::try_from(start).expect("small"), usize::try_from(end).expect("small"));
        assert!(read(&content, range).await.expect("readable") == bytes[from..to], "{range:?}");
    }
    let beyond = content.reader(ByteRange { start: 699_998, end: 800_000 });
    assert_eq!(beyond.remaining(), 2, "what lies behind the end is left out");
}

#[tokio::test]
async fn a_reader_reads_to_the_end_what_was_overwritten_deleted_and_swept() {
    let fixture = Fixture::new().await;
    let (large, small) = (pattern(1_000_000), pattern(1000));
    fixture.put("large", &large).await;
    fixture.put("small", &small).await;
    let Lookup::Here(_, held_large) = fixture.find("large") else { panic!("it was put") };
    let Lookup::Here(_, held_small) = fixture.find("small") else { panic!("it was put") };
    fixture.put("large", b"other").await;
    fixture.delete("small", false).await;

    // What is given up later, and what nobody could have seen, goes meanwhile.
    fixture.put("later", &pattern(100_000)).await;
    fixture.delete("later", false).await;
    drop(fixture.stage(&pattern(100_000)).await);
    fixture.files_become(1).await;
    assert!(read(&held_large, ByteRange::whole(1_000_000)).await.expect("held") == large);
    assert!(read(&held_small, ByteRange::whole(1000)).await.expect("held") == small);

    let half_read = held_large.reader(ByteRange::whole(1_000_000));
    drop((held_large, held_small));
    drop(half_read);
    fixture.swept_to(0).await;
    assert_eq!(fixture.get("large").await.expect("an object"), b"other");
}

#[tokio::test]
async fn a_content_can_be_read_after_the_store_was_closed() {
    let fixture = Fixture::new().await;
    fixture.put("a", &pattern(300_000)).await;
    let Lookup::Here(_, content) = fixture.find("a") else { panic!("it was put") };
    fixture.store.close().await;
    assert!(read(&content, ByteRange::whole(300_000)).await.expect("readable") == pattern(300_000));
    let refused = fixture.store.delete_bucket(&bucket()).await;
    assert!(matches!(refused, Err(Error::Closed)));
    fixture.store.health().await.expect_err("it is closed");
}

#[tokio::test]
async fn a_blob_that_is_shorter_than_its_row_says_is_an_error_and_no_short_answer() {
    let fixture = Fixture::new().await;
    fixture.put("a", &pattern(600_000)).await;
    let shelf = std::fs::read_dir(fixture.folder.path().join("blobs")).expect("a folder");
    let shelf = shelf.flatten().next().expect("a shelf").path();
    let file = std::fs::read_dir(shelf).expect("a folder").flatten().next().expect("a blob");
    std::fs::write(file.path(), pattern(300_000)).expect("writable");
    let Lookup::Here(_, content) = fixture.find("a") else { panic!("it was put") };
    let outcome = read(&content, ByteRange::whole(600_000)).await;
    assert!(matches!(outcome, Err(Error::File { .. })));
}
