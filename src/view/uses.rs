//! Which cached objects were read lately, until the store is told.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{BucketName, ObjectKey};

/// From so many keys on the store is told at once.
const MANY: usize = 4096;

/// More are not remembered: which of them goes first matters little.
const MAX: usize = 4 * MANY;

/// Cached objects that were read. Noting one again costs a look.
#[derive(Debug, Default)]
pub(super) struct Uses(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    keys: HashMap<BucketName, HashSet<ObjectKey>>,
    count: usize,
}

/// What noting a use led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Somebody was called before, or the use was known already.
    Nobody,
    /// These are the first ones: the store shall be told before long.
    Soon,
    /// They have become many: the store shall be told at once.
    Now,
}

impl Uses {
    /// Notes that an object was read.
    pub(super) fn note(&self, bucket: &BucketName, key: &ObjectKey) -> Call {
        let mut noted = self.lock();
        if noted.keys.get(bucket).is_some_and(|keys| keys.contains(key)) || noted.count >= MAX {
            return Call::Nobody;
        }
        // Names are only cloned where they are new.
        match noted.keys.get_mut(bucket) {
            Some(keys) => keys.insert(key.clone()),
            None => noted.keys.entry(bucket.clone()).or_default().insert(key.clone()),
        };
        noted.count += 1;
        match noted.count {
            1 => Call::Soon,
            MANY => Call::Now,
            _ => Call::Nobody,
        }
    }

    /// All that was noted, which is forgotten here.
    pub(super) fn take(&self) -> Vec<(BucketName, ObjectKey)> {
        let keys = std::mem::take(&mut *self.lock()).keys;
        keys.into_iter()
            .flat_map(|(bucket, keys)| keys.into_iter().map(move |key| (bucket.clone(), key)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Call, MANY, MAX, Uses};
    use crate::model::{BucketName, ObjectKey};

    fn bucket(text: &str) -> BucketName {
        BucketName::parse(text).expect("a name")
    }

    fn key(text: &str) -> ObjectKey {
        ObjectKey::parse(text).expect("a key")
    }

    #[test]
    fn a_use_is_noted_once_until_it_is_taken() {
        let uses = Uses::default();
        assert_eq!(uses.note(&bucket("one"), &key("a")), Call::Soon);
        assert_eq!(uses.note(&bucket("one"), &key("a")), Call::Nobody);
        assert_eq!(uses.note(&bucket("two"), &key("a")), Call::Nobody);
        let mut taken = uses.take();
        taken.sort();
        assert_eq!(taken, [(bucket("one"), key("a")), (bucket("two"), key("a"))]);
        assert_eq!(uses.note(&bucket("one"), &key("a")), Call::Soon, "it begins anew");
    }

    #[test]
    fn many_uses_call_at_once_and_too_many_are_left_out() {
        let uses = Uses::default();
        let bucket = bucket("one");
        let calls: Vec<_> =
            (0..MAX + 10).map(|number| uses.note(&bucket, &key(&number.to_string()))).collect();
        assert_eq!(calls[MANY - 1], Call::Now);
        assert_eq!(calls.iter().filter(|call| **call != Call::Nobody).count(), 2);
        assert_eq!(uses.take().len(), MAX);
    }
}
