//! What the verbs, the writer, the sweep and the readers of bytes have in common.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::Semaphore;

use super::buffer::{Budget, Pool};
use super::damage;
use super::epoch::Pins;
use super::folder::Folder;
use super::hold::Holds;
use super::reader::Readers;
use super::snapshot::{Copies, Snapshots};
use super::verify::{Sampler, VerifyReads};

/// How much is read at once.
const READ_BYTES: usize = 256 << 10;
/// How much is read at once of a file that still grows: there may be hundreds of readers.
const TAIL_BYTES: usize = 64 << 10;
/// How much is digested and written at once.
const WRITE_BYTES: usize = 512 << 10;

/// How many pieces are digested and written at a time. More would not be faster, but would keep the
/// processors from answering anybody else.
const HANDS: usize = 8;

/// Everything but the writer: it lives as long as anybody reads or stages bytes.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) folder: Folder,
    pub(super) readers: Readers,
    pub(super) pins: Arc<Pins>,
    pub(super) snapshots: Snapshots,
    pub(super) copies: Copies,
    pub(super) holds: Holds,
    /// How often this process went back to a snapshot.
    pub(super) restores: AtomicU64,
    /// What readers have found broken.
    pub(super) damage: damage::Found,
    /// Which reads are verified.
    pub(super) sampler: Sampler,
    pub(super) reading: Arc<Pool>,
    pub(super) tailing: Arc<Pool>,
    pub(super) writing: Arc<Pool>,
    /// Taken for each piece of a body that is digested and written.
    pub(super) hands: Arc<Semaphore>,
}

impl Shared {
    /// The shared parts of a store whose index is at the sequence number `committed`. Of the memory
    /// for bodies half is for those that come, and half for those that go.
    pub(super) fn new(
        folder: Folder,
        snapshots: Snapshots,
        committed: u64,
        verify_reads: VerifyReads,
        buffers_max_bytes: usize,
    ) -> Arc<Self> {
        let (incoming, outgoing) = (Budget::new(buffers_max_bytes / 2), Budget::new(buffers_max_bytes / 2));
        Arc::new(Self {
            readers: Readers::new(folder.index()),
            folder,
            pins: Pins::new(committed),
            snapshots,
            copies: Copies::default(),
            holds: Holds::default(),
            restores: AtomicU64::new(0),
            damage: damage::Found::default(),
            sampler: Sampler::new(verify_reads),
            reading: Pool::new(READ_BYTES, 8, &outgoing),
            tailing: Pool::new(TAIL_BYTES, 16, &outgoing),
            hands: Arc::new(Semaphore::new(HANDS)),
            writing: Pool::new(WRITE_BYTES, 8, &incoming),
        })
    }
}
