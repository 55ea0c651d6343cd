//! What the stage itself was told: the names of the releases under test.
//!
//! It is in the index, so that forks, exports and snapshots carry it. A restore leaves it as it is: the
//! release under test is whose rehearsal this is, and not a part of the content that is taken back.
//! What a name means is not known here.

use super::Store;
use super::change::{Change, find};
use super::error::Error;
use super::job::Job;
use super::statement;

/// The name of the row.
const UNDER_TEST: &str = "under_test";
/// Between the names of releases. None has one in it.
const SEPARATOR: char = ',';

impl Store {
    /// The releases under test that the stage keeps, by name; empty if it was told none.
    pub fn under_test(&self) -> Result<Vec<String>, Error> {
        let read = |row: &rusqlite::Row<'_>| Ok(row.get::<_, String>(0)?);
        let kept = self
            .0
            .shared
            .readers
            .read(|connection| find(connection, statement::READ_STAGE_SETTING, [UNDER_TEST], read))?;
        Ok(kept
            .unwrap_or_default()
            .split(SEPARATOR)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect())
    }

    /// Keeps these names in the place of those before; none forgets them.
    pub async fn set_under_test(&self, names: Vec<String>) -> Result<(), Error> {
        self.0.writer.ask(|reply| Job::SetUnderTest(names, reply)).await
    }
}

/// Runs inside the write transaction.
pub(super) fn set_under_test(change: &mut Change, names: &[String]) -> Result<(), Error> {
    if names.is_empty() {
        return change.execute(statement::DELETE_STAGE_SETTING, [UNDER_TEST]).map(drop);
    }
    let value = names.join(&SEPARATOR.to_string());
    change.execute(statement::WRITE_STAGE_SETTING, [UNDER_TEST, &value]).map(drop)
}
