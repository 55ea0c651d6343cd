//! The write transaction: what a job may use while it runs, and how a group of jobs ends.

mod log;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension as _, Params, Row};

use super::blob::BlobFile;
use super::epoch::Pin;
use super::error::Error;
use super::folder::NAMES_AHEAD;
use super::hold::Kind;
use super::mark::Mark;
use super::open::copy_whole_log;
use super::shared::Shared;
use super::statement;
use super::sweep::{self, Due, Swept};
use super::tally::{self, Counted, Tally};
use super::writer::Settings;
use crate::model::{Owner, Timestamp};

/// The writing connection and the transaction of the group in work.
pub(super) struct Change {
    connection: Connection,
    shared: Arc<Shared>,
    settings: Settings,
    /// The last sequence number that was given out.
    sequence: u64,
    /// The last one that is on disk.
    committed: u64,
    mark: Mark,
    /// How many rows had been changed when the group began.
    changes: u64,
    /// How many names of files the index knows that this process may give out.
    names: u64,
    /// When the first content that this group gave up became garbage.
    garbage: Option<u64>,
    /// Behind which sequence number a bucket was last written to, and all were by going back to a snapshot.
    written: HashMap<i64, u64>,
    restored: u64,
    /// What the group has counted, and which upstream each was about.
    counted: Vec<(Counted, String, u64 /* bytes */)>,
    /// What was gathered elsewhere and comes with the group.
    gathered: Tally,
    /// Why the transaction cannot go on: SQLite ends it by itself when the disk is full.
    broken: Option<Error>,
    /// Databases that are attached and not needed any more.
    attached: &'static [&'static str],
    /// Files that the group's rows name.
    placed: Vec<BlobFile>,
    /// Files of groups whose commit failed. Whether their rows would come back after a crash is
    /// certain only after the next commit, so they wait for it.
    doubtful: Vec<BlobFile>,
}

impl Change {
    /// The writing connection of a store.
    pub(super) fn new(connection: Connection, shared: Arc<Shared>, settings: Settings, mark: Mark) -> Self {
        Self {
            connection,
            shared,
            settings,
            sequence: settings.sequence,
            committed: settings.sequence,
            mark,
            changes: 0,
            names: NAMES_AHEAD,
            garbage: None,
            written: HashMap::new(),
            restored: 0,
            counted: Vec::new(),
            gathered: Tally::default(),
            broken: None,
            attached: &[],
            placed: Vec::new(),
            doubtful: Vec::new(),
        }
    }

    /// Makes room for a group that gives room back.
    pub(super) fn make_way(&self) {
        self.shared.folder.make_way(0);
    }

    /// A group that gives room back found none all the same: the next one shall.
    pub(super) fn give_up_ballast(&self) {
        self.shared.folder.give_up_ballast();
    }

    /// Writes what is there already, and nothing else.
    pub(super) fn touch(&mut self) -> Result<(), Error> {
        self.execute(statement::WRITE_SEQUENCE, [i64_of(self.sequence)]).map(drop)
    }

    /// Begins a group.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        self.garbage = None;
        self.counted.clear();
        self.gathered = Tally::default();
        self.broken = None;
        self.changes = self.connection.total_changes();
        self.execute(statement::BEGIN, []).map(drop).map_err(|error| self.shared.folder.explain_index(error))
    }

    /// Runs one job. If it fails, nothing that it did remains.
    pub(super) fn attempt<T>(&mut self, job: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let (placed, counted) = (self.placed.len(), self.counted.len());
        let done = self.execute(statement::SAVEPOINT, []).and_then(|_| {
            let done = job(self)?;
            self.execute(statement::RELEASE, [])?;
            Ok(done)
        });
        done.map_err(|error| {
            let error = self.shared.folder.explain_index(error);
            self.placed.truncate(placed);
            self.counted.truncate(counted);
            if self.roll_back_job().is_err() {
                self.broken = Some(error.clone());
            }
            error
        })
    }

    /// Runs a job that is alone in its group, without a savepoint of its own: if it fails, so does the
    /// group.
    pub(super) fn alone<T>(&mut self, job: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        job(self).map_err(|error| {
            let error = self.shared.folder.explain_index(error);
            self.broken = Some(error.clone());
            error
        })
    }

    fn roll_back_job(&mut self) -> Result<(), Error> {
        self.execute(statement::ROLLBACK_TO, [])?;
        self.execute(statement::RELEASE, []).map(drop)
    }

    /// Ends a group: everything that its jobs did is on disk now, or nothing is.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        let outcome = match self.broken.take() {
            Some(error) => Err(error),
            None => self.write_commit().map_err(|error| self.shared.folder.explain_index(error)),
        };
        if outcome.is_ok() {
            self.placed.drain(..).for_each(BlobFile::keep);
            self.doubtful.clear();
            self.committed = self.sequence;
            self.shared.pins.committed(self.committed, self.garbage);
        } else {
            self.doubtful.append(&mut self.placed);
            if !self.connection.is_autocommit() {
                // If even this fails, the next BEGIN says so.
                drop(self.execute(statement::ROLLBACK, []));
            }
        }
        self.detach();
        outcome
    }

    /// These attached databases are not needed once the group has ended: within it they are in use.
    pub(super) fn detach_later(&mut self, names: &'static [&'static str]) {
        self.attached = names;
    }

    fn detach(&mut self) {
        for name in std::mem::take(&mut self.attached) {
            // One that is not attached is no harm, and any other trouble is told to who attaches it again.
            drop(self.connection.execute_batch(&format!("DETACH {name}")));
        }
    }

    fn write_commit(&mut self) -> Result<(), Error> {
        let mut tally = std::mem::take(&mut self.gathered);
        for (counted, upstream, bytes) in self.counted.drain(..) {
            tally.count(counted, &upstream, bytes);
        }
        tally::write(self, &tally)?;
        if self.sequence != self.committed {
            self.execute(statement::WRITE_SEQUENCE, [i64_of(self.sequence)])?;
        }
        let names = self.extend_run()?;
        let is_changed = self.connection.total_changes() != self.changes;
        let commits = self.mark.commits() + u64::from(is_changed);
        if is_changed {
            self.execute(statement::WRITE_COMMITS, [i64_of(commits)])?;
        }
        self.execute(statement::COMMIT, [])?;
        self.names = names;
        if is_changed {
            self.mark.committed(commits, self.sequence);
        }
        #[cfg(test)]
        self.shared.folder.note_event(super::folder::Event::Commit);
        Ok(())
    }

    /// Has the index know some names more than were given out. Gives how many it knows then.
    fn extend_run(&mut self) -> Result<u64, Error> {
        let given = self.shared.folder.names_given();
        if given + NAMES_AHEAD / 2 <= self.names {
            return Ok(self.names);
        }
        let names = given + NAMES_AHEAD;
        let folder = &self.shared.folder;
        execute(&self.connection, statement::EXTEND_RUN, [folder.run(), &folder.name_behind(names - 1)])?;
        Ok(names)
    }

    /// Closes the index in order. If it fails on the way, the mark goes on saying that the log is needed.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.begin()?;
        let folder = &self.shared.folder;
        let ended = match folder.names_given().checked_sub(1) {
            Some(last) => {
                execute(&self.connection, statement::EXTEND_RUN, [folder.run(), &folder.name_behind(last)])
            }
            None => execute(&self.connection, statement::END_RUN, [folder.run()]),
        };
        // What is given out from here on is of no use to anybody.
        self.names = u64::MAX;
        self.broken = ended.err();
        self.commit()?;
        self.connection.busy_timeout(Duration::ZERO)?;
        if copy_whole_log(&self.connection)? {
            self.mark.shut();
            self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        }
        Ok(())
    }

    /// How often the store went back to a snapshot.
    pub(super) fn restores(&self) -> u64 {
        self.shared.restores.load(Ordering::Acquire)
    }

    /// The store goes back to a snapshot. If the commit fails, it has counted once too often, which costs
    /// what is being fetched.
    pub(super) fn count_restore(&mut self) {
        self.restored = self.sequence + 1;
        self.shared.restores.fetch_add(1, Ordering::AcqRel);
    }

    /// No number up to this one is given out from here on.
    pub(super) fn raise_sequence(&mut self, used: u64) {
        self.sequence = self.sequence.max(used);
    }

    /// A sequence number that was never used.
    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// The time of the change.
    pub(super) fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    /// Counts what a job does, if it succeeds and its group is committed.
    pub(super) fn count(&mut self, counted: Counted, bytes: u64) {
        self.counted.push((counted, String::new(), bytes));
    }

    /// The same for what is about an upstream.
    pub(super) fn count_of(&mut self, counted: Counted, upstream: String, bytes: u64) {
        self.counted.push((counted, upstream, bytes));
    }

    /// Takes counts along that were gathered elsewhere.
    pub(super) fn gather(&mut self, tally: Tally) {
        self.gathered.merge(tally);
    }

    /// A row of this change names the file: it stays if the change is committed.
    pub(super) fn place(&mut self, file: BlobFile) {
        self.placed.push(file);
    }

    /// Something became garbage at `sequence`.
    pub(super) fn note_garbage(&mut self, sequence: u64) {
        self.garbage.get_or_insert(sequence);
    }

    /// An object of a bucket was written, or is a client's from here on.
    pub(super) fn note_written(&mut self, bucket_id: i64) {
        // Behind all that a reader may have seen before, also where the change has no number of its own.
        self.written.insert(bucket_id, self.sequence + 1);
    }

    /// Who has seen a bucket as of this sequence number or a later one has seen all that was written to it.
    pub(super) fn last_written(&self, bucket_id: i64) -> u64 {
        self.written.get(&bucket_id).copied().unwrap_or(0).max(self.restored)
    }

    /// A pin of a content that is about to be written.
    pub(super) fn pin_content(&self, content_id: i64) -> Pin {
        self.shared.pins.pin_content(content_id)
    }

    /// Removes some of what ended, or else contents that are due, unless a reader holds them.
    pub(super) fn sweep(&mut self, due: Due) -> Result<Swept, Error> {
        if sweep::give_up_gone(self)? {
            return Ok(Swept { more: true, after: due.after, ..Swept::default() });
        }
        sweep::collect(&self.connection, due, |content_id| self.shared.pins.hold(content_id))
    }

    /// How many rows this connection has changed so far.
    pub(super) fn rows_changed(&self) -> u64 {
        self.connection.total_changes()
    }

    /// Administrative work begins, or has come to its end.
    pub(super) fn note_long_work(&self, begins: bool) {
        if begins { self.shared.holds.begin_long_work() } else { self.shared.holds.end_long_work() }
    }

    /// Notes that the writer was held.
    pub(super) fn note_hold(&self, by: Kind, time: Duration) {
        self.shared.holds.note(by, time);
    }

    /// The row of an owner, which is made if need be.
    pub(super) fn owner_id(&mut self, owner: &Owner) -> Result<i64, Error> {
        let names = [&owner.id, &owner.display_name];
        if let Some(id) = self.find(statement::FIND_OWNER, names, |row| Ok(row.get(0)?))? {
            return Ok(id);
        }
        let mut insert = self.connection.prepare_cached(statement::INSERT_OWNER)?;
        Ok(insert.query_row(names, |row| row.get(0))?)
    }

    /// Runs a statement and says how many rows it changed.
    pub(super) fn execute(&mut self, sql: &'static str, params: impl Params) -> Result<usize, Error> {
        execute(&self.connection, sql, params)
    }

    /// The first row of a statement.
    pub(super) fn find<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        find(&self.connection, sql, params, read)
    }

    /// The connection, for the functions that reading connections share.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Runs a statement and says how many rows it changed.
pub(super) fn execute(
    connection: &Connection,
    sql: &'static str,
    params: impl Params,
) -> Result<usize, Error> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}

/// The first row of a statement.
pub(super) fn find<T>(
    connection: &Connection,
    sql: &'static str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row(params, |row| Ok(read(row))).optional()?;
    found.transpose()
}

/// Numbers of the store stay far below 2^63.
pub(super) fn i64_of(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
