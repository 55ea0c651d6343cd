//! Brings an index up to date: the files in `schema/`, counted by `user_version`.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::OpenError;

/// The steps, in order. A step that was ever released is never edited.
pub(super) const STEPS: &[&str] = &[
    include_str!("../../schema/0001_start.sql"),
    include_str!("../../schema/0002_metadata_and_sessions.sql"),
    include_str!("../../schema/0003_view_of_production.sql"),
    include_str!("../../schema/0004_snapshots.sql"),
    include_str!("../../schema/0005_tally.sql"),
    include_str!("../../schema/0006_identity.sql"),
    include_str!("../../schema/0007_what_is_gone.sql"),
    include_str!("../../schema/0008_stage_setting.sql"),
];

/// Applies the steps that an index does not have yet, each in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection, folder: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Index { folder: folder.to_owned(), source };
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(OpenError::TooNew { folder: folder.to_owned(), found, known });
    }
    for (version, step) in (1_u32..).zip(STEPS).skip_while(|(version, _)| *version <= found) {
        apply(connection, version, step).map_err(failed)?;
    }
    Ok(())
}

fn apply(connection: &mut Connection, version: u32, step: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(step)?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}
