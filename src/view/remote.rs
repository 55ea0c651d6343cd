//! One object in three descriptions: upstream's, the imported index's and the store's. Pure.

use crate::model::{BucketName, ETag, ObjectState, Timestamp};
use crate::store::{InventoryRow, Object};
use crate::upstream::Remote;

/// An object of this bucket and key as the store would describe it, for faces that render objects.
///
/// Its generation is made of its time, so that it is the same each time it is asked for. It is
/// another one once the object is here: the store numbers what it keeps. A size that upstream does
/// not tell is shown as 0.
pub fn as_object(bucket: &BucketName, remote: &Remote) -> Object {
    let state = ObjectState {
        etag: remote.etag.clone(),
        modified: remote.modified,
        size_bytes: remote.size_bytes.unwrap_or(0),
        generation: generation_of(remote.modified),
        metageneration: 1,
    };
    let mut object = Object::elsewhere(bucket.clone(), remote.key.clone(), state, remote.metadata.clone());
    object.md5 = remote.md5;
    object.crc32c = remote.crc32c;
    object
}

/// The generation of an object that only production has, and had before it was kept here.
///
/// GCS: a generation is the time of the write in microseconds. 0 would mean "no object".
pub fn generation_of(modified: Timestamp) -> u64 {
    modified.as_ms().unsigned_abs().saturating_mul(1000).max(1)
}

/// An object that is here, as upstream would describe it.
pub(super) fn of_object(object: &Object) -> Remote {
    Remote {
        key: object.key.clone(),
        size_bytes: Some(object.size_bytes),
        etag: object.etag.clone(),
        modified: object.modified,
        metadata: object.metadata.clone(),
        md5: object.md5,
        crc32c: object.crc32c,
    }
}

/// A row of the imported index. Without a tag and an MD5, its tag is made of its size and time.
pub(super) fn of_index(row: InventoryRow) -> Remote {
    let modified = row.modified.unwrap_or(Timestamp::from_ms(0)).truncated_to_seconds();
    let made = || ETag::of_time_and_size(modified, Some(row.size_bytes));
    Remote {
        etag: row.etag.or_else(|| row.md5.map(ETag::of_md5)).unwrap_or_else(made),
        key: row.key,
        size_bytes: Some(row.size_bytes),
        modified,
        metadata: crate::model::Metadata::default(),
        md5: row.md5,
        crc32c: row.crc32c,
    }
}

#[cfg(test)]
mod tests {
    use super::{as_object, of_index, of_object};
    use crate::model::{BucketName, ETag, Metadata, ObjectKey, SystemHeader, Timestamp};
    use crate::store::{InventoryRow, Origin};
    use crate::upstream::Remote;

    fn key() -> ObjectKey {
        ObjectKey::parse("pub/a.mar").expect("a key")
    }

    fn remote() -> Remote {
        let mut metadata = Metadata::default();
        metadata.set_system(SystemHeader::ContentType, "application/x-mar").expect("a header");
        Remote {
            key: key(),
            size_bytes: Some(7),
            etag: ETag::parse("\"abc-2\"").expect("a tag"),
            modified: Timestamp::from_seconds(1_795_209_619),
            metadata,
            md5: Some([1; 16]),
            crc32c: Some(9),
        }
    }

    #[test]
    fn an_object_upstream_is_described_as_if_it_were_here() {
        let bucket = BucketName::parse("bucket").expect("a name");
        let object = as_object(&bucket, &remote());
        assert_eq!(object.generation, 1_795_209_619_000_000);
        assert_eq!((object.metageneration, object.origin), (1, Origin::Cached));
        assert_eq!(of_object(&object), remote(), "nothing is lost on the way");
    }

    #[test]
    fn a_generation_is_never_that_of_no_object_and_an_unknown_size_is_0() {
        let bucket = BucketName::parse("bucket").expect("a name");
        let vague = Remote { modified: Timestamp::from_ms(0), size_bytes: None, ..remote() };
        let object = as_object(&bucket, &vague);
        assert_eq!((object.generation, object.size_bytes), (1, 0));
    }

    #[test]
    fn a_row_of_an_index_has_the_best_tag_that_it_allows() {
        let row = InventoryRow {
            key: key(),
            size_bytes: 255,
            modified: Some(Timestamp::from_ms(16_999)),
            etag: None,
            md5: None,
            crc32c: None,
        };
        assert_eq!(of_index(row.clone()).etag.as_str(), "10-ff");
        assert_eq!(of_index(row.clone()).modified, Timestamp::from_seconds(16));
        let digested = InventoryRow { md5: Some([0xab; 16]), ..row };
        assert_eq!(of_index(digested.clone()).etag.as_str(), "ab".repeat(16));
        let tagged = InventoryRow { etag: Some(ETag::parse("x-3").expect("a tag")), ..digested };
        assert_eq!(of_index(tagged).etag.as_str(), "x-3");
    }
}
