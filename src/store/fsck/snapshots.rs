//! Every snapshot: its index like the present's, and that its blobs are there.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rusqlite::{Connection, OpenFlags};

use super::{Error, Finding, Progress, Run};
use crate::model::SnapshotName;
use crate::store::snapshot::{COUNT_AGAIN, Kept};

/// Checks all snapshots. Gives the files whose rows were removed from one of them.
pub(super) fn check_all(
    run: &mut Run<'_>,
    snapshots: &Kept,
    progress: &mut impl FnMut(Progress),
) -> Result<BTreeSet<PathBuf>, Error> {
    let mut remove = BTreeSet::new();
    for (name, outcome) in snapshots.all() {
        match outcome {
            Ok(path) => remove.extend(check(run, &name, &path, progress)?),
            Err(reason) => run.noted(Finding::BadSnapshot { snapshot: name, reason }, false),
        }
    }
    Ok(remove)
}

fn check(
    run: &mut Run<'_>,
    name: &SnapshotName,
    path: &std::path::Path,
    progress: &mut impl FnMut(Progress),
) -> Result<BTreeSet<PathBuf>, Error> {
    let access =
        if run.check.repair { OpenFlags::SQLITE_OPEN_READ_WRITE } else { OpenFlags::SQLITE_OPEN_READ_ONLY };
    let mut connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.execute_batch("PRAGMA temp_store = MEMORY")?;
    let transaction = connection.transaction()?;
    let (folder, check, findings) = (run.folder, run.check, run.report.findings.len());
    let objects = run.report.objects;
    let mut inner = Run {
        folder,
        connection: &transaction,
        check,
        snapshot: Some(name),
        seen: &mut *run.seen,
        report: &mut *run.report,
    };
    let remove = inner.state(progress)?;
    // Its objects are the present's, or were.
    run.report.objects = objects;
    if check.repair && run.report.findings.len() > findings {
        transaction.execute(COUNT_AGAIN, [])?;
        transaction.commit()?;
    }
    Ok(remove)
}
