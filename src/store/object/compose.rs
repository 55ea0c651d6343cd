//! Composing an object of others: their segments, one behind the other.
//!
//! GCS: "Composite objects".

use std::sync::Arc;

use super::find;
use super::put::{REPLACED_ROWS, replace};
use super::{ComposeObject, Object, Origin};
use crate::checksum;
use crate::model::{ByteRange, Checksum, ChecksumAlgorithm, ChecksumKind, ETag, VersionId};
use crate::store::assembly::{Assembled, Piece, assemble, beside};
use crate::store::change::Change;
use crate::store::error::Error;
use crate::store::job::Job;
use crate::store::open::Inner;
use crate::store::tally::Counted;

/// An object to be composed whose content is ready.
#[derive(Debug)]
pub(in crate::store) struct Composition {
    asked: Arc<ComposeObject>,
    assembled: Assembled,
}

impl Composition {
    /// How many rows it changes at most.
    pub(in crate::store) fn rows(&self) -> usize {
        REPLACED_ROWS + self.assembled.rows()
    }
}

/// Makes an object of others' bytes.
pub(in crate::store) async fn compose(inner: &Inner, asked: ComposeObject) -> Result<Object, Error> {
    let asked = Arc::new(asked);
    // What can be refused is refused before anything is done.
    let looking = Arc::clone(&asked);
    let look = move |connection: &_| {
        let current = find::current(connection, &looking.bucket, &looking.key)?;
        looking.conditions.check(current.state()).map_err(Error::Condition)
    };
    beside(inner, move |shared| shared.readers.read(look)).await?;
    // Once more only if what was prepared is not there any more.
    loop {
        let pieces = asked.sources.iter().map(|(object, content)| {
            let range = ByteRange::whole(object.size_bytes);
            Piece { content: content.clone(), range }
        });
        let assembled = assemble(inner, pieces.collect(), Vec::new()).await?;
        let composition = Composition { asked: Arc::clone(&asked), assembled };
        let job = |reply| Job::ComposeObject(Box::new(composition), reply);
        if let Some(object) = inner.writer.ask(job).await? {
            return Ok(object);
        }
    }
}

/// Makes the object of a content that is ready. Runs inside the write transaction.
pub(in crate::store) fn finish_composition(
    change: &mut Change,
    composition: Composition,
) -> Result<Option<Object>, Error> {
    let Composition { asked, assembled } = composition;
    let current = find::current(change.connection(), &asked.bucket, &asked.key)?;
    asked.conditions.check(current.state()).map_err(Error::Condition)?;
    let generation = change.next_sequence();
    let Some(content_id) = assembled.attach(change, generation)? else { return Ok(None) };
    let crc32c = combined(&asked, ChecksumAlgorithm::Crc32c).and_then(|crc| crc.value().try_into().ok());
    let object = Object {
        origin: Origin::Written,
        bucket: asked.bucket.clone(),
        key: asked.key.clone(),
        version_id: VersionId::Null,
        generation,
        metageneration: 1,
        modified: change.now(),
        size_bytes: asked.sources.iter().map(|(object, _)| object.size_bytes).sum(),
        etag: ETag::of_md5(asked.md5),
        md5: Some(asked.md5),
        crc32c: crc32c.map(u32::from_be_bytes),
        checksum: combined(&asked, ChecksumAlgorithm::Crc64Nvme),
        metadata: asked.metadata.clone(),
        tags: asked.tags.clone(),
        owner: asked.owner.clone(),
        parts: None,
        updated: None,
        content_id,
    };
    replace(change, &current, &object, None)?;
    change.count(Counted::Uploaded, object.size_bytes);
    Ok(Some(object))
}

/// The checksum of the whole, where all sources have one.
fn combined(asked: &ComposeObject, algorithm: ChecksumAlgorithm) -> Option<Checksum> {
    let of_source = |(object, _): &(Object, _)| {
        let shown = object
            .checksum
            .clone()
            .filter(|shown| shown.algorithm() == algorithm && shown.kind() == ChecksumKind::FullObject);
        let known = match algorithm {
            ChecksumAlgorithm::Crc32c => {
                object.crc32c.and_then(|crc| Checksum::full_object(algorithm, &crc.to_be_bytes()).ok())
            }
            ChecksumAlgorithm::Crc64Nvme
            | ChecksumAlgorithm::Crc32
            | ChecksumAlgorithm::Sha1
            | ChecksumAlgorithm::Sha256 => None,
        };
        known.or(shown).map(|checksum| (checksum, object.size_bytes))
    };
    let all: Option<Vec<_>> = asked.sources.iter().map(of_source).collect();
    checksum::combine(algorithm, &all?)
}
