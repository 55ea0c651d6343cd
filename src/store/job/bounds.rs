//! What each job is called, how much it changes and brings along at most, and what it may share its
//! transaction with.

use super::Job;
use crate::store::hold::{Kind, ROWS_MAX};
use crate::store::snapshot::Step;
use crate::store::{object, sweep, upload};

impl Job {
    /// What it is called where it is noted how long it held the writer.
    pub(in crate::store) fn kind(&self) -> Kind {
        match self {
            Self::CreateBucket(..) => Kind::CreateBucket,
            Self::DeleteBucket(..) => Kind::DeleteBucket,
            Self::PutObject(..) => Kind::PutObject,
            Self::CacheObject(..) => Kind::CacheObject,
            Self::NoteUsed(..) => Kind::NoteUsed,
            Self::Evict(..) => Kind::Evict,
            Self::Undelete(..) => Kind::Undelete,
            Self::CopyObject(..) => Kind::CopyObject,
            Self::ComposeObject(..) => Kind::ComposeObject,
            Self::MoveObject(..) => Kind::MoveObject,
            Self::SetTags(..) => Kind::SetTags,
            Self::DeleteObjects(..) => Kind::DeleteObjects,
            Self::UpdateObject(..) => Kind::UpdateObject,
            Self::SetDigests(..) => Kind::SetDigests,
            Self::CreateUpload(..) => Kind::CreateUpload,
            Self::PutPart(..) => Kind::PutPart,
            Self::CopyPart(..) => Kind::CopyPart,
            Self::CompleteUpload(..) => Kind::CompleteUpload,
            Self::AbortUpload(..) => Kind::AbortUpload,
            Self::BeginContent(..) => Kind::BeginContent,
            Self::AddToContent(..) => Kind::AddToContent,
            Self::AddInventory(..) => Kind::AddInventory,
            Self::CoverInventory(..) => Kind::CoverInventory,
            Self::BeginImport(..) => Kind::BeginImport,
            // The last step of an import removes the covers that it makes needless.
            Self::KeepImport(step, _) if step.taken.is_some() => Kind::CoverInventory,
            Self::KeepImport(..) => Kind::KeepImport,
            Self::DropInventory(..) => Kind::DropInventory,
            Self::KeepCrawl(..) => Kind::KeepCrawl,
            Self::AddTally(..) => Kind::AddTally,
            Self::PrepareRestore(..) => Kind::PrepareRestore,
            Self::Restore(..) => Kind::Restore,
            Self::Sweep(..) => Kind::Sweep,
            Self::Touch(..) | Self::Close => Kind::Other,
            #[cfg(test)]
            Self::Sql(..) => Kind::Other,
        }
    }

    /// How many rows it changes at most, those included that are noted for a restore under way. At most
    /// [`ROWS_MAX`], unless it is [administrative](Kind::is_administrative); the tests see to it.
    pub(in crate::store) fn rows(&self) -> usize {
        match self {
            Self::CreateBucket(..) | Self::SetTags(..) | Self::UpdateObject(..) | Self::CreateUpload(..) => 4,
            Self::DeleteBucket(..) | Self::AbortUpload(..) => 16,
            Self::PutObject(..) | Self::CacheObject(..) => object::REPLACED_ROWS + 2,
            Self::CopyObject(..) => object::REPLACED_ROWS,
            Self::MoveObject(..) => object::REPLACED_ROWS + object::DELETED_ROWS,
            Self::NoteUsed(used, _) => used.len() * 2,
            Self::Evict(..) => object::EVICTED_AT_ONCE * 3,
            Self::Undelete(_, keys, _) => keys.len() * 2,
            Self::ComposeObject(composition, _) => composition.rows(),
            Self::DeleteObjects(_, deletes, _) => deletes.len() * object::DELETED_ROWS,
            Self::SetDigests(..) => object::DIGESTS_AT_ONCE * 2,
            Self::PutPart(..) => upload::PART_ROWS,
            Self::CopyPart(copied, _) => copied.rows(),
            Self::CompleteUpload(completion, _) => completion.rows(),
            Self::BeginContent(..) | Self::Touch(..) => 1,
            Self::AddToContent(addition, _) => addition.rows(),
            Self::AddInventory(_, rows, _) => rows.len() * 2 + 4,
            Self::KeepImport(step, _) if step.taken.is_some() => usize::MAX,
            Self::KeepImport(step, _) => step.rows.len() * 2 + 4,
            Self::KeepCrawl(step, _) => step.rows.len() * 2 + step.done.len() + step.found.len() + 8,
            // What was gathered is few rows, and written with the commit.
            Self::AddTally(..) | Self::Close => 0,
            Self::PrepareRestore(step, _) => step.rows(),
            Self::Sweep(..) => sweep::STEP_ROWS,
            Self::CoverInventory(..)
            | Self::BeginImport(..)
            | Self::DropInventory(..)
            | Self::Restore(..) => usize::MAX,
            #[cfg(test)]
            Self::Sql(..) => usize::MAX,
        }
    }

    /// How many bytes the job brings along.
    pub(in crate::store) fn weight_bytes(&self) -> usize {
        match self {
            Self::PutObject(put, _) => put.staged.inline_bytes(),
            Self::CacheObject(cache, _) => cache.staged.inline_bytes(),
            Self::PutPart(part, _) => part.staged.inline_bytes(),
            Self::AddToContent(addition, _) => addition.inline_bytes() + addition.rows() * 256,
            Self::PrepareRestore(step, _) => step.weight_bytes(),
            Self::NoteUsed(..)
            | Self::Undelete(..)
            | Self::DeleteObjects(..)
            | Self::CompleteUpload(..)
            | Self::CopyPart(..)
            | Self::ComposeObject(..)
            | Self::AddInventory(..)
            | Self::KeepImport(..)
            | Self::KeepCrawl(..) => self.rows().saturating_mul(256),
            Self::CreateBucket(..)
            | Self::DeleteBucket(..)
            | Self::CopyObject(..)
            | Self::MoveObject(..)
            | Self::Evict(..)
            | Self::UpdateObject(..)
            | Self::SetDigests(..)
            | Self::CreateUpload(..)
            | Self::SetTags(..)
            | Self::AbortUpload(..)
            | Self::BeginContent(..)
            | Self::CoverInventory(..)
            | Self::BeginImport(..)
            | Self::DropInventory(..)
            | Self::AddTally(..)
            | Self::Restore(..)
            | Self::Sweep(..)
            | Self::Touch(..)
            | Self::Close => 0,
            #[cfg(test)]
            Self::Sql(..) => 0,
        }
    }

    /// Whether it must be the only one of its group: it may change any number of rows, and a savepoint
    /// would keep all of them in memory.
    pub(in crate::store) fn is_alone(&self) -> bool {
        // What is attached for a restore is let go when the group has ended, and not before it is
        // attached again.
        self.rows() > ROWS_MAX || matches!(self, Self::PrepareRestore(Step::Contents(..) | Step::End, _))
    }

    /// Whether it gives room back, and so must go on when the disk is full.
    pub(in crate::store) fn makes_room(&self) -> bool {
        matches!(
            self,
            Self::DeleteBucket(..)
                | Self::DeleteObjects(..)
                | Self::AbortUpload(..)
                | Self::Evict(..)
                | Self::DropInventory(..)
                | Self::Sweep(..)
        )
    }
}
