//! `/-/api/v1/scrub`: blobs are read again and compared with what was written, a second at a time.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::api::Position;
use super::refusal::Refusal;
use super::response;
use crate::model::SnapshotName;
use crate::protocol::request::Response;
use crate::store::{self, Problem, Store};

/// `POST /-/api/v1/scrub`: reads blobs again for about a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrubOn {
    /// Where to go on: `next` of the step before; the beginning without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ScrubPosition>,
    /// Bytes a second that are read at most.
    pub rate: u64,
}

/// Where a scrub goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrubPosition {
    /// In this snapshot, or in the present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotName>,
    /// Behind this blob.
    pub after: i64,
}

/// What a step of a scrub came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrubbed {
    /// Blobs that were read.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is broken.
    pub findings: Vec<ScrubFinding>,
    /// Where the next step begins; without it there is none.
    pub next: Option<ScrubPosition>,
    /// What there is to read in the present, said by the first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<ScrubTotals>,
}

/// What there is to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubTotals {
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A blob that is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubFinding {
    /// What is wrong.
    pub finding: ScrubProblem,
    /// Its file below the data folder, or its row.
    pub blob: String,
    /// The same for people.
    pub message: String,
    /// The snapshot that needs it, where the present does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotName>,
    /// Objects that need it, the first ten.
    pub objects: Vec<Position>,
}

/// What is wrong with a blob, in the words of `fsck`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScrubProblem {
    /// Its file is gone.
    MissingFile,
    /// It has more or fewer bytes than were written.
    WrongSize,
    /// It has other bytes than were written.
    WrongDigest,
    /// It cannot be read.
    Unreadable,
}

/// One step. The first one says how much there is.
pub(super) async fn step(store: &Store, on: ScrubOn) -> Result<Response, Refusal> {
    if on.rate == 0 {
        return Err(Refusal::Malformed("rate is the bytes a second that are read, at least 1".to_owned()));
    }
    let totals = if on.from.is_none() {
        let (blobs, bytes) = store.scrub_totals().await?;
        Some(ScrubTotals { blobs, bytes })
    } else {
        None
    };
    let from = on.from.map(|from| store::ScrubPosition { snapshot: from.snapshot, after: from.after });
    let done = store.scrub(from.unwrap_or_default(), on.rate).await?;
    let next = done.next.map(|next| ScrubPosition { snapshot: next.snapshot, after: next.after });
    let findings = done.findings.into_iter().map(finding).collect();
    let scrubbed = Scrubbed { blobs: done.blobs, bytes: done.bytes, findings, next, totals };
    Ok(response::json(StatusCode::OK, &scrubbed))
}

fn finding(found: store::ScrubFinding) -> ScrubFinding {
    let position =
        |(bucket, key): (_, crate::model::ObjectKey)| Position { bucket, key: key.as_str().to_owned() };
    ScrubFinding {
        finding: match found.problem {
            Problem::Missing => ScrubProblem::MissingFile,
            Problem::WrongSize => ScrubProblem::WrongSize,
            Problem::WrongDigest => ScrubProblem::WrongDigest,
            Problem::Unreadable => ScrubProblem::Unreadable,
        },
        blob: found.blob,
        message: found.message,
        snapshot: found.snapshot,
        objects: found.objects.into_iter().map(position).collect(),
    }
}
