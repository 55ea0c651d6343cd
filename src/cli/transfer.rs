//! What `fork`, `export` and `import` share: the snapshot that they work on, and how far they are.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::{Duration, Instant};

use http::Method;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::failure::{Failure, complain};
use super::flags;
use super::stage::{self, Payload, Stage, of_stage};
use crate::admin::api::{DeletedSnapshot, NewSnapshot, Snapshot, Snapshots};
use crate::config::Environment;
use crate::model::SnapshotName;
use crate::store::transfer::{Moved, Passage, Progress, is_passing};

/// Without a bar, how often a line says how far it is.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Does something with a snapshot of a data folder: the one that is named, or one of the present that
/// goes afterwards. A server that has the folder takes it. Those of transfers that were killed go too.
///
/// One that is named is found by its file alone: no server is asked, none is needed.
pub(super) fn with_snapshot<T>(
    folder: &Path,
    name: Option<&SnapshotName>,
    target: &flags::Target,
    environment: &Environment,
    work: impl FnOnce(&SnapshotName) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if let Some(name) = name {
        return work(name);
    }
    if !folder.join("index.sqlite").is_file() {
        return Err(Failure::Usage(format!(
            "{} holds no index: it is not the data folder of an understudy",
            folder.display()
        )));
    }
    let mut passage = Passage::begin(folder)?;
    let name = Passage::new_name()?;
    stage::with(target, environment, async |stage, _| {
        if passage.is_alone() {
            delete_abandoned(stage).await?;
            passage.admit()?;
        }
        let new = NewSnapshot { name: name.clone() };
        let taken: Snapshot = stage.post(&of_stage("snapshots", &[]), &new).await?;
        let done = work(&taken.name);
        if let Err(failure) = delete(stage, &taken.name).await {
            complain(&format!(
                "understudy: the snapshot {} could not be deleted, the next transfer or start will: {failure}",
                taken.name
            ));
        }
        done
    })
}

/// Deletes the snapshots of transfers that were killed.
async fn delete_abandoned(stage: &Stage) -> Result<(), Failure> {
    let found: Snapshots = stage.get(&of_stage("snapshots", &[])).await?;
    for snapshot in found.snapshots.iter().filter(|snapshot| is_passing(&snapshot.name)) {
        delete(stage, &snapshot.name).await?;
    }
    Ok(())
}

async fn delete(stage: &Stage, name: &SnapshotName) -> Result<(), Failure> {
    let path = of_stage(&format!("snapshots/{name}"), &[]);
    stage.ask::<DeletedSnapshot>(Method::DELETE, &path, Payload::Nothing).await.map(drop)
}

/// Tells how far it is: a bar on a terminal, lines elsewhere.
pub(super) struct Teller {
    bar: Option<ProgressBar>,
    last: Instant,
}

impl Teller {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
                .map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
        });
        Self { bar, last: Instant::now() }
    }

    pub(super) fn tell(&mut self, progress: Progress) {
        if let Some(bar) = &self.bar {
            bar.set_length(progress.bytes_total);
            bar.set_position(progress.bytes);
        } else if self.last.elapsed() >= LINE_INTERVAL {
            self.last = Instant::now();
            complain(&format!(
                "{} of {} blobs, {} of {}",
                HumanCount(progress.blobs),
                HumanCount(progress.blobs_total),
                HumanBytes(progress.bytes),
                HumanBytes(progress.bytes_total)
            ));
        }
    }

    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What was moved, for people.
pub(super) fn told(moved: &Moved) -> String {
    format!(
        "{} objects, {} blobs with {}",
        HumanCount(moved.objects),
        HumanCount(moved.blobs),
        HumanBytes(moved.blob_bytes)
    )
}
