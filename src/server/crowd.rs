//! Who is connected: a client that opens many connections, or is slow on many, must not keep
//! others from being answered.
//!
//! Connections are always accepted. A connection is *idle* until a request's head is whole, and
//! again from the end of the answer; at the cap the one that has been idle longest is closed for
//! each that comes. A request takes a *turn* ([`Seat::turn`]): transfers (a body comes, or a long
//! answer goes) have so many turns, short requests some more, and health needs none. So slow
//! transfers keep no short request waiting, and nothing keeps health waiting.
//!
//! Deliberately elsewhere: how slow a transfer may be (`patience`).

mod turn;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};

pub(super) use self::turn::{Wish, slow_down};
use super::cidr::Cidr;
use super::config::Limits;
use crate::protocol::meter::Connections;

/// Everybody who is connected. Clones are the same crowd.
#[derive(Debug, Clone)]
pub(super) struct Crowd(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Connections at a time.
    capacity: usize,
    transfers: Arc<Semaphore>,
    /// With fewer turns left than this, transfers are many.
    dense_below: usize,
    /// Of transfers and short requests together.
    turns: Arc<Semaphore>,
    /// Connections and turns of one address.
    peer_capacity: usize,
    peer_turns: usize,
    trusted: Vec<Cidr>,
    seats: Mutex<Seats>,
    /// Gives each time of becoming idle a number of its own.
    ticks: AtomicU64,
    left: Notify,
    counts: Connections,
    journal: Mutex<Journal>,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    /// Those that were not told to go.
    taken: BTreeMap<u64, Arc<Place>>,
    peers: HashMap<Peer, OfPeer>,
    /// All whose connection has not ended.
    alive: usize,
}

#[derive(Debug)]
struct OfPeer {
    seats: usize,
    turns: Arc<Semaphore>,
}

/// Who counts as one client: an address, or the network of 64 bits that one host of IPv6 has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Peer(IpAddr);

/// What others may know of a connection.
#[derive(Debug)]
struct Place {
    peer: Option<Peer>,
    peer_turns: Option<Arc<Semaphore>>,
    /// [`BUSY`], [`SHED`], or the tick at which it became idle.
    idle_since: AtomicU64,
    /// Closed once the connection is to go.
    shed: Semaphore,
}

/// So many transfers may each have as much memory as makes them fast.
const FEW_TRANSFERS: usize = 64;

const BUSY: u64 = 0;
const SHED: u64 = u64::MAX;

/// A connection's place. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    place: Arc<Place>,
    crowd: Crowd,
}

impl Crowd {
    /// Nobody yet.
    pub(super) fn new(limits: &Limits, trusted: Vec<Cidr>, counts: Connections) -> Self {
        let transfers = limits.connections_max.clamp(1, Semaphore::MAX_PERMITS / 2);
        let spare = spare(transfers);
        Self(Arc::new(Inner {
            capacity: transfers + 2 * spare,
            transfers: Arc::new(Semaphore::new(transfers)),
            dense_below: transfers.saturating_sub(FEW_TRANSFERS),
            turns: Arc::new(Semaphore::new(transfers + spare)),
            peer_capacity: limits.per_peer().saturating_add(spare),
            peer_turns: limits.per_peer().min(Semaphore::MAX_PERMITS),
            trusted,
            seats: Mutex::default(),
            ticks: AtomicU64::new(BUSY + 1),
            left: Notify::new(),
            counts,
            journal: Mutex::new(Journal::default()),
        }))
    }

    /// A place for a new connection, for which an idle one may have to go. None only where nobody
    /// is idle, which the limits of turns rule out but for health requests in their hundreds.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Seat> {
        let crowd = &self.0;
        let peer = crowd.peer(address);
        let mut seats = crowd.lock();
        let of_peer = peer.and_then(|peer| seats.peers.get(&peer)).map_or(0, |of| of.seats);
        let shed = if of_peer >= crowd.peer_capacity {
            Some(seats.shed_oldest(|place| place.peer == peer))
        } else {
            (seats.taken.len() >= crowd.capacity).then(|| seats.shed_oldest(|_| true))
        };
        if shed == Some(false) {
            drop(seats);
            crowd.refused();
            return None;
        }
        let place = seats.sit(peer, crowd.peer_turns, crowd.tick());
        let number = seats.next;
        drop(seats);
        if shed.is_some() {
            crowd.shed();
        }
        crowd.counts.open.inc();
        Some(Seat { number, place, crowd: self.clone() })
    }

    /// Closes the connection that has been idle longest, if there is one.
    pub(super) fn shed_one(&self) {
        if self.0.lock().shed_oldest(|_| true) {
            self.0.shed();
        }
    }

    /// Whether so many transfers are under way that each must do with less memory.
    pub(super) fn is_dense(&self) -> bool {
        self.0.dense_below > self.0.transfers.available_permits()
    }

    /// How many connections have not ended.
    pub(super) fn alive(&self) -> usize {
        self.0.lock().alive
    }

    /// Done once every connection has ended.
    pub(super) async fn gone(&self) {
        loop {
            let left = self.0.left.notified();
            let mut left = std::pin::pin!(left);
            left.as_mut().enable();
            if self.alive() == 0 {
                return;
            }
            left.await;
        }
    }
}

/// How many turns short requests have beside `transfers`, and how many connections may be idle
/// when all turns are taken.
pub(super) fn spare(transfers: usize) -> usize {
    (transfers / 8).clamp(8, 256)
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }

    /// Whom an address counts for, if it stands for one client.
    fn peer(&self, address: IpAddr) -> Option<Peer> {
        let many = address.is_loopback() || self.trusted.iter().any(|proxies| proxies.contains(address));
        (!many).then(|| Peer::of(address))
    }

    fn shed(&self) {
        self.counts.shed.inc();
        self.note(|journal| journal.shed += 1);
    }

    fn refused(&self) {
        self.counts.refused.inc();
        self.note(|journal| journal.refused += 1);
    }

    fn note(&self, add: impl FnOnce(&mut Journal)) {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut journal);
        journal.write();
    }
}

impl Peer {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self(address),
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << 64);
                Self(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
        }
    }
}

impl Seats {
    fn sit(&mut self, peer: Option<Peer>, peer_turns: usize, tick: u64) -> Arc<Place> {
        let turns = peer.map(|peer| {
            let new = || OfPeer { seats: 0, turns: Arc::new(Semaphore::new(peer_turns)) };
            let of = self.peers.entry(peer).or_insert_with(new);
            of.seats += 1;
            Arc::clone(&of.turns)
        });
        let place = Arc::new(Place {
            peer,
            peer_turns: turns,
            idle_since: AtomicU64::new(tick),
            shed: Semaphore::new(0),
        });
        self.next += 1;
        self.alive += 1;
        self.taken.insert(self.next, Arc::clone(&place));
        place
    }

    /// Tells the connection to go that has been idle longest among some, if there is one. It counts
    /// no more.
    fn shed_oldest(&mut self, among: impl Fn(&Place) -> bool) -> bool {
        loop {
            let idle = self.taken.iter().filter(|(_, place)| among(place)).filter_map(|(number, place)| {
                let since = place.idle_since.load(Ordering::Acquire);
                (since != BUSY && since != SHED).then_some((since, *number))
            });
            let Some((since, number)) = idle.min() else { return false };
            let Some(place) = self.taken.get(&number).cloned() else { return false };
            let told = place.idle_since.compare_exchange(since, SHED, Ordering::AcqRel, Ordering::Relaxed);
            // Otherwise a request has just come on it.
            if told.is_ok() {
                self.stand(number);
                place.shed.close();
                return true;
            }
        }
    }

    fn stand(&mut self, number: u64) {
        let Some(place) = self.taken.remove(&number) else { return };
        let Some(peer) = place.peer else { return };
        if let Some(of) = self.peers.get_mut(&peer) {
            of.seats -= 1;
            if of.seats == 0 {
                self.peers.remove(&peer);
            }
        }
    }
}

impl Seat {
    /// Everybody else.
    pub(super) fn crowd(&self) -> &Crowd {
        &self.crowd
    }

    /// Done once the connection is to go, to make room for another.
    pub(super) async fn shed(&self) {
        self.place.shed().await;
    }
}

impl Place {
    async fn shed(&self) {
        // Nothing is ever acquired: it waits until the semaphore is closed.
        drop(self.shed.acquire().await);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let crowd = &self.crowd.0;
        let mut seats = crowd.lock();
        seats.stand(self.number);
        seats.alive -= 1;
        drop(seats);
        crowd.counts.open.dec();
        crowd.left.notify_waiters();
    }
}

/// What happened since the last line of the log about it: one a second at most.
#[derive(Debug, Default)]
struct Journal {
    shed: u64,
    refused: u64,
    written: Option<Instant>,
}

impl Journal {
    fn write(&mut self) {
        if self.written.is_some_and(|written| written.elapsed() < Duration::from_secs(1)) {
            return;
        }
        tracing::warn!(
            closed_idle = self.shed,
            refused = self.refused,
            "too many connections or requests at a time; see limits.connections and connections_per_peer"
        );
        *self = Self { written: Some(Instant::now()), ..Self::default() };
    }
}

#[cfg(test)]
mod tests;
