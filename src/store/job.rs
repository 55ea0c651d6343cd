//! What the writer is asked to do, as one closed set.

mod bounds;

use std::time::Instant;

use tokio::sync::oneshot;

use super::assembly::{self, Addition};
use super::bucket::{Bucket, NewBucket};
use super::change::Change;
use super::epoch::Pin;
use super::error::Error;
use super::hold::{Kind, ROWS_MAX};
use super::inventory::{Crawl, CrawlStep, Dropped, ImportStep, InventoryRow};
use super::object::{
    self, CacheObject, Cached, Composition, CopyObject, DeleteObject, Deleted, Eviction, Object, ObjectRef,
    PutObject, SetDigests, UpdateObject,
};
use super::setting;
use super::snapshot::{Prepared, Step, restore, step};
use super::sweep::{Due, Swept};
use super::tally::Tally;
use super::upload::{self, Completion, CopiedPart, NewUpload, Part, PutPart, Upload, UploadRef};
use crate::model::{BucketName, ObjectKey, Tags, Timestamp};

/// Where an answer goes. Whoever asked may be gone: the work is done all the same.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What each key of a deletion came to.
pub(super) type Deletions = Vec<Result<Deleted, Error>>;

/// One verb of the store, and where its answer goes.
pub(super) enum Job {
    CreateBucket(NewBucket, Reply<Bucket>),
    /// Removes a bucket that was empty as of this sequence number; answers whether it still was.
    DeleteBucket(BucketName, u64, Reply<bool>),
    PutObject(Box<PutObject>, Reply<Object>),
    CacheObject(Box<CacheObject>, Reply<Option<Object>>),
    NoteUsed(Vec<(BucketName, ObjectKey)>, Reply<()>),
    /// Removes some of the cached objects.
    Evict(Eviction, Reply<Cached>),
    Undelete(BucketName, Vec<ObjectKey>, Reply<Vec<bool>>),
    CopyObject(Box<CopyObject>, Reply<Object>),
    /// Answers with nothing if what was prepared is not there any more.
    ComposeObject(Box<Composition>, Reply<Option<Object>>),
    /// Copies within a bucket and deletes the source, with a tombstone or without.
    MoveObject(Box<CopyObject>, bool, Reply<Object>),
    SetTags(ObjectRef, Tags, Reply<()>),
    DeleteObjects(BucketName, Vec<DeleteObject>, Reply<Deletions>),
    UpdateObject(Box<UpdateObject>, Reply<Object>),
    /// Tells some copies of a content its digests; answers with the last of them if there are more.
    SetDigests(SetDigests, Reply<Option<(i64, Vec<u8>)>>),
    CreateUpload(Box<NewUpload>, Reply<Upload>),
    PutPart(Box<PutPart>, Reply<Part>),
    /// Answers with nothing if the source or what was prepared is not there any more.
    CopyPart(Box<CopiedPart>, Reply<Option<Part>>),
    /// Answers with nothing if the parts are not those of the completion any more.
    CompleteUpload(Box<Completion>, Reply<Option<Object>>),
    AbortUpload(UploadRef, Reply<()>),
    /// Begins a content that is garbage until something takes it.
    BeginContent(Reply<(i64, Pin)>),
    AddToContent(Box<Addition>, Reply<()>),
    AddInventory(BucketName, Vec<InventoryRow>, Reply<()>),
    CoverInventory(BucketName, String, Timestamp, Reply<()>),
    /// Forgets some of a prefix, and begins an import of it once nothing is left.
    BeginImport(BucketName, String, Reply<Option<u64>>),
    KeepImport(Box<ImportStep>, Reply<Option<u64>>),
    /// Removes some of an imported index.
    DropInventory(BucketName, String, Reply<Dropped>),
    KeepCrawl(Box<CrawlStep>, Reply<Crawl>),
    AddTally(Tally, Reply<()>),
    /// Keeps the names of the releases under test.
    SetUnderTest(Vec<String>, Reply<()>),
    /// Does some of what a restore needs to have been done; answers with a number that was never used.
    PrepareRestore(Step, Reply<u64>),
    /// Goes back to a snapshot.
    Restore(Box<Prepared>, Reply<()>),
    /// Removes some of the content that is garbage and due.
    Sweep(Due, Reply<Swept>),
    /// Changes nothing, but writes and commits that, so that health knows whether it can be done.
    Touch(Reply<()>),
    /// Runs SQL on the writing connection, so that tests can make it fail.
    #[cfg(test)]
    Sql(String, Reply<()>),
    /// Ends the thread.
    Close,
}

/// An answer that is held back until the group is committed.
pub(super) struct Held<T> {
    result: Result<T, Error>,
    reply: Reply<T>,
}

/// The answer to a job.
pub(super) enum Answer {
    Nothing(Held<()>),
    Bucket(Held<Bucket>),
    Object(Held<Object>),
    Kept(Held<Option<Object>>),
    Evicted(Held<Cached>),
    Undeleted(Held<Vec<bool>>),
    Deletions(Held<Deletions>),
    Upload(Held<Upload>),
    Part(Held<Part>),
    CopiedPart(Held<Option<Part>>),
    Begun(Held<(i64, Pin)>),
    Copies(Held<Option<(i64, Vec<u8>)>>),
    Flag(Held<bool>),
    Dropped(Held<Dropped>),
    Crawl(Held<Crawl>),
    Import(Held<Option<u64>>),
    Swept(Held<Swept>),
    Number(Held<u64>),
    /// `Close` has none.
    None,
}

impl Job {
    /// Does the work, if the group's transaction could be begun.
    #[expect(clippy::too_many_lines, reason = "a line for each verb, and nothing else")]
    pub(super) fn run(self, change: &mut Change, begun: &Result<(), Error>) -> Answer {
        use super::{bucket, inventory};
        let mut run = Run { change, begun, kind: self.kind(), rows: self.rows() };
        match self {
            Self::CreateBucket(new, reply) => {
                Answer::Bucket(run.held(reply, |change| bucket::create(change, new)))
            }
            Self::DeleteBucket(name, looked, reply) => {
                Answer::Flag(run.held(reply, |change| bucket::finish_delete(change, &name, looked)))
            }
            Self::PutObject(put, reply) => {
                Answer::Object(run.held(reply, |change| object::put(change, *put)))
            }
            Self::CacheObject(cache, reply) => {
                Answer::Kept(run.held(reply, |change| object::cache(change, *cache)))
            }
            Self::NoteUsed(used, reply) => {
                Answer::Nothing(run.held(reply, |change| object::note_used(change, &used)))
            }
            Self::Evict(eviction, reply) => {
                Answer::Evicted(run.held(reply, |change| object::evict(change, eviction)))
            }
            Self::Undelete(bucket, keys, reply) => {
                Answer::Undeleted(run.held(reply, |change| object::undelete(change, &bucket, &keys)))
            }
            Self::CopyObject(copy, reply) => {
                Answer::Object(run.held(reply, |change| object::copy(change, *copy)))
            }
            Self::ComposeObject(composition, reply) => {
                Answer::Kept(run.held(reply, |change| object::finish_composition(change, *composition)))
            }
            Self::MoveObject(renamed, tombstone, reply) => {
                Answer::Object(run.held(reply, |change| object::rename(change, *renamed, tombstone)))
            }
            Self::SetTags(object, tags, reply) => {
                Answer::Nothing(run.held(reply, |change| object::set_tags(change, object, &tags)))
            }
            Self::DeleteObjects(bucket, deletes, reply) => {
                Answer::Deletions(run.held(reply, |change| object::delete(change, &bucket, &deletes)))
            }
            Self::UpdateObject(update, reply) => {
                Answer::Object(run.held(reply, |change| object::update(change, &update)))
            }
            Self::SetDigests(set, reply) => {
                Answer::Copies(run.held(reply, |change| object::set_digests(change, &set)))
            }
            Self::CreateUpload(new, reply) => {
                Answer::Upload(run.held(reply, |change| upload::create(change, *new)))
            }
            Self::PutPart(part, reply) => {
                Answer::Part(run.held(reply, |change| upload::put_part(change, *part)))
            }
            Self::CopyPart(copied, reply) => {
                Answer::CopiedPart(run.held(reply, |change| upload::finish_copy(change, *copied)))
            }
            Self::CompleteUpload(completion, reply) => {
                Answer::Kept(run.held(reply, |change| upload::finish(change, *completion)))
            }
            Self::BeginContent(reply) => Answer::Begun(run.held(reply, assembly::begin)),
            Self::AddToContent(addition, reply) => {
                Answer::Nothing(run.held(reply, |change| assembly::add(change, *addition)))
            }
            Self::AbortUpload(upload, reply) => {
                Answer::Nothing(run.held(reply, |change| upload::abort(change, &upload)))
            }
            Self::AddInventory(bucket, rows, reply) => {
                Answer::Nothing(run.held(reply, |change| inventory::add(change, &bucket, rows)))
            }
            Self::CoverInventory(bucket, prefix, taken, reply) => {
                let work = |change: &mut Change| inventory::cover(change, &bucket, &prefix, taken);
                Answer::Nothing(run.held(reply, work))
            }
            Self::BeginImport(bucket, prefix, reply) => {
                Answer::Import(run.held(reply, |change| inventory::begin_import(change, &bucket, &prefix)))
            }
            Self::KeepImport(step, reply) => {
                Answer::Import(run.held(reply, |change| inventory::import(change, *step)))
            }
            Self::DropInventory(bucket, prefix, reply) => {
                Answer::Dropped(run.held(reply, |change| inventory::drop_part(change, &bucket, &prefix)))
            }
            Self::KeepCrawl(step, reply) => {
                Answer::Crawl(run.held(reply, |change| inventory::keep(change, *step)))
            }
            Self::AddTally(tally, reply) => Answer::Nothing(run.held(reply, |change| {
                change.gather(tally);
                Ok(())
            })),
            Self::SetUnderTest(names, reply) => {
                Answer::Nothing(run.held(reply, |change| setting::set_under_test(change, &names)))
            }
            Self::PrepareRestore(work @ Step::Contents(..), reply) => {
                Answer::Number(run.held_alone(reply, |change| step(change, work)))
            }
            Self::PrepareRestore(work, reply) => Answer::Number(run.held(reply, |change| step(change, work))),
            Self::Restore(prepared, reply) => {
                Answer::Nothing(run.held_alone(reply, |change| restore(change, &prepared)))
            }
            Self::Sweep(due, reply) => Answer::Swept(run.held(reply, |change| change.sweep(due))),
            Self::Touch(reply) => Answer::Nothing(run.held(reply, Change::touch)),
            #[cfg(test)]
            Self::Sql(sql, reply) => Answer::Nothing(
                run.held(reply, |change| change.connection().execute_batch(&sql).map_err(Error::from)),
            ),
            Self::Close => Answer::None,
        }
    }
}

struct Run<'a> {
    change: &'a mut Change,
    begun: &'a Result<(), Error>,
    kind: Kind,
    /// How many rows the job says it changes at most.
    rows: usize,
}

impl Run<'_> {
    fn held<T>(&mut self, reply: Reply<T>, job: impl FnOnce(&mut Change) -> Result<T, Error>) -> Held<T> {
        self.noted(reply, |change| change.attempt(job))
    }

    /// The same for a job that [is alone](Job::is_alone).
    fn held_alone<T>(
        &mut self,
        reply: Reply<T>,
        job: impl FnOnce(&mut Change) -> Result<T, Error>,
    ) -> Held<T> {
        self.noted(reply, |change| change.alone(job))
    }

    fn noted<T>(&mut self, reply: Reply<T>, job: impl FnOnce(&mut Change) -> Result<T, Error>) -> Held<T> {
        let (begun, rows) = (Instant::now(), self.change.rows_changed());
        let result = match self.begun {
            Ok(()) => job(self.change),
            Err(error) => Err(error.clone()),
        };
        self.change.note_hold(self.kind, begun.elapsed());
        self.check_rows(self.change.rows_changed() - rows);
        Held { result, reply }
    }

    /// Every test of the store is also one of this: no job changes more rows than it said, and none that
    /// a client can ask for may say more than a transaction has room for.
    fn check_rows(&self, changed: u64) {
        if cfg!(test) {
            let (kind, said) = (self.kind, self.rows);
            assert!(
                kind.is_administrative() || said <= ROWS_MAX,
                "{kind:?} says that it changes {said} rows"
            );
            assert!(changed <= said as u64, "{kind:?} changed {changed} rows and said {said}");
        }
    }
}

impl Answer {
    /// Answers, now that it is known how the commit went.
    pub(super) fn send(self, committed: &Result<(), Error>) {
        match self {
            Self::Nothing(held) => held.send(committed),
            Self::Bucket(held) => held.send(committed),
            Self::Object(held) => held.send(committed),
            Self::Kept(held) => held.send(committed),
            Self::Evicted(held) => held.send(committed),
            Self::Undeleted(held) => held.send(committed),
            Self::Deletions(held) => held.send(committed),
            Self::Upload(held) => held.send(committed),
            Self::Part(held) => held.send(committed),
            Self::CopiedPart(held) => held.send(committed),
            Self::Begun(held) => held.send(committed),
            Self::Copies(held) => held.send(committed),
            Self::Flag(held) => held.send(committed),
            Self::Dropped(held) => held.send(committed),
            Self::Crawl(held) => held.send(committed),
            Self::Import(held) => held.send(committed),
            Self::Swept(held) => held.send(committed),
            Self::Number(held) => held.send(committed),
            Self::None => {}
        }
    }
}

impl<T> Held<T> {
    fn send(self, committed: &Result<(), Error>) {
        // A refusal may rest on what another job of the group did, so it falls with the group.
        let answer = match committed {
            Ok(()) => self.result,
            Err(error) => Err(error.clone()),
        };
        drop(self.reply.send(answer));
    }
}
