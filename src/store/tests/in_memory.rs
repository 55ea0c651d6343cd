//! The store against a model of it in memory: any sequence of verbs gives the same answers.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::UploadId;
use crate::store::fsck::{self, Check};

/// What the model knows of a key.
#[derive(Debug, Clone, PartialEq)]
enum Entry {
    Object(Vec<u8>, Origin),
    Tombstone,
}

#[derive(Debug, Clone)]
enum Verb {
    Put { key: usize, size: usize, only_new: bool },
    Copy { from: usize, to: usize },
    Delete { keys: Vec<usize>, tombstone: bool },
    Cache { key: usize, size: usize },
    Evict { all: bool, max_bytes: u64 },
    Undelete { keys: Vec<usize> },
    Begin { key: usize },
    PutPart { upload: usize, number: u16, size: usize },
    CopyPart { upload: usize, number: u16, from: usize, cut: (u8, u8) },
    Compose { from: Vec<usize>, to: usize },
    Complete { upload: usize, leave_out: u16 },
    Abort { upload: usize },
    Scan { prefix: usize, start: usize, after: bool, page: usize, tombstones: bool },
    Reopen,
}

/// Keys that are prefixes of each other, and keys at the edges of UTF-8.
const KEYS: &[&str] = &["a", "a/", "a/b", "a/b/c", "a\u{0}", "b", "é", "\u{10ffff}", "\u{10ffff}a"];

/// Around the bound of what the index keeps, which is 100 here.
const SIZES: &[usize] = &[0, 1, 99, 100, 101, 5000];

fn verb() -> impl Strategy<Value = Verb> {
    let key = || 0..KEYS.len();
    let size = || prop::sample::select(SIZES);
    let number = || prop::sample::select(&[1_u16, 2, 3, 10_000][..]);
    prop_oneof![
        4 => (key(), size(), any::<bool>()).prop_map(|(key, size, only_new)| Verb::Put { key, size, only_new }),
        2 => (key(), key()).prop_map(|(from, to)| Verb::Copy { from, to }),
        2 => (prop::collection::vec(key(), 1..4), any::<bool>())
            .prop_map(|(keys, tombstone)| Verb::Delete { keys, tombstone }),
        3 => (key(), size()).prop_map(|(key, size)| Verb::Cache { key, size }),
        1 => (any::<bool>(), 0..6000_u64).prop_map(|(all, max_bytes)| Verb::Evict { all, max_bytes }),
        1 => prop::collection::vec(key(), 1..4).prop_map(|keys| Verb::Undelete { keys }),
        1 => key().prop_map(|key| Verb::Begin { key }),
        3 => (0..3_usize, number(), size())
            .prop_map(|(upload, number, size)| Verb::PutPart { upload, number, size }),
        2 => (0..3_usize, number(), key(), any::<(u8, u8)>())
            .prop_map(|(upload, number, from, cut)| Verb::CopyPart { upload, number, from, cut }),
        2 => (prop::collection::vec(key(), 1..5), key()).prop_map(|(from, to)| Verb::Compose { from, to }),
        2 => (0..3_usize, number()).prop_map(|(upload, leave_out)| Verb::Complete { upload, leave_out }),
        1 => (0..3_usize).prop_map(|upload| Verb::Abort { upload }),
        3 => (key(), key(), any::<bool>(), 1..5_usize, any::<bool>()).prop_map(
            |(prefix, start, after, page, tombstones)| Verb::Scan { prefix, start, after, page, tombstones }
        ),
        1 => Just(Verb::Reopen),
    ]
}

/// The parts of an upload in the model.
#[derive(Debug, Default)]
struct ModelUpload {
    key: usize,
    id: Option<UploadId>,
    parts: BTreeMap<u16, (Vec<u8>, ETag)>,
}

/// A store and its model.
struct Pair {
    fixture: Fixture,
    entries: BTreeMap<&'static str, Entry>,
    uploads: Vec<ModelUpload>,
    generation: u64,
    bytes_made: usize,
}

impl Pair {
    async fn new() -> Self {
        let fixture = Fixture::with(|options| {
            options.inline_max_bytes = 100;
            options.part_min_bytes = 0;
            options.segments_max = 12;
        });
        Self {
            fixture: fixture.await,
            entries: BTreeMap::new(),
            uploads: Vec::new(),
            generation: 0,
            bytes_made: 0,
        }
    }

    /// Bytes that are no other bytes of this run.
    fn make_bytes(&mut self, size: usize) -> Vec<u8> {
        self.bytes_made += 1;
        let mut bytes = pattern(size);
        for (byte, mark) in bytes.iter_mut().zip(self.bytes_made.to_le_bytes()) {
            *byte ^= mark;
        }
        bytes
    }

    fn object(&self, key: usize) -> Option<&Vec<u8>> {
        match self.entries.get(KEYS[key]) {
            Some(Entry::Object(bytes, _)) => Some(bytes),
            Some(Entry::Tombstone) | None => None,
        }
    }

    fn upload_ref(&self, upload: usize) -> Option<UploadRef> {
        let found = self.uploads.get(upload)?;
        let id = found.id.clone()?;
        Some(UploadRef { bucket: bucket(), key: key(KEYS[found.key]), id })
    }

    fn written(&mut self, key: usize, bytes: Vec<u8>, object: &Object) {
        assert!(object.generation > self.generation, "generations grow");
        self.generation = object.generation;
        assert_eq!(object.size_bytes, bytes.len() as u64);
        assert_eq!(object.origin, Origin::Written);
        self.entries.insert(KEYS[key], Entry::Object(bytes, Origin::Written));
    }

    async fn apply(mut self, verb: &Verb) -> Self {
        match *verb {
            Verb::Put { key, size, only_new } => self.put(key, size, only_new).await,
            Verb::Copy { from, to } => self.copy(from, to).await,
            Verb::Delete { ref keys, tombstone } => self.delete(keys, tombstone).await,
            Verb::Cache { key, size } => self.cache(key, size).await,
            Verb::Evict { all, max_bytes } => self.evict(all, max_bytes).await,
            Verb::Undelete { ref keys } => self.undelete(keys).await,
            Verb::Begin { key } => self.begin(key).await,
            Verb::PutPart { upload, number, size } => self.put_part(upload, number, size).await,
            Verb::CopyPart { upload, number, from, cut } => self.copy_part(upload, number, from, cut).await,
            Verb::Compose { ref from, to } => self.compose(from, to).await,
            Verb::Complete { upload, leave_out } => self.complete(upload, leave_out).await,
            Verb::Abort { upload } => self.abort(upload).await,
            Verb::Scan { prefix, start, after, page, tombstones } => {
                let start =
                    if after { Start::After(KEYS[start].into()) } else { Start::At(KEYS[start].into()) };
                self.scan(&Scan { start, prefix: KEYS[prefix].into(), limit: page, tombstones });
            }
            Verb::Reopen => self.fixture = self.fixture.reopened().await,
        }
        self
    }

    async fn put(&mut self, key: usize, size: usize, only_new: bool) {
        let bytes = self.make_bytes(size);
        let conditions = if only_new { if_none_match_any() } else { WriteConditions::default() };
        let outcome = self.fixture.put_if(KEYS[key], &bytes, conditions).await;
        if only_new && self.object(key).is_some() {
            assert!(matches!(outcome, Err(Error::Condition(_))));
        } else {
            self.written(key, bytes, &outcome.expect("nothing speaks against it"));
        }
    }

    async fn copy(&mut self, from: usize, to: usize) {
        let outcome = self.fixture.copy(KEYS[from], KEYS[to]).await;
        match self.object(from).cloned() {
            None => assert!(matches!(outcome, Err(Error::NoSuchObject { .. }))),
            Some(bytes) => self.written(to, bytes, &outcome.expect("there is a source")),
        }
    }

    async fn delete(&mut self, keys: &[usize], tombstone: bool) {
        let deletes = keys.iter().map(|key| deletion(KEYS[*key], tombstone)).collect();
        let outcomes = self.fixture.store.delete_objects(&bucket(), deletes).await.expect("committed");
        for (&key, outcome) in keys.iter().zip(outcomes) {
            let existed = self.object(key).is_some();
            assert_eq!(outcome.expect("no condition").existed, existed);
            if tombstone {
                self.entries.insert(KEYS[key], Entry::Tombstone);
            } else if existed {
                self.entries.remove(KEYS[key]);
            }
        }
    }

    async fn cache(&mut self, key: usize, size: usize) {
        let bytes = self.make_bytes(size);
        let outcome = self.fixture.cache(KEYS[key], &bytes).await;
        assert_eq!(outcome.is_some(), !self.entries.contains_key(KEYS[key]), "never over anything");
        if let Some(object) = outcome {
            assert!(object.generation > self.generation, "generations grow");
            self.generation = object.generation;
            self.entries.insert(KEYS[key], Entry::Object(bytes, Origin::Cached));
        }
    }

    /// What is cached, by the model.
    fn cached(&self) -> Cached {
        let mut cached = Cached::default();
        for entry in self.entries.values() {
            if let Entry::Object(bytes, Origin::Cached) = entry {
                cached.objects += 1;
                cached.bytes += bytes.len() as u64;
            }
        }
        cached
    }

    async fn evict(&mut self, all: bool, max_bytes: u64) {
        let before = self.cached();
        assert_eq!(self.fixture.store.cached().expect("an answer"), before);
        let later = Timestamp::from_seconds(1_800_000_000);
        let (age, size) = if all { (Some(later), None) } else { (None, Some(max_bytes)) };
        let gone = self.fixture.store.evict(age, size).await.expect("evicted");
        // Which ones go is for the store to choose, as time stands still here.
        let fixture = &self.fixture;
        self.entries.retain(|key, entry| {
            let is_cached = matches!(entry, Entry::Object(_, Origin::Cached));
            !is_cached || matches!(fixture.find(key), Lookup::Here(..))
        });
        let after = self.cached();
        assert_eq!((after.objects + gone.objects, after.bytes + gone.bytes), (before.objects, before.bytes));
        if all {
            assert_eq!(after, Cached::default());
        } else {
            assert!(after.bytes <= max_bytes);
            assert!(before.bytes > max_bytes || gone == Cached::default(), "no more than need be");
        }
    }

    async fn undelete(&mut self, keys: &[usize]) {
        let named = keys.iter().map(|index| key(KEYS[*index])).collect();
        let had = self.fixture.store.undelete(&bucket(), named).await.expect("committed");
        for (&key, had) in keys.iter().zip(had) {
            assert_eq!(had, self.entries.get(KEYS[key]) == Some(&Entry::Tombstone));
            if had {
                self.entries.remove(KEYS[key]);
            }
        }
    }

    async fn begin(&mut self, index: usize) {
        let new = NewUpload {
            bucket: bucket(),
            key: key(KEYS[index]),
            metadata: Metadata::default(),
            tags: Tags::default(),
            owner: owner(),
            checksum: None,
            session: None,
        };
        let upload = self.fixture.store.create_upload(new).await.expect("begun");
        self.uploads.push(ModelUpload { key: index, id: Some(upload.id), ..ModelUpload::default() });
        if self.uploads.len() > 3 {
            self.abort(0).await;
            self.uploads.remove(0);
        }
    }

    async fn put_part(&mut self, upload: usize, number: u16, size: usize) {
        let Some(target) = self.upload_ref(upload) else { return };
        let bytes = self.make_bytes(size);
        let staged = self.fixture.stage(&bytes).await;
        let number = PartNumber::new(number).expect("a part number");
        let part = PutPart { upload: target, number, staged, checksum: None };
        let part = self.fixture.store.put_part(part).await.expect("in progress");
        self.uploads[upload].parts.insert(number.get(), (bytes, part.etag));
    }

    async fn copy_part(&mut self, upload: usize, number: u16, from: usize, cut: (u8, u8)) {
        let Some(target) = self.upload_ref(upload) else { return };
        let whole = self.object(from).cloned();
        let length = whole.as_ref().map_or(0, Vec::len);
        let (one, other) = (length * usize::from(cut.0) / 255, length * usize::from(cut.1) / 255);
        let (start, end) = (one.min(other), one.max(other));
        let slice = whole.as_ref().map(|bytes| bytes[start..end].to_vec());
        let mut digester = crate::checksum::Digester::new(&[]);
        digester.update(slice.as_deref().unwrap_or_default());
        let digests = digester.finish();
        let digests = PartDigests {
            md5: digests.md5,
            checksum: None,
            crc32c: Some(digests.crc32c()),
            crc64nvme: Some(digests.crc64nvme()),
        };
        let number = PartNumber::new(number).expect("a part number");
        let range = Some(ByteRange { start: start as u64, end: end as u64 });
        let part = CopyPart { upload: target, number, source: source(KEYS[from]), range, digests };
        let outcome = self.fixture.store.copy_part(part).await;
        match slice {
            None => assert!(matches!(outcome, Err(Error::NoSuchObject { .. }))),
            Some(bytes) => {
                let etag = outcome.expect("there is a source").etag;
                self.uploads[upload].parts.insert(number.get(), (bytes, etag));
            }
        }
    }

    async fn compose(&mut self, from: &[usize], to: usize) {
        let open = |from: &usize| match self.fixture.find(KEYS[*from]) {
            Lookup::Here(object, content) => Some((object, content)),
            Lookup::Absent | Lookup::Tombstone | Lookup::DeleteMarker { .. } | Lookup::NoBucket => None,
        };
        let sources: Vec<_> = from.iter().filter_map(open).collect();
        let bytes: Vec<u8> = from.iter().filter_map(|from| self.object(*from)).flatten().copied().collect();
        // Else each of them doubles what is there.
        if sources.is_empty() || bytes.len() > 50_000 {
            return;
        }
        let mut digester = crate::checksum::Digester::new(&[]);
        digester.update(&bytes);
        let digests = digester.finish();
        let compose = ComposeObject {
            bucket: bucket(),
            key: key(KEYS[to]),
            metadata: Metadata::default(),
            tags: Tags::default(),
            owner: owner(),
            sources,
            md5: digests.md5,
            conditions: WriteConditions::default(),
        };
        let object = self.fixture.store.compose_object(compose).await.expect("its sources are there");
        assert_eq!(object.crc32c, Some(digests.crc32c()));
        self.written(to, bytes, &object);
    }

    async fn complete(&mut self, upload: usize, leave_out: u16) {
        let Some(target) = self.upload_ref(upload) else { return };
        let listed = self.uploads[upload].parts.iter().filter(|(number, _)| **number != leave_out);
        let named = |(number, (_, etag)): (&u16, &(Vec<u8>, ETag))| CompletedPart {
            number: PartNumber::new(*number).expect("a part number"),
            etag: etag.clone(),
            checksum: None,
        };
        let parts: Vec<_> = listed.clone().map(named).collect();
        let bytes: Vec<u8> = listed.flat_map(|(_, (bytes, _))| bytes.clone()).collect();
        let (empty, conditions) = (parts.is_empty(), WriteConditions::default());
        let complete =
            CompleteUpload { upload: target, parts, checksum: None, size_bytes: None, md5: None, conditions };
        let outcome = self.fixture.store.complete_upload(complete).await;
        if empty {
            assert!(matches!(outcome, Err(Error::InvalidPartOrder)));
            return;
        }
        let object = outcome.expect("its parts are there");
        let mut digester = crate::checksum::Digester::new(&[]);
        digester.update(&bytes);
        assert_eq!(object.crc32c, Some(digester.finish().crc32c()));
        let key = self.uploads[upload].key;
        self.uploads[upload] = ModelUpload::default();
        self.written(key, bytes, &object);
    }

    async fn abort(&mut self, upload: usize) {
        let Some(target) = self.upload_ref(upload) else { return };
        self.fixture.store.abort_upload(&target).await.expect("in progress");
        self.uploads[upload] = ModelUpload::default();
    }

    /// Reads page after page and compares with the model in one piece.
    fn scan(&self, scan: &Scan) {
        let admits = |key: &str| match &scan.start {
            Start::At(start) => key >= start.as_str(),
            Start::After(start) => key > start.as_str(),
        };
        let expected: Vec<_> = self
            .entries
            .iter()
            .filter(|(key, entry)| {
                let shown = scan.tombstones || **entry != Entry::Tombstone;
                key.starts_with(&scan.prefix) && admits(key) && shown
            })
            .map(|(key, _)| (*key).to_owned())
            .collect();
        let (mut found, mut next) = (Vec::new(), scan.clone());
        loop {
            let page = self.fixture.keys(&next);
            assert!(page.len() <= scan.limit);
            let Some(last) = page.last().cloned() else { break };
            found.extend(page);
            next.start = Start::After(last);
        }
        assert_eq!(found, expected, "{scan:?}");
    }

    /// Every key is as the model has it, now and after the process ended; nothing is left over.
    async fn compare(self) {
        let fixture = self.fixture.reopened().await;
        fixture.swept().await;
        for name in KEYS {
            let found = fixture.find(name);
            match self.entries.get(name) {
                None => assert!(matches!(found, Lookup::Absent)),
                Some(Entry::Tombstone) => assert!(matches!(found, Lookup::Tombstone)),
                Some(Entry::Object(bytes, origin)) => {
                    assert!(matches!(&found, Lookup::Here(object, _) if object.origin == *origin));
                    assert!(fixture.get(name).await.as_ref() == Some(bytes), "{name:?}");
                }
            }
        }
        fixture.store.close().await;
        let Fixture { folder, store, .. } = fixture;
        drop(store);
        let check = Check { repair: false, verify_digests: true };
        assert_eq!(fsck::run(folder.path(), check, |_| {}).expect("checked").findings, []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_verbs_gives_what_the_model_gives(verbs in prop::collection::vec(verb(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut pair = Pair::new().await;
            for verb in &verbs {
                pair = pair.apply(verb).await;
            }
            pair.compare().await;
        });
    }
}
