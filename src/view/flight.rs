//! Fetching a key into the store once, while any number of clients read along.

use std::task::{Context, Poll};

use bytes::Bytes;

use super::Error;
use crate::model::ByteRange;
use crate::store::Object;
use crate::upstream::Remote;

/// A key on its way into the store. Upstream's head is here; the bytes follow.
#[derive(Debug)]
pub struct Flying {}

impl Flying {
    /// What upstream says of it. Its size is known.
    pub fn remote(&self) -> &Remote {
        unimplemented!("helper D")
    }

    /// The object as the store would describe it, for conditions and headers.
    pub fn object(&self) -> &Object {
        unimplemented!("helper D")
    }

    /// Reads a range along. The last byte is held back until the whole was verified.
    pub fn reader(&self, range: ByteRange) -> FlightReader {
        let _ = range;
        unimplemented!("helper D")
    }
}

/// Reads along.
#[derive(Debug)]
pub struct FlightReader {}

impl FlightReader {
    /// How many bytes are still to come.
    pub fn remaining(&self) -> u64 {
        unimplemented!("helper D")
    }

    /// The next bytes; `None` at the end. After an error there are none.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let _ = cx;
        unimplemented!("helper D")
    }
}
