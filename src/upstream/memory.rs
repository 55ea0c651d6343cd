//! Answers that are remembered for a while, in bounded memory.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Values by key, each for the same time. The oldest goes first where there is no room.
#[derive(Debug)]
pub(super) struct Memory<K, V> {
    ttl: Duration,
    bytes_max: usize,
    bytes: usize,
    entries: HashMap<K, Entry<V>>,
    /// The keys in the order of their coming, which is that of their end too.
    order: BTreeMap<u64, K>,
    next: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    until: Instant,
    place: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Memory<K, V> {
    /// An empty one. It remembers nothing where `ttl` is 0.
    pub(super) fn new(ttl: Duration, bytes_max: usize) -> Self {
        Self { ttl, bytes_max, bytes: 0, entries: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }

    /// What is remembered of a key.
    pub(super) fn get<Q>(&mut self, key: &Q, now: Instant) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.forget_old(now);
        self.entries.get(key).map(|entry| entry.value.clone())
    }

    /// Remembers a value of about `bytes`, in the place of an earlier one.
    pub(super) fn put(&mut self, key: K, value: V, bytes: usize, now: Instant) {
        self.forget_old(now);
        self.remove(&key);
        if self.ttl.is_zero() || bytes > self.bytes_max {
            return;
        }
        while self.bytes + bytes > self.bytes_max && self.remove_oldest() {}
        let place = self.next;
        self.next += 1;
        self.bytes += bytes;
        self.order.insert(place, key.clone());
        self.entries.insert(key, Entry { value, bytes, until: now + self.ttl, place });
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((_, key)) = self.order.first_key_value() {
            if self.entries.get(key).is_some_and(|entry| now < entry.until) {
                return;
            }
            self.remove_oldest();
        }
    }

    fn remove_oldest(&mut self) -> bool {
        let Some((_, key)) = self.order.pop_first() else { return false };
        self.remove(&key);
        true
    }

    fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes;
            self.order.remove(&entry.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Memory;

    const TTL: Duration = Duration::from_secs(10);

    #[test]
    fn values_are_remembered_for_their_time_and_replaced() {
        let now = Instant::now();
        let mut memory = Memory::<String, u8>::new(TTL, 100);
        memory.put("a".to_owned(), 1, 10, now);
        memory.put("b".to_owned(), 2, 10, now + TTL / 2);
        memory.put("a".to_owned(), 3, 10, now + TTL / 2);
        assert_eq!(memory.get("a", now + TTL), Some(3));
        assert_eq!(memory.get("b", now + TTL), Some(2));
        assert_eq!(memory.get("a", now + TTL * 3 / 2), None);
        assert_eq!((memory.bytes, memory.entries.len(), memory.order.len()), (0, 0, 0));
    }

    #[test]
    fn the_oldest_make_room_and_what_is_too_large_is_not_kept() {
        let now = Instant::now();
        let mut memory = Memory::<u8, u8>::new(TTL, 100);
        for key in 0..50 {
            memory.put(key, key, 30, now);
            assert!(memory.bytes <= 100 && memory.entries.len() == memory.order.len());
        }
        let kept: Vec<_> = (0..50).filter(|key| memory.get(key, now).is_some()).collect();
        assert_eq!(kept, [47, 48, 49]);
        memory.put(49, 0, 101, now);
        assert_eq!(memory.get(&49, now), None, "not the earlier value either");
        assert_eq!(memory.get(&48, now), Some(48));
    }

    #[test]
    fn it_can_be_switched_off() {
        let now = Instant::now();
        let mut memory = Memory::<u8, u8>::new(Duration::ZERO, 100);
        memory.put(1, 1, 1, now);
        assert_eq!(memory.get(&1, now), None);
    }
}
