//! `/-/api/v1/scrub`: blobs are read again and compared with what was written, a second at a time.

use http::StatusCode;

use super::api::{Position, ScrubFinding, ScrubOn, ScrubPosition, ScrubProblem, ScrubTotals, Scrubbed};
use super::refusal::Refusal;
use super::response;
use crate::protocol::request::Response;
use crate::store::{self, Problem, Store};

/// One step. The first one says how much there is.
pub(super) async fn step(store: &Store, on: ScrubOn) -> Result<Response, Refusal> {
    if on.rate == 0 {
        return Err(Refusal::Malformed("rate is the bytes a second that are read, at least 1".to_owned()));
    }
    let totals = match &on.from {
        Some(_) => None,
        None => {
            let (blobs, bytes) = store.scrub_totals().await?;
            Some(ScrubTotals { blobs, bytes })
        }
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
