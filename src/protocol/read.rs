//! What a GET or HEAD of an object answers with: conditions first, then the range. Pure.
//!
//! RFC 9110 sections 13.2.2 and 14.2; AWS: `GetObject`, `HeadObject`. S3 applies `Range` to HEAD
//! as well, so both methods share one plan.
//!
//! Deliberately elsewhere: reading the headers (`conditions`), writing them (`headers`), finding
//! the object (`store`).

use http::StatusCode;

use super::conditions::IfRange;
use crate::model::{ByteRange, ConditionFailed, ObjectState, RangeSpec, ReadConditions, Unsatisfiable};

/// The answer to a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadPlan {
    /// 200: all bytes.
    Whole,
    /// 206: these bytes.
    Partial(ByteRange),
    /// 304: the client has them.
    NotModified,
    /// 412; the text names the condition that failed.
    PreconditionFailed(&'static str),
    /// 416: no byte of the range exists.
    Unsatisfiable(Unsatisfiable),
}

/// Decides what a read of `object` answers with.
///
/// GetObject with `partNumber` has no range of its own: it plans without one, and answers
/// [`ReadPlan::Whole`] with the part's range instead.
pub fn plan(
    conditions: &ReadConditions,
    range: Option<RangeSpec>,
    if_range: Option<&IfRange>,
    object: &ObjectState,
) -> ReadPlan {
    match conditions.check(object) {
        Ok(()) => {}
        Err(ConditionFailed::NotModified) => return ReadPlan::NotModified,
        Err(ConditionFailed::Precondition(name)) => return ReadPlan::PreconditionFailed(name),
        // Only a write can miss its object, and a read has found one.
        Err(ConditionFailed::Missing) => return ReadPlan::PreconditionFailed("If-Match"),
    }
    let Some(range) = range.filter(|_| if_range.is_none_or(|condition| condition.holds_for(object))) else {
        return ReadPlan::Whole;
    };
    match range.resolve(object.size_bytes) {
        Ok(bytes) => ReadPlan::Partial(bytes),
        Err(unsatisfiable) => ReadPlan::Unsatisfiable(unsatisfiable),
    }
}

/// Decides what a read of one part of a multipart object answers with: the part is the range.
pub fn plan_of_part(conditions: &ReadConditions, part: ByteRange, object: &ObjectState) -> ReadPlan {
    let plan = plan(conditions, None, None, object);
    if plan == ReadPlan::Whole { ReadPlan::Partial(part) } else { plan }
}

impl ReadPlan {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Whole => StatusCode::OK,
            Self::Partial(_) => StatusCode::PARTIAL_CONTENT,
            Self::NotModified => StatusCode::NOT_MODIFIED,
            Self::PreconditionFailed(_) => StatusCode::PRECONDITION_FAILED,
            Self::Unsatisfiable(_) => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }

    /// The bytes to send of an object of `size_bytes`; `None` if the answer has none of them.
    pub fn bytes(&self, size_bytes: u64) -> Option<ByteRange> {
        match self {
            Self::Whole => Some(ByteRange::whole(size_bytes)),
            Self::Partial(range) => Some(*range),
            Self::NotModified | Self::PreconditionFailed(_) | Self::Unsatisfiable(_) => None,
        }
    }
}

impl IfRange {
    /// RFC 9110 section 13.1.5: strong comparison of tags, exact comparison of dates.
    fn holds_for(&self, object: &ObjectState) -> bool {
        match self {
            Self::ETag(etag) => *etag == object.etag,
            Self::Date(date) => *date == object.modified.truncated_to_seconds(),
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::{ReadPlan, plan};
    use crate::model::{
        ByteRange, ETag, ETagMatch, ObjectState, RangeSpec, ReadConditions, Timestamp, Unsatisfiable,
    };
    use crate::protocol::conditions::IfRange;

    const MODIFIED: i64 = 1_795_209_619;

    fn tag(text: &str) -> ETag {
        ETag::parse(text).expect("a tag")
    }

    fn object(size_bytes: u64) -> ObjectState {
        ObjectState {
            etag: tag("current"),
            // S3 keeps milliseconds, and HTTP dates do not show them.
            modified: Timestamp::from_ms(MODIFIED * 1000 + 789),
            size_bytes,
            generation: 1,
            metageneration: 1,
        }
    }

    #[test]
    fn a_range_that_meets_the_object_is_partial() {
        let partial = |start, end| ReadPlan::Partial(ByteRange { start, end });
        let unsatisfiable = |size_bytes| ReadPlan::Unsatisfiable(Unsatisfiable { size_bytes });
        for (size, range, expected) in [
            (10, None, ReadPlan::Whole),
            (10, Some(RangeSpec::Closed { first: 0, last: 2 }), partial(0, 3)),
            (10, Some(RangeSpec::Closed { first: 0, last: 9 }), partial(0, 10)),
            (10, Some(RangeSpec::Closed { first: 8, last: 99 }), partial(8, 10)),
            (10, Some(RangeSpec::From(4)), partial(4, 10)),
            (10, Some(RangeSpec::Suffix(3)), partial(7, 10)),
            (10, Some(RangeSpec::Suffix(99)), partial(0, 10)),
            (10, Some(RangeSpec::From(10)), unsatisfiable(10)),
            (10, Some(RangeSpec::Suffix(0)), unsatisfiable(10)),
            (0, Some(RangeSpec::From(0)), unsatisfiable(0)),
            (0, None, ReadPlan::Whole),
        ] {
            assert_eq!(plan(&ReadConditions::default(), range, None, &object(size)), expected, "{range:?}");
        }
    }

    #[test]
    fn conditions_come_before_the_range() {
        let none = ReadConditions::default;
        let other = || Some(ETagMatch::OneOf(vec![tag("other")]));
        let current = || Some(ETagMatch::OneOf(vec![tag("current")]));
        for (conditions, expected) in [
            (ReadConditions { if_match: other(), ..none() }, StatusCode::PRECONDITION_FAILED),
            (ReadConditions { if_match: current(), ..none() }, StatusCode::RANGE_NOT_SATISFIABLE),
            (ReadConditions { if_none_match: current(), ..none() }, StatusCode::NOT_MODIFIED),
            (ReadConditions { if_none_match: other(), ..none() }, StatusCode::RANGE_NOT_SATISFIABLE),
            (
                ReadConditions { if_unmodified_since: Some(Timestamp::from_seconds(MODIFIED - 1)), ..none() },
                StatusCode::PRECONDITION_FAILED,
            ),
            (
                ReadConditions { if_modified_since: Some(Timestamp::from_seconds(MODIFIED)), ..none() },
                StatusCode::NOT_MODIFIED,
            ),
        ] {
            let plan = plan(&conditions, Some(RangeSpec::From(100)), None, &object(10));
            assert_eq!(plan.status(), expected, "{conditions:?}");
        }
    }

    #[test]
    fn a_range_counts_only_if_the_object_is_still_the_same() {
        for (if_range, expected) in [
            (None, StatusCode::PARTIAL_CONTENT),
            (Some(IfRange::ETag(tag("current"))), StatusCode::PARTIAL_CONTENT),
            (Some(IfRange::ETag(tag("other"))), StatusCode::OK),
            (Some(IfRange::Date(Timestamp::from_seconds(MODIFIED))), StatusCode::PARTIAL_CONTENT),
            (Some(IfRange::Date(Timestamp::from_seconds(MODIFIED - 1))), StatusCode::OK),
            // A later date is not exactly that of the object either.
            (Some(IfRange::Date(Timestamp::from_seconds(MODIFIED + 1))), StatusCode::OK),
            (Some(IfRange::Never), StatusCode::OK),
        ] {
            let range = Some(RangeSpec::Closed { first: 0, last: 0 });
            let plan = plan(&ReadConditions::default(), range, if_range.as_ref(), &object(10));
            assert_eq!(plan.status(), expected, "{if_range:?}");
        }
    }

    #[test]
    fn only_200_and_206_have_bytes_of_the_object() {
        let some = ByteRange { start: 2, end: 5 };
        for (plan, bytes) in [
            (ReadPlan::Whole, Some(ByteRange::whole(10))),
            (ReadPlan::Partial(some), Some(some)),
            (ReadPlan::NotModified, None),
            (ReadPlan::PreconditionFailed("If-Match"), None),
            (ReadPlan::Unsatisfiable(Unsatisfiable { size_bytes: 10 }), None),
        ] {
            assert_eq!(plan.bytes(10), bytes, "{plan:?}");
        }
    }
}
