//! Multipart uploads.

use super::*;
use crate::checksum::{self, Digester};
use crate::model::{Checksum, ChecksumAlgorithm, ChecksumKind, ConditionFailed, UploadId};

fn number(number: u16) -> PartNumber {
    PartNumber::new(number).expect("a part number")
}

pub(super) async fn begin(
    fixture: &Fixture,
    name: &str,
    asked: Option<(ChecksumAlgorithm, ChecksumKind)>,
) -> UploadRef {
    let mut metadata = Metadata::default();
    metadata.add_user("from", "upload").expect("a header");
    let new = NewUpload {
        bucket: bucket(),
        key: key(name),
        metadata,
        tags: Tags::default(),
        owner: owner(),
        checksum: asked,
        session: None,
    };
    let upload = fixture.store.create_upload(new).await.expect("begun");
    UploadRef { bucket: upload.bucket, key: upload.key, id: upload.id }
}

pub(super) async fn put_part(fixture: &Fixture, upload: &UploadRef, index: u16, bytes: &[u8]) -> Part {
    let asked = fixture.store.find_upload(upload).expect("in progress").checksum;
    let extra: Vec<_> = asked.iter().map(|(algorithm, _)| *algorithm).collect();
    let mut staging = fixture.store.stage(&extra, Some(bytes.len() as u64));
    staging.write(Bytes::copy_from_slice(bytes)).await.expect("room");
    let staged = staging.finish().await.expect("room");
    let part = PutPart { upload: upload.clone(), number: number(index), staged, checksum: None };
    fixture.store.put_part(part).await.expect("written")
}

pub(super) fn completion(upload: &UploadRef, parts: &[&Part]) -> CompleteUpload {
    let named = |part: &&Part| CompletedPart {
        number: part.number,
        etag: part.etag.clone(),
        checksum: part.checksum.clone(),
    };
    CompleteUpload {
        upload: upload.clone(),
        parts: parts.iter().map(named).collect(),
        checksum: None,
        size_bytes: None,
        md5: None,
        conditions: WriteConditions::default(),
    }
}

fn digests(bytes: &[u8]) -> crate::checksum::Digests {
    let mut digester = Digester::new(&ChecksumAlgorithm::ALL);
    digester.update(bytes);
    digester.finish()
}

#[tokio::test]
async fn parts_become_the_object_in_order_of_their_numbers() {
    let fixture = Fixture::new().await;
    let upload = begin(&fixture, "a", None).await;
    let (one, two, three) = (pattern(200_000), pattern(70_000), b"the end".to_vec());
    let third = put_part(&fixture, &upload, 900, &three).await;
    let first = put_part(&fixture, &upload, 1, &one).await;
    let unused = put_part(&fixture, &upload, 2, b"never listed").await;
    let second = put_part(&fixture, &upload, 7, &two).await;
    let whole = [one, two, three].concat();

    let object = fixture.store.complete_upload(completion(&upload, &[&first, &second, &third])).await;
    let object = object.expect("complete");
    let md5s = [&first, &second, &third].map(|part| hex::decode(part.etag.as_str()).expect("an MD5"));
    let md5s = md5s.map(|md5| md5.try_into().expect("an MD5"));
    assert_eq!(object.etag, checksum::etag_of_parts(&md5s));
    assert_eq!((object.parts, object.md5), (Some(3), None));
    assert_eq!(object.crc32c, Some(digests(&whole).crc32c()));
    assert_eq!(object.checksum.as_ref(), digests(&whole).checksum(ChecksumAlgorithm::Crc64Nvme));
    assert_eq!(object.metadata.user().next(), Some(("from", "upload")));

    assert!(matches!(fixture.store.find_upload(&upload), Err(Error::NoSuchUpload(_))));
    assert_eq!(unused.size_bytes, 12);
    let fixture = fixture.reopened().await;
    assert!(fixture.get("a").await.expect("an object") == whole);
    fixture.swept_to(2).await;
    assert!(fixture.get("a").await.expect("an object") == whole, "the sweep left what the object needs");
}

#[tokio::test]
async fn a_part_of_an_object_can_be_read_by_its_place() {
    let fixture = Fixture::new().await;
    let asked = Some((ChecksumAlgorithm::Sha256, ChecksumKind::Composite));
    let upload = begin(&fixture, "a", asked).await;
    let first = put_part(&fixture, &upload, 3, &pattern(100)).await;
    let second = put_part(&fixture, &upload, 8, &pattern(50)).await;
    fixture.store.complete_upload(completion(&upload, &[&first, &second])).await.expect("complete");
    let Lookup::Here(_, content) = fixture.find("a") else { panic!("it was completed") };
    let part = content.part_range(number(2)).expect("an answer").expect("a part");
    assert_eq!(part.range, ByteRange { start: 100, end: 150 });
    assert_eq!((part.parts, &part.checksum), (2, &second.checksum));
    assert!(second.checksum.is_some());
    assert!(read(&content, part.range).await.expect("readable") == pattern(50));
    assert_eq!(content.part_range(number(3)).expect("an answer"), None);

    fixture.put("plain", b"hello").await;
    let Lookup::Here(_, content) = fixture.find("plain") else { panic!("it was put") };
    let part = content.part_range(number(1)).expect("an answer").expect("the whole");
    assert_eq!((part.range, part.parts), (ByteRange::whole(5), 1));
    assert_eq!(content.part_range(number(2)).expect("an answer"), None);
}

#[tokio::test]
async fn the_checksum_of_the_object_is_of_the_kind_asked_for() {
    use ChecksumAlgorithm::{Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
    use ChecksumKind::{Composite, FullObject};
    let fixture = Fixture::new().await;
    let (one, two) = (pattern(3000), pattern(1000));
    let whole = digests(&[one.clone(), two.clone()].concat());
    for (algorithm, kind) in [
        (Crc32, FullObject),
        (Crc32c, FullObject),
        (Crc64Nvme, FullObject),
        (Crc32, Composite),
        (Crc32c, Composite),
        (Sha1, Composite),
        (Sha256, Composite),
    ] {
        let upload = begin(&fixture, "a", Some((algorithm, kind))).await;
        let first = put_part(&fixture, &upload, 1, &one).await;
        let second = put_part(&fixture, &upload, 2, &two).await;
        let of_parts =
            [&one, &two].map(|bytes| digests(bytes).checksum(algorithm).expect("asked for").clone());
        assert_eq!(first.checksum.as_ref(), Some(&of_parts[0]));
        let expected = match kind {
            FullObject => whole.checksum(algorithm).expect("asked for").clone(),
            Composite => checksum::composite(algorithm, &of_parts),
        };
        let wrong = CompleteUpload {
            checksum: Checksum::full_object(algorithm, &vec![7; algorithm.len_bytes()]).ok(),
            ..completion(&upload, &[&first, &second])
        };
        let refused = fixture.store.complete_upload(wrong).await;
        assert!(matches!(refused, Err(Error::ChecksumMismatch { .. })), "{algorithm:?} {kind:?}");
        let right = CompleteUpload {
            checksum: Some(expected.clone()),
            size_bytes: Some(4000),
            ..completion(&upload, &[&first, &second])
        };
        let object = fixture.store.complete_upload(right).await.expect("complete");
        assert_eq!(object.checksum, Some(expected), "{algorithm:?} {kind:?}");
    }
}

#[tokio::test]
async fn a_completion_that_does_not_fit_changes_nothing() {
    let fixture = Fixture::new().await;
    let upload = begin(&fixture, "a", None).await;
    let first = put_part(&fixture, &upload, 1, &pattern(10)).await;
    let small = put_part(&fixture, &upload, 2, &pattern(9)).await;
    let third = put_part(&fixture, &upload, 3, &pattern(1)).await;
    let refusal = |complete| async { fixture.store.complete_upload(complete).await.expect_err("refused") };

    let order = refusal(completion(&upload, &[&third, &first])).await;
    assert!(matches!(order, Error::InvalidPartOrder));
    let twice = refusal(completion(&upload, &[&first, &first])).await;
    assert!(matches!(twice, Error::InvalidPartOrder));
    let none = refusal(completion(&upload, &[])).await;
    assert!(matches!(none, Error::InvalidPartOrder));
    let unknown = Part { number: number(4), ..third.clone() };
    let unknown = refusal(completion(&upload, &[&first, &unknown])).await;
    assert!(matches!(unknown, Error::InvalidPart { number } if number.get() == 4));
    let other = Part { etag: ETag::of_md5([0; 16]), ..third.clone() };
    let other = refusal(completion(&upload, &[&first, &other])).await;
    assert!(matches!(other, Error::InvalidPart { number } if number.get() == 3));
    let too_small = refusal(completion(&upload, &[&first, &small, &third])).await;
    assert!(
        matches!(too_small, Error::PartTooSmall { number, size_bytes: 9, minimum_bytes: 10 } if number.get() == 2)
    );
    let size = CompleteUpload { size_bytes: Some(12), ..completion(&upload, &[&first, &third]) };
    assert!(matches!(refusal(size).await, Error::SizeMismatch { given_bytes: 12, actual_bytes: 11 }));
    fixture.put("a", b"there").await;
    let taken = CompleteUpload { conditions: if_none_match_any(), ..completion(&upload, &[&first, &third]) };
    assert!(matches!(refusal(taken).await, Error::Condition(ConditionFailed::Precondition(_))));

    assert_eq!(fixture.get("a").await.expect("an object"), b"there");
    let parts = fixture.store.list_parts(&upload, None, 10).expect("still in progress");
    assert_eq!(parts.len(), 3);
}

#[tokio::test]
async fn a_completion_sent_again_is_answered_again() {
    let fixture = Fixture::new().await;
    let upload = begin(&fixture, "a", None).await;
    let part = put_part(&fixture, &upload, 1, b"bytes").await;
    let object = fixture.store.complete_upload(completion(&upload, &[&part])).await.expect("complete");
    let again = fixture.store.complete_upload(completion(&upload, &[&part])).await;
    assert_eq!(again.expect("the same"), object);
    fixture.put("a", b"other").await;
    let late = fixture.store.complete_upload(completion(&upload, &[&part])).await;
    assert!(matches!(late, Err(Error::NoSuchUpload(_))));
}

#[tokio::test]
async fn a_part_is_replaced_by_one_of_the_same_number() {
    let fixture = Fixture::new().await;
    let upload = begin(&fixture, "a", None).await;
    let old = put_part(&fixture, &upload, 1, &pattern(100_000)).await;
    let new = put_part(&fixture, &upload, 1, &pattern(120_000)).await;
    fixture.swept_to(1).await;
    let refused = fixture.store.complete_upload(completion(&upload, &[&old])).await;
    assert!(matches!(refused, Err(Error::InvalidPart { .. })));
    fixture.store.complete_upload(completion(&upload, &[&new])).await.expect("complete");
    assert!(fixture.get("a").await.expect("an object") == pattern(120_000));
}

#[tokio::test]
async fn parts_are_listed_in_pages() {
    let fixture = Fixture::new().await;
    let upload = begin(&fixture, "a", None).await;
    for index in [5, 1, 10_000, 3] {
        put_part(&fixture, &upload, index, b"x").await;
    }
    let page = |after: Option<u16>, limit| -> Vec<u16> {
        let parts = fixture.store.list_parts(&upload, after.map(number), limit).expect("an answer");
        parts.into_iter().map(|part| part.number.get()).collect()
    };
    assert_eq!(page(None, 2), [1, 3]);
    assert_eq!(page(Some(3), 2), [5, 10_000]);
    assert_eq!(page(Some(10_000), 2), [0_u16; 0]);
}

#[tokio::test]
async fn uploads_are_listed_by_key_then_by_when_they_were_begun() {
    let fixture = Fixture::new().await;
    let b_first = begin(&fixture, "b", None).await;
    let a = begin(&fixture, "a", None).await;
    let b_second = begin(&fixture, "b", None).await;
    let c = begin(&fixture, "b/c", None).await;
    let page = |start: UploadStart, prefix: &str, limit| -> Vec<UploadId> {
        let scan = UploadScan { start, prefix: prefix.to_owned(), limit };
        let uploads = fixture.store.scan_uploads(&bucket(), &scan).expect("an answer");
        uploads.into_iter().map(|upload| upload.id).collect()
    };
    let at = |text: &str| UploadStart::At(text.to_owned());
    let all = [&a, &b_first, &b_second, &c].map(|upload| upload.id.clone());
    assert_eq!(page(at(""), "", 10), all);
    assert_eq!(page(at(""), "", 2), all[..2]);
    assert_eq!(page(at("b"), "", 10), all[1..]);
    assert_eq!(page(UploadStart::After("b".to_owned()), "", 10), all[3..]);
    assert_eq!(page(UploadStart::AfterUpload("b".to_owned(), b_first.id.clone()), "", 10), all[2..]);
    assert_eq!(page(at(""), "b/", 10), all[3..]);
    assert_eq!(page(at(""), "b", 10), all[1..]);
    assert_eq!(page(UploadStart::AfterUpload("a".to_owned(), a.id.clone()), "b", 10), all[1..]);
    assert_eq!(page(at("c"), "b", 10), []);
}

#[tokio::test]
async fn an_aborted_upload_is_gone_with_its_parts() {
    let fixture = Fixture::new().await;
    let upload = begin(&fixture, "a", None).await;
    put_part(&fixture, &upload, 1, &pattern(100_000)).await;
    fixture.store.abort_upload(&upload).await.expect("in progress");
    fixture.swept_to(0).await;
    assert!(matches!(fixture.store.abort_upload(&upload).await, Err(Error::NoSuchUpload(_))));
    assert!(matches!(fixture.store.list_parts(&upload, None, 1), Err(Error::NoSuchUpload(_))));
    let other_key = UploadRef { key: key("b"), ..begin(&fixture, "a", None).await };
    assert!(matches!(fixture.store.find_upload(&other_key), Err(Error::NoSuchUpload(_))));
}

#[tokio::test]
async fn a_part_is_copied_from_any_range_of_any_object() {
    let fixture = Fixture::new().await;
    // A source of several segments, inline and in files, some of them slices themselves.
    let upload = begin(&fixture, "source", None).await;
    let mut parts = Vec::new();
    for (index, size) in (1..).zip([100_000, 30, 50_000, 70_000]) {
        parts.push(put_part(&fixture, &upload, index, &pattern(size)).await);
    }
    let parts: Vec<_> = parts.iter().collect();
    let object = fixture.store.complete_upload(completion(&upload, &parts)).await.expect("complete");
    let bytes = fixture.get("source").await.expect("an object");
    let files = fixture.files();

    let ranges =
        [(0, 220_030), (99_999, 100_031), (100_000, 100_030), (5, 99_000), (150_030, 150_031), (7, 7)];
    let upload = begin(&fixture, "target", None).await;
    let (mut copied, mut expected) = (Vec::new(), Vec::new());
    for (index, (start, end)) in (1..).zip(ranges) {
        let slice = &bytes[start..end];
        let range = ByteRange { start: start as u64, end: end as u64 };
        expected.extend_from_slice(slice);
        copied.push(copy_part(&fixture, &upload, index, object.generation, (range, slice)).await);
    }
    let fixture = Fixture { options: Options { part_min_bytes: 0, ..fixture.options.clone() }, ..fixture };
    let fixture = fixture.reopened().await;
    let copied: Vec<_> = copied.iter().collect();
    let whole = fixture.store.complete_upload(completion(&upload, &copied)).await.expect("complete");
    assert_eq!(whole.crc32c, Some(digests(&expected).crc32c()));
    assert!(fixture.get("target").await.expect("an object") == expected);
    assert_eq!(fixture.files(), files, "no byte was moved");
    fixture.delete("source", false).await;
    let fixture = fixture.reopened().await;
    assert!(fixture.get("target").await.expect("an object") == expected);
    fixture.delete("target", false).await;
    fixture.swept_to(0).await;
}

pub(super) async fn copy_part(
    fixture: &Fixture,
    upload: &UploadRef,
    index: u16,
    generation: u64,
    (range, slice): (ByteRange, &[u8]),
) -> Part {
    let part = part_copy(upload, index, generation, (range, slice));
    fixture.store.copy_part(part).await.expect("copied")
}

fn part_copy(
    upload: &UploadRef,
    index: u16,
    generation: u64,
    (range, slice): (ByteRange, &[u8]),
) -> CopyPart {
    let of_slice = digests(slice);
    let digests = PartDigests {
        md5: of_slice.md5,
        checksum: None,
        crc32c: Some(of_slice.crc32c()),
        crc64nvme: Some(of_slice.crc64nvme()),
    };
    CopyPart {
        upload: upload.clone(),
        number: number(index),
        source: Source { generation: Some(generation), ..source("source") },
        range: Some(range),
        digests,
    }
}

#[tokio::test]
async fn parts_whose_bytes_are_lost_are_not_completed() {
    let fixture = Fixture::new().await;
    let upload = begin(&fixture, "a", None).await;
    let first = put_part(&fixture, &upload, 1, &pattern(100_000)).await;
    let second = put_part(&fixture, &upload, 2, &pattern(110_000)).await;
    let file = super::fsck::blob_of(fixture.folder.path(), 110_000);
    let aside = fixture.folder.path().join("aside");
    std::fs::rename(&file, &aside).expect("writable");
    let failed = fixture.store.complete_upload(completion(&upload, &[&first, &second])).await;
    assert!(matches!(&failed, Err(Error::File { path, .. }) if *path == file), "{failed:?}");
    assert!(fixture.get("a").await.is_none());
    std::fs::rename(&aside, &file).expect("writable");
    fixture.store.complete_upload(completion(&upload, &[&first, &second])).await.expect("complete");
}

#[tokio::test]
async fn a_part_whose_content_was_prepared_before_the_others_came_is_noticed() {
    use crate::store::upload::{Ready, prepare, prepare_copy};
    let fixture = Fixture::new().await;
    let inner = &fixture.store.0;
    let upload = begin(&fixture, "source", None).await;
    let mut pieces = Vec::new();
    for index in 1..=20 {
        pieces.push(put_part(&fixture, &upload, index, &pattern(10)).await);
    }
    let pieces: Vec<_> = pieces.iter().collect();
    let source = fixture.store.complete_upload(completion(&upload, &pieces)).await.expect("complete");
    let bytes = pattern(10).repeat(20);

    // So many pieces are prepared under a number that is lower than those of the parts that follow.
    let upload = begin(&fixture, "a", None).await;
    let copy = part_copy(&upload, 1, source.generation, (ByteRange::whole(200), &bytes));
    let copied = prepare_copy(inner, &Arc::new(copy)).await.expect("prepared");
    let first = put_part(&fixture, &upload, 1, &bytes).await;
    let second = put_part(&fixture, &upload, 2, b"the end").await;
    let asked = Arc::new(completion(&upload, &[&first, &second]));
    let Ready::Finish(planned) = prepare(inner, &asked).await.expect("planned") else { panic!("it is new") };
    let copied = inner.writer.ask(|reply| Job::CopyPart(Box::new(copied), reply)).await;
    assert_eq!(copied.expect("committed").expect("the source is there").etag, first.etag);
    let finished = inner.writer.ask(|reply| Job::CompleteUpload(planned, reply)).await;
    assert_eq!(finished.expect("committed"), None, "part 1 is another one");
    fixture.store.complete_upload(completion(&upload, &[&first, &second])).await.expect("complete");
    assert!(fixture.get("a").await.expect("an object") == [&bytes[..], b"the end"].concat());
    fixture.swept().await;
    fixture.end_soundly().await;
}

#[tokio::test]
async fn an_object_of_more_parts_than_a_step_of_the_sweep_takes_leaves_nothing_behind() {
    let fixture = Fixture::with(|options| options.inline_max_bytes = 0).await;
    let upload = begin(&fixture, "a", None).await;
    let mut parts = Vec::new();
    for index in 1..=600 {
        parts.push(put_part(&fixture, &upload, index, b"0123456789").await);
    }
    let parts: Vec<_> = parts.iter().collect();
    fixture.store.complete_upload(completion(&upload, &parts)).await.expect("complete");
    fixture.swept_to(600).await;
    fixture.delete("a", false).await;
    fixture.swept_to(0).await;
}

#[tokio::test]
async fn as_many_contents_as_a_step_of_the_sweep_takes_are_all_forgotten() {
    let fixture = Fixture::new().await;
    let names: Vec<_> = (0..512).map(|index| format!("{index}")).collect();
    for name in &names {
        fixture.put(name, b"x").await;
    }
    let deletes = names.iter().map(|name| deletion(name, false)).collect();
    fixture.store.delete_objects(&bucket(), deletes).await.expect("deleted");
    fixture.swept().await;
}
