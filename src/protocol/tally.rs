//! What the receipt counts of a request: which class it belongs to. Pure.
//!
//! Deliberately elsewhere: writes, which the store counts itself, and the counters (`meter`).

use super::outcome::{Answered, Face};
use crate::store::Counted;

/// How an object was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// For its bytes.
    Download,
    /// For what is known of it.
    Question,
}

/// The class of a request; `None` for what a receipt does not tell: listings, writes that were done,
/// and what went wrong here or was wrong in itself.
pub(super) fn counted(face: Face, operation: &str, answered: Answered) -> Option<Counted> {
    let of_stage = matches!(face, Face::Dockerflow | Face::Admin);
    if of_stage {
        return None;
    }
    if answered == Answered::Refused {
        return Some(Counted::Refused);
    }
    if answered == Answered::UpstreamFailed {
        return Some(Counted::UpstreamFailed);
    }
    let read = match operation {
        "GetObject" | "storage.objects.download" => Read::Download,
        "HeadObject" | "storage.objects.get" => Read::Question,
        _ => return None,
    };
    let answered_with = |counted| Some(if read == Read::Download { counted } else { Counted::LookedUp });
    match answered {
        Answered::Local => answered_with(Counted::ReadHere),
        Answered::Cache => answered_with(Counted::ReadCached),
        Answered::Fill => answered_with(Counted::ReadFilled),
        Answered::Proxy => answered_with(Counted::ReadProxied),
        Answered::Redirect => answered_with(Counted::ReadRedirected),
        Answered::Presign => answered_with(Counted::ReadPresigned),
        Answered::Index => answered_with(Counted::LookedUp),
        Answered::Absent => Some(Counted::Absent),
        Answered::Tombstone => Some(Counted::Hidden),
        Answered::UnderTest => Some(Counted::UnderTest),
        Answered::Deny => Some(Counted::Denied),
        Answered::Refused
        | Answered::UpstreamFailed
        | Answered::Unanswered
        | Answered::Rejected
        | Answered::Failed => None,
    }
}

/// Whether the bytes of the answer were an object's.
pub(super) fn is_download(counted: Counted) -> bool {
    matches!(counted, Counted::ReadHere | Counted::ReadCached | Counted::ReadFilled | Counted::ReadProxied)
}

/// Whether a class is told by upstream.
pub(super) fn is_of_upstream(counted: Counted) -> bool {
    matches!(
        counted,
        Counted::ReadFilled
            | Counted::ReadProxied
            | Counted::ReadRedirected
            | Counted::ReadPresigned
            | Counted::UpstreamFailed
    )
}

#[cfg(test)]
mod tests {
    use super::counted;
    use crate::protocol::outcome::{Answered, Face};
    use crate::store::Counted;

    #[test]
    fn downloads_are_told_apart_by_where_they_came_from_and_questions_are_not() {
        for (answered, download, question) in [
            (Answered::Local, Some(Counted::ReadHere), Some(Counted::LookedUp)),
            (Answered::Cache, Some(Counted::ReadCached), Some(Counted::LookedUp)),
            (Answered::Fill, Some(Counted::ReadFilled), Some(Counted::LookedUp)),
            (Answered::Proxy, Some(Counted::ReadProxied), Some(Counted::LookedUp)),
            (Answered::Redirect, Some(Counted::ReadRedirected), Some(Counted::LookedUp)),
            (Answered::Presign, Some(Counted::ReadPresigned), Some(Counted::LookedUp)),
            (Answered::Index, Some(Counted::LookedUp), Some(Counted::LookedUp)),
            (Answered::Absent, Some(Counted::Absent), Some(Counted::Absent)),
            (Answered::Tombstone, Some(Counted::Hidden), Some(Counted::Hidden)),
            (Answered::UnderTest, Some(Counted::UnderTest), Some(Counted::UnderTest)),
            (Answered::Deny, Some(Counted::Denied), Some(Counted::Denied)),
            (Answered::Refused, Some(Counted::Refused), Some(Counted::Refused)),
            (Answered::UpstreamFailed, Some(Counted::UpstreamFailed), Some(Counted::UpstreamFailed)),
            (Answered::Rejected, None, None),
            (Answered::Failed, None, None),
            (Answered::Unanswered, None, None),
        ] {
            for (face, get, head) in [
                (Face::S3, "GetObject", "HeadObject"),
                (Face::Archive, "GetObject", "HeadObject"),
                (Face::Gcs, "storage.objects.download", "storage.objects.get"),
            ] {
                assert_eq!(counted(face, get, answered), download, "{answered:?}");
                assert_eq!(counted(face, head, answered), question, "{answered:?}");
            }
        }
    }

    #[test]
    fn what_is_no_read_counts_only_where_it_was_refused() {
        for operation in ["PutObject", "ListObjectsV2", "storage.objects.insert", "Unknown"] {
            assert_eq!(counted(Face::S3, operation, Answered::Local), None);
            assert_eq!(counted(Face::S3, operation, Answered::Refused), Some(Counted::Refused));
        }
        for face in [Face::Admin, Face::Dockerflow] {
            assert_eq!(counted(face, "GetReceipt", Answered::Refused), None, "{face:?}");
        }
    }
}
