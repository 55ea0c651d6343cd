//! Snapshots against a model of them in memory: any sequence of verbs gives the same states.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::snapshots::name;
use super::*;
use crate::store::fsck::{self, Check};

/// What the model does.
#[derive(Debug, Clone)]
enum Verb {
    Put {
        key: usize,
        size: usize,
    },
    Copy {
        from: usize,
        to: usize,
    },
    Delete {
        key: usize,
        tombstone: bool,
    },
    Take {
        snapshot: usize,
    },
    GoBack {
        snapshot: usize,
    },
    /// Something is written between the halves of a restore.
    GoBackWhile {
        snapshot: usize,
        key: usize,
        size: usize,
        delete: bool,
    },
    Forget {
        snapshot: usize,
    },
    Hold {
        key: usize,
    },
    LetGo,
    Sweep,
    Reopen,
}

const KEYS: &[&str] = &["a", "a/b", "b", "é"];
const SNAPSHOTS: &[&str] = &["one", "two", "three"];

fn verb() -> impl Strategy<Value = Verb> {
    let key = || 0..KEYS.len();
    let snapshot = || 0..SNAPSHOTS.len();
    let size = || prop::sample::select(&[0_usize, 5, 100, 101, 3000][..]);
    prop_oneof![
        6 => (key(), size()).prop_map(|(key, size)| Verb::Put { key, size }),
        3 => (key(), key()).prop_map(|(from, to)| Verb::Copy { from, to }),
        3 => (key(), any::<bool>()).prop_map(|(key, tombstone)| Verb::Delete { key, tombstone }),
        4 => snapshot().prop_map(|snapshot| Verb::Take { snapshot }),
        2 => snapshot().prop_map(|snapshot| Verb::GoBack { snapshot }),
        3 => (snapshot(), key(), size(), any::<bool>())
            .prop_map(|(snapshot, key, size, delete)| Verb::GoBackWhile { snapshot, key, size, delete }),
        2 => snapshot().prop_map(|snapshot| Verb::Forget { snapshot }),
        2 => key().prop_map(|key| Verb::Hold { key }),
        1 => Just(Verb::LetGo),
        2 => Just(Verb::Sweep),
        1 => Just(Verb::Reopen),
    ]
}

/// Writes or deletes a key of which nothing may be seen afterwards.
async fn change_without_trace(store: &Store, key: usize, size: usize, delete: bool) {
    if delete {
        let deletes = vec![deletion(KEYS[key], true)];
        store.delete_objects(&bucket(), deletes).await.expect("committed");
        return;
    }
    let mut staging = store.stage(&[], None);
    staging.write(vec![0xff; size].into()).await.expect("room");
    let put = PutObject {
        bucket: bucket(),
        key: crate::store::tests::key(KEYS[key]),
        staged: staging.finish().await.expect("room"),
        metadata: Metadata::default(),
        tags: Tags::default(),
        owner: owner(),
        checksum: None,
        conditions: WriteConditions::default(),
    };
    store.put_object(put).await.expect("written");
}

/// What is under each key: bytes, or `None` for a tombstone.
type State = BTreeMap<&'static str, Option<Vec<u8>>>;

/// A store and its model.
struct Pair {
    fixture: Fixture,
    present: State,
    snapshots: BTreeMap<&'static str, State>,
    held: Vec<(Content, Vec<u8>)>,
    generation: u64,
    made: usize,
}

impl Pair {
    fn written(&mut self, key: usize, bytes: Vec<u8>, object: &Object) {
        assert!(object.generation > self.generation, "no number is given out twice");
        self.generation = object.generation;
        self.present.insert(KEYS[key], Some(bytes));
    }

    async fn apply(mut self, verb: &Verb) -> Self {
        match *verb {
            Verb::Put { key, size } => {
                self.made += 1;
                let mut bytes = pattern(size);
                for (byte, mark) in bytes.iter_mut().zip(self.made.to_le_bytes()) {
                    *byte ^= mark;
                }
                let object = self.fixture.put(KEYS[key], &bytes).await;
                self.written(key, bytes, &object);
            }
            Verb::Copy { from, to } => {
                if let Some(Some(bytes)) = self.present.get(KEYS[from]).cloned() {
                    let object = self.fixture.copy(KEYS[from], KEYS[to]).await.expect("there is a source");
                    self.written(to, bytes, &object);
                }
            }
            Verb::Delete { key, tombstone } => {
                self.fixture.delete(KEYS[key], tombstone).await;
                if tombstone {
                    self.present.insert(KEYS[key], None);
                } else if matches!(self.present.get(KEYS[key]), Some(Some(_))) {
                    self.present.remove(KEYS[key]);
                }
            }
            Verb::Take { snapshot } => self.take(SNAPSHOTS[snapshot]).await,
            Verb::GoBack { snapshot } => {
                let outcome = self.fixture.store.restore_snapshot(name(SNAPSHOTS[snapshot])).await;
                self.gone_back(SNAPSHOTS[snapshot], &outcome);
            }
            Verb::GoBackWhile { snapshot, key, size, delete } => {
                let (store, runtime) = (self.fixture.store.clone(), tokio::runtime::Handle::current());
                let meanwhile = move || runtime.block_on(change_without_trace(&store, key, size, delete));
                let name = name(SNAPSHOTS[snapshot]);
                let outcome = self.fixture.store.restore_snapshot_while(name, meanwhile).await;
                self.gone_back(SNAPSHOTS[snapshot], &outcome);
            }
            Verb::Forget { snapshot } => {
                let outcome = self.fixture.store.delete_snapshot(name(SNAPSHOTS[snapshot])).await;
                let had = self.snapshots.remove(SNAPSHOTS[snapshot]).is_some();
                assert_eq!(outcome.is_ok(), had, "{outcome:?}");
            }
            Verb::Hold { key } => {
                if let (Lookup::Here(_, content), Some(Some(bytes))) =
                    (self.fixture.find(KEYS[key]), self.present.get(KEYS[key]))
                {
                    self.held.push((content, bytes.clone()));
                }
            }
            Verb::LetGo => self.let_go().await,
            Verb::Sweep => {
                self.let_go().await;
                self.fixture.swept().await;
            }
            Verb::Reopen => {
                self.let_go().await;
                self.fixture = self.fixture.reopened().await;
            }
        }
        self.is_as_expected().await;
        self
    }

    fn gone_back(&mut self, snapshot: &str, outcome: &Result<Snapshot, Error>) {
        assert_eq!(outcome.is_ok(), self.snapshots.contains_key(snapshot), "{outcome:?}");
        if let Some(state) = self.snapshots.get(snapshot) {
            self.present.clone_from(state);
        }
    }

    async fn take(&mut self, snapshot: &'static str) {
        let outcome = self.fixture.store.create_snapshot(name(snapshot)).await;
        assert_eq!(outcome.is_ok(), !self.snapshots.contains_key(snapshot), "{outcome:?}");
        if let Ok(taken) = outcome {
            let objects: Vec<_> = self.present.values().flatten().collect();
            let bytes: usize = objects.iter().map(|bytes| bytes.len()).sum();
            assert_eq!((taken.objects, taken.bytes), (objects.len() as u64, bytes as u64));
            self.snapshots.insert(snapshot, self.present.clone());
        }
    }

    /// What was held reads to the end, whatever happened meanwhile.
    async fn let_go(&mut self) {
        for (content, bytes) in self.held.drain(..) {
            let found = read(&content, ByteRange::whole(bytes.len() as u64)).await.expect("held");
            assert!(found == bytes);
        }
    }

    async fn is_as_expected(&self) {
        for name in KEYS {
            let found = self.fixture.find(name);
            match self.present.get(name) {
                None => assert!(matches!(found, Lookup::Absent)),
                Some(None) => assert!(matches!(found, Lookup::Tombstone)),
                Some(Some(bytes)) => assert!(self.fixture.get(name).await.as_ref() == Some(bytes), "{name}"),
            }
        }
    }

    /// Every object of every snapshot and of the present reads right; without them nothing is left.
    async fn finish(mut self) {
        self.let_go().await;
        self.fixture.swept().await;
        self.fixture.store.close().await;
        let Fixture { folder, store, options } = self.fixture;
        drop(store);
        let check = Check { repair: false, verify_digests: true };
        assert_eq!(fsck::run(folder.path(), check, |_| {}).expect("checked").findings, []);
        let store = Store::open(options.clone()).expect("it opens");
        self.fixture = Fixture { store, options, folder };
        for (name, state) in std::mem::take(&mut self.snapshots) {
            self.fixture.go_back(name).await;
            self.present = state;
            self.is_as_expected().await;
            self.fixture.forget_snapshot(name).await;
        }
        for name in KEYS {
            self.fixture.delete(name, false).await;
        }
        self.fixture.swept_to(0).await;
        self.fixture.end_soundly().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_state_that_was_taken_can_be_gone_back_to(verbs in prop::collection::vec(verb(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let fixture = Fixture::with(|options| options.inline_max_bytes = 100).await;
            let mut pair = Pair {
                fixture,
                present: State::new(),
                snapshots: BTreeMap::new(),
                held: Vec::new(),
                generation: 0,
                made: 0,
            };
            for verb in &verbs {
                pair = pair.apply(verb).await;
            }
            pair.finish().await;
        });
    }
}
