//! What the stage has already, and whether an object is among it.

use std::collections::HashMap;

use md5::{Digest as _, Md5};

use super::item::{Bytestream, From, Item};
use super::plan::{Present, Verdict, compare, part_bytes, parts_of};
use crate::admin::api::{Kind, Objects};
use crate::cli::failure::Failure;
use crate::cli::stage::{Stage, of_bucket};
use crate::model::{BucketName, ETag};

/// Everything that was written below a prefix. What is only kept of production may go at any time.
pub(super) async fn find(
    stage: &Stage,
    bucket: &BucketName,
    prefix: &str,
) -> Result<HashMap<String, Present>, Failure> {
    let mut present = HashMap::new();
    let mut after: Option<String> = None;
    loop {
        let mut query = vec![("prefix", prefix)];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page: Objects = stage.get(&of_bucket(bucket, "objects", &query)).await?;
        for object in page.objects {
            let tag = object.etag.as_deref().and_then(|tag| ETag::parse(tag).ok());
            if let (Kind::Written, Some(etag)) = (object.kind, tag) {
                present.insert(object.key, Present { size_bytes: object.size, etag });
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(present);
        }
    }
}

/// Whether an object is there. Bytes are read where nothing less can tell, but only those of files.
pub(super) async fn has(present: &Present, item: &mut Item) -> Result<bool, Failure> {
    match compare(present, &item.known) {
        Verdict::Same => Ok(true),
        Verdict::Different => Ok(false),
        Verdict::Unknown => {
            if matches!(item.from, From::Upstream(..)) {
                item.look_closer().await?;
                return Ok(compare(present, &item.known) == Verdict::Same);
            }
            let mut stream = item.open().await?.stream;
            Ok(tag(&mut stream, &present.etag, present.size_bytes).await? == Some(present.etag.clone()))
        }
    }
}

/// The tag that bytes have if they were uploaded as those of another tag.
async fn tag(stream: &mut Bytestream, like: &ETag, size_bytes: u64) -> Result<Option<ETag>, Failure> {
    let Some(count) = parts_of(like) else {
        return Ok(Some(ETag::of_md5(digest(stream, u64::MAX).await?)));
    };
    let Some(part_bytes) = part_bytes(size_bytes, count) else { return Ok(None) };
    let mut digests = Md5::new();
    for _ in 0..count {
        digests.update(digest(stream, part_bytes).await?);
    }
    Ok(Some(ETag::of_parts(digests.finalize().into(), usize::try_from(count).unwrap_or_default())))
}

async fn digest(stream: &mut Bytestream, length: u64) -> Result<[u8; 16], Failure> {
    let (mut md5, mut left) = (Md5::new(), length);
    while left > 0 {
        let Some(bytes) = stream.next(left).await? else { break };
        md5.update(&bytes);
        left -= bytes.len() as u64;
    }
    Ok(md5.finalize().into())
}
