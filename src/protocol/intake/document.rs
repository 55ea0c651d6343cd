//! A document on its way into memory: within the limit of one, and within the memory for all.

use bytes::{Bytes, BytesMut};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::IntakeError;

/// What every document may take without asking. Nearly all are smaller.
const FREE_BYTES: usize = 16 << 10;

/// What all larger documents may take together, so that many at a time do not fill the memory.
const ALL_BYTES_MAX: usize = 16 << 20;

static MEMORY: Semaphore = Semaphore::const_new(ALL_BYTES_MAX);

/// A document that is being gathered.
#[derive(Debug)]
pub struct Document {
    bytes: BytesMut,
    max_bytes: usize,
    memory: &'static Semaphore,
    permit: Option<SemaphorePermit<'static>>,
}

/// A document, and its share of the memory for as long as anybody has it.
struct Gathered {
    bytes: Bytes,
    _permit: SemaphorePermit<'static>,
}

impl AsRef<[u8]> for Gathered {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Document {
    /// An empty one that may get up to `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self::within(&MEMORY, max_bytes)
    }

    fn within(memory: &'static Semaphore, max_bytes: usize) -> Self {
        Self { bytes: BytesMut::new(), max_bytes, memory, permit: None }
    }

    /// Takes the next bytes, if there is memory for them.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), IntakeError> {
        let length = self.bytes.len() + bytes.len();
        if length > self.max_bytes {
            return Err(IntakeError::DocumentTooLarge { max_bytes: self.max_bytes });
        }
        self.reserve(length)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Asks for the memory of a document of this length, as far as it has none yet.
    fn reserve(&mut self, length: usize) -> Result<(), IntakeError> {
        let held = self.permit.as_ref().map_or(0, SemaphorePermit::num_permits);
        if length <= FREE_BYTES || length <= held {
            return Ok(());
        }
        // Twice as much each time, as the memory itself grows.
        let wanted = length.next_power_of_two().min(self.max_bytes).max(length);
        let more = u32::try_from(wanted - held).map_err(|_| IntakeError::TooManyDocuments)?;
        let permit = self.memory.try_acquire_many(more).map_err(|_| IntakeError::TooManyDocuments)?;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }

    /// The whole document.
    pub fn finish(self) -> Bytes {
        let bytes = self.bytes.freeze();
        match self.permit {
            Some(permit) => Bytes::from_owner(Gathered { bytes, _permit: permit }),
            None => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::{Document, FREE_BYTES, IntakeError};

    #[test]
    fn large_documents_share_memory_and_small_ones_need_none() {
        let memory: &'static Semaphore = Box::leak(Box::new(Semaphore::new(4 * FREE_BYTES)));
        let document = || Document::within(memory, 8 * FREE_BYTES);
        let mut first = document();
        for _ in 0..3 {
            first.push(&[b'x'; FREE_BYTES]).expect("there is memory");
        }
        let mut second = document();
        second.push(&[b'x'; FREE_BYTES]).expect("so little is free");
        let refused = second.push(b"x").expect_err("the first has all");
        assert!(matches!(refused, IntakeError::TooManyDocuments), "{refused:?}");
        let first = first.finish();
        assert_eq!(first.len(), 3 * FREE_BYTES);
        second.push(b"x").expect_err("the first is still in use");
        drop(first);
        second.push(b"x").expect("there is memory again");
    }

    #[test]
    fn a_document_beyond_its_own_limit_is_refused_as_such() {
        let mut document = Document::new(10);
        document.push(b"1234567890").expect("within the limit");
        let refused = document.push(b"1").expect_err("beyond it");
        assert!(matches!(refused, IntakeError::DocumentTooLarge { max_bytes: 10 }), "{refused:?}");
    }
}
