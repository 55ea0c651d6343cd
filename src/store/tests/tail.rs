//! Reading a file while it grows.

use super::*;
use crate::store::buffer::DIRECT_BYTES_MIN;

/// Everything that can be read so far.
async fn read_tail(tail: &Tail, end: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < end {
        let missing = usize::try_from(end).expect("small") - bytes.len();
        let piece = tail.read(bytes.len() as u64, missing).await.expect("it was written");
        assert!((1..=64 << 10).contains(&piece.len()));
        bytes.extend_from_slice(&piece);
    }
    bytes
}

#[tokio::test]
async fn what_stays_in_memory_has_no_file_to_follow() {
    let fixture = Fixture::new().await;
    let mut staging = fixture.store.stage(&[], None);
    assert!(staging.tail().is_none());
    staging.write(pattern(1000).into()).await.expect("room");
    assert!(staging.tail().is_none());
}

#[tokio::test]
async fn a_growing_file_is_read_as_far_as_it_was_written_and_no_byte_is_wrong() {
    for durability in [Durability::Ephemeral, Durability::Synced] {
        let fixture = Fixture::with(|options| options.durability = durability).await;
        let bytes = pattern(5 * DIRECT_BYTES_MIN + 12_345);
        let mut staging = fixture.store.stage(&[], Some(bytes.len() as u64));
        let (mut seen, mut last) = (Vec::new(), None);
        for piece in bytes.chunks(70_001) {
            staging.write(Bytes::copy_from_slice(piece)).await.expect("room");
            let Some((tail, end)) = staging.tail() else { continue };
            let so_far = read_tail(&tail, end).await;
            assert!(so_far == bytes[..so_far.len()], "{durability:?} {end}");
            assert!(seen.last().is_none_or(|last| *last <= end), "it grows");
            seen.push(end);
            last = Some(tail);
        }
        let written = *seen.last().expect("the file was there before the end");
        // Two buffers may be under way and one be filling.
        assert!(written + 3 * DIRECT_BYTES_MIN as u64 >= bytes.len() as u64, "{seen:?}");
        let tail = last.expect("it was followed");
        let beyond = tail.read(written + bytes.len() as u64, 1).await;
        assert!(matches!(beyond, Err(Error::File { .. })), "what was never written is an error");

        let staged = staging.finish().await.expect("room");
        let put = |staged| PutObject {
            bucket: bucket(),
            key: key("a"),
            staged,
            metadata: Metadata::default(),
            tags: Tags::default(),
            owner: owner(),
            checksum: None,
            conditions: WriteConditions::default(),
        };
        fixture.store.put_object(put(staged)).await.expect("written");
        assert!(read_tail(&tail, bytes.len() as u64).await == bytes, "after the file was moved");
        fixture.delete("a", false).await;
        fixture.swept_to(0).await;
        assert!(read_tail(&tail.clone(), bytes.len() as u64).await == bytes, "after it was removed");
        assert_eq!(tail.read(0, 0).await.expect("nothing to do"), Bytes::new());
    }
}

#[tokio::test]
async fn a_staging_that_is_given_up_leaves_its_followers_what_was_written() {
    let fixture = Fixture::new().await;
    let bytes = pattern(4 * DIRECT_BYTES_MIN);
    let mut staging = fixture.store.stage(&[], None);
    staging.write(bytes.clone().into()).await.expect("room");
    let mut followed = None;
    eventually(|| {
        followed = staging.tail().filter(|(_, end)| *end == bytes.len() as u64);
        followed.is_some()
    })
    .await;
    drop(staging);
    fixture.files_become(0).await;
    let (tail, end) = followed.expect("all of it was written");
    assert!(read_tail(&tail, end).await == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_read_at_once_from_memory_that_is_used_again() {
    let fixture = Fixture::with(|options| options.durability = Durability::Synced).await;
    let bytes = Arc::new(pattern(2 * DIRECT_BYTES_MIN));
    let mut staging = fixture.store.stage(&[], None);
    staging.write(Bytes::copy_from_slice(&bytes)).await.expect("room");
    let mut followed = None;
    eventually(|| {
        followed = staging.tail().filter(|(_, end)| *end == bytes.len() as u64);
        followed.is_some()
    })
    .await;
    let (tail, end) = followed.expect("all of it was written");
    let readers: Vec<_> = (0..200)
        .map(|_| {
            let (tail, bytes) = (tail.clone(), Arc::clone(&bytes));
            tokio::spawn(async move { read_tail(&tail, end).await == *bytes })
        })
        .collect();
    for reader in readers {
        assert!(reader.await.expect("no panic"));
    }
}
