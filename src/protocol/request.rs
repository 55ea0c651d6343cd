//! What a face is handed: the request, and what the listener knows about it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::uri::{Authority, Scheme};

use super::body::{ByteCount, RequestBody, ResponseBody};
use super::meter::Meter;
use crate::clock::Clock;
use crate::fallback::{Asker, ClientKind, Reached};
use crate::model::Timestamp;
use crate::upstream::Hops;

/// A request whose body has not been read.
pub type Request = http::Request<RequestBody>;

/// An answer whose body streams.
pub type Response = http::Response<ResponseBody>;

/// What the listener knows about a request, besides what is in it.
#[derive(Debug, Clone)]
pub struct Context {
    /// Names the request in the answer and in the log.
    pub request_id: RequestId,
    /// Who is at the other end; the client, not a trusted proxy in front of it.
    pub peer: SocketAddr,
    /// How the client reached us; a trusted proxy may say that it was `https`.
    pub scheme: Scheme,
    /// The host that the client asked, with its port if it named one. A trusted proxy may say it.
    pub host: Authority,
    /// When the request arrived. All rules of one request use this one time.
    pub now: Timestamp,
    /// For what happens later than arrival.
    pub clock: Clock,
    /// When the request arrived, for its duration.
    pub started: Instant,
    /// Which stages passed the request on.
    pub hops: Hops,
    /// How many bytes of the body have been received so far.
    pub received: ByteCount,
    /// Where the request is counted.
    pub meter: Meter,
}

impl Context {
    /// A request over loopback at a time that stands still, for tests of the rooms above.
    #[cfg(test)]
    pub(crate) fn for_tests(now: Timestamp) -> Self {
        Self {
            request_id: RequestId::new(1),
            peer: ([127, 0, 0, 1], 1).into(),
            scheme: Scheme::HTTP,
            host: Authority::from_static("localhost:8000"),
            now,
            clock: Clock::Fixed(now),
            started: Instant::now(),
            hops: Hops::default(),
            received: ByteCount::default(),
            meter: Meter::default(),
        }
    }

    /// The host without its port, in lower case, for choosing a face or a bucket.
    pub fn host_name(&self) -> String {
        self.host.host().to_ascii_lowercase()
    }

    /// A client of this kind, and where it found the stage.
    pub fn asker(&self, client: ClientKind) -> Asker<'_> {
        let of_scheme = if self.scheme == Scheme::HTTPS { 443 } else { 80 };
        let port = self.host.port_u16().unwrap_or(of_scheme);
        Asker { client, reached: Some(Reached { host: self.host.host(), port }) }
    }
}

/// Names a request: 16 hexadecimal digits in upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

impl RequestId {
    /// The request id with this number, for tests.
    pub fn new(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016X}", self.0)
    }
}

/// Makes request ids: each once in the life of the process, in no order that a client could guess
/// the load from.
#[derive(Debug)]
pub struct RequestIds(AtomicU64);

impl RequestIds {
    /// Begins at `seed`, which should be random so that two runs do not share their ids.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// An id that was not given before.
    pub fn next(&self) -> RequestId {
        // SplitMix64: its mixing is a bijection, so distinct counts give distinct ids.
        let mut mixed = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        RequestId(mixed ^ (mixed >> 31))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{RequestId, RequestIds};

    #[test]
    fn request_ids_have_sixteen_digits_and_never_repeat() {
        assert_eq!(RequestId::new(0xAB).to_string(), "00000000000000AB");
        let ids = RequestIds::new(7);
        let made: HashSet<_> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 10_000);
        assert_eq!(RequestIds::new(7).next(), RequestIds::new(7).next());
        assert_ne!(RequestIds::new(7).next(), RequestIds::new(8).next());
    }
}
