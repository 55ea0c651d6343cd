//! Whole requests, byte for byte as they come from a socket: each gets an answer, and never
//! "internal error". One that begins with a digit is given a credential first, of the kind that the
//! digit names, and goes to a stage that lets nobody else in; any other goes to one that is open.

use super::sign::{Kind, signed};
use super::stage::{Door, assert_no_fault, exchange};

/// The kinds of credentials, from 1 on.
const KINDS: [Kind; 6] =
    [Kind::V4Header, Kind::V4Query, Kind::V2Header, Kind::V2Query, Kind::Bearer, Kind::Basic];

/// A request as it is on the wire; a line may end without the carriage return.
pub(crate) fn run(data: &[u8]) {
    let kind = data.first().and_then(|digit| KINDS.get(usize::from(digit.wrapping_sub(b'1'))));
    let Some(kind) = kind else {
        assert_no_fault(data, &exchange(Door::Open, data));
        return;
    };
    let Some(request) = signed(*kind, &data[1..]) else { return };
    assert_no_fault(&request, &exchange(Door::Closed, &request));
}
