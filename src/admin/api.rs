//! The documents of the JSON API, for both of its ends: this server, and the command line.

use serde::{Deserialize, Serialize};

use crate::fallback::ReleaseId;
use crate::model::{BucketName, SnapshotName};

/// `GET …/objects`: what is stored here, in the order of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objects {
    /// The objects, and the tombstones if they were asked for.
    pub objects: Vec<ListedObject>,
    /// Where the next page begins (`?after=`); without it there is none.
    pub next: Option<String>,
}

/// `GET …/token`: what a page shows besides the password, in the header `x-understudy-token`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// It holds as long as the key pair does.
    pub token: String,
}

/// `GET …/release`: what is under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Hidden in production, with everything newer of the same products.
    pub under_test: Vec<ReleaseId>,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// What it is.
    pub kind: Kind,
    /// When it was written, fetched or deleted.
    pub modified: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its tag, if it is an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// What a key of a listing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An object that a client wrote here.
    Written,
    /// An object of production that was fetched.
    Cached,
    /// Deleted here: production is not asked for it.
    Tombstone,
    /// Deleted here, with older versions below it.
    DeleteMarker,
}

/// `GET …/tombstones`: what was deleted here and is hidden although production may have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstones {
    /// In the order of keys. A page may have fewer than were asked for, or none, and not be the last.
    pub tombstones: Vec<Tombstone>,
    /// Where the next page begins (`?after=`); without it there is none.
    pub next: Option<String>,
}

/// One key that was deleted here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The key.
    pub key: String,
    /// When it was deleted.
    pub deleted: String,
}

/// `POST …/undelete`: which tombstones are to go. Exactly one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undelete {
    /// These.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
    /// All below this; the empty prefix is the whole bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undeleted {
    /// How many tombstones are gone.
    pub undeleted: u64,
    /// The keys of the request that had none.
    pub without_tombstone: Vec<String>,
}

/// `GET …/inventory`: what is known of production by import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// How many keys.
    pub rows: u64,
    /// Below which prefixes it is complete.
    pub covers: Vec<Cover>,
}

/// A prefix below which what is not known does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// The prefix.
    pub prefix: String,
    /// As of when.
    pub taken: String,
}

/// `POST …/inventory` and `DELETE …/inventory`: how many rows came or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// How many.
    pub rows: u64,
}

/// `GET …/crawl?prefix=` and the answer to a step: how far a crawl is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Whether there is such a crawl, begun and not done.
    pub begun: bool,
    /// Folders to look at, at most 1,000 of them.
    pub pending: Vec<String>,
    /// How many there are in all.
    pub pending_count: u64,
    /// How many were looked at.
    pub done_count: u64,
}

/// `POST …/crawl`: a step of a crawl.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Below which prefix the crawl is.
    pub prefix: String,
    /// Rows that were found, each as a line of an import is written.
    #[serde(default)]
    pub rows: Vec<serde_json::Value>,
    /// Folders that were looked at.
    #[serde(default)]
    pub done: Vec<String>,
    /// Folders that are to be looked at.
    #[serde(default)]
    pub found: Vec<String>,
}

/// `GET /-/api/v1/upstreams`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstreams {
    /// Every upstream that was asked so far.
    pub upstreams: Vec<UpstreamHealth>,
}

/// How an upstream is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamHealth {
    /// Its name.
    pub name: String,
    /// Whether it counts as down and is left alone for now.
    pub down: bool,
    /// What happened last, if that was a failure.
    pub last_error: Option<String>,
    /// Requests that were sent.
    pub requests: u64,
    /// Of these, how many failed.
    pub failures: u64,
    /// Bytes of bodies that came.
    pub bytes: u64,
}

/// `GET /-/api/v1/receipt`: what was done with the stage, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Since when is counted.
    pub since: String,
    /// As of when.
    pub until: String,
    /// The releases under test, by name; an earlier understudy does not say.
    #[serde(default)]
    pub under_test: Vec<String>,
    /// What clients changed.
    pub written: Written,
    /// Downloads that were answered here, and questions for what is known of an object.
    pub read: Reads,
    /// What was had from production, by upstream.
    pub production: Vec<FromUpstream>,
    /// What was not answered.
    pub refused: NotAnswered,
    /// What every bucket holds.
    pub buckets: Vec<Held>,
}

/// How often something was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// How often.
    pub count: u64,
    /// With how many bytes.
    pub bytes: u64,
    /// When first; without it, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// When last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

/// What clients changed. It is exact, also after a crash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Objects that were uploaded.
    pub uploaded: Done,
    /// Objects that were replaced by an upload or a copy.
    pub overwritten: Done,
    /// Objects that were made of other objects.
    pub copied: Done,
    /// Objects that were deleted.
    pub deleted: Done,
    /// Deletes that hide what production has.
    pub tombstones: Done,
    /// Of these, those that were taken back.
    pub undeleted: Done,
}

/// Downloads by where the bytes were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    /// Of what was written here.
    pub here: Done,
    /// Of what is kept of production.
    pub cached: Done,
    /// HEAD requests and the like, wherever the answer was.
    pub looked_up: Done,
}

/// What was had from an upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromUpstream {
    /// Its name.
    pub upstream: String,
    /// Downloads that were sent there.
    pub redirected: Done,
    /// Downloads that were sent there with a signed link.
    pub presigned: Done,
    /// Downloads that were passed on from there.
    pub proxied: Done,
    /// Downloads along with a fetch.
    pub filled: Done,
    /// Objects that were fetched and kept.
    pub fetched: Done,
    /// Requests that it failed.
    pub failed: Done,
}

/// What was not answered, and why not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotAnswered {
    /// Reads of the release under test that is not here: production was not asked.
    pub under_test: Done,
    /// Reads of what was deleted here: production was not asked.
    pub hidden: Done,
    /// Reads that a rule denies.
    pub denied: Done,
    /// Reads of what is nowhere.
    pub absent: Done,
    /// Requests without the right to be answered.
    pub forbidden: Done,
}

/// What a bucket holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its name.
    pub bucket: String,
    /// Objects that were written here.
    pub written: Sum,
    /// Objects that are kept of production.
    pub cached: Sum,
    /// Keys that were deleted here and are hidden in production.
    pub tombstones: u64,
}

/// How many objects, of how many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Objects.
    pub objects: u64,
    /// Bytes.
    pub bytes: u64,
}

/// `POST /-/api/v1/snapshots`: a state to keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSnapshot {
    /// What it shall be called.
    pub name: SnapshotName,
}

/// A state that the stage can go back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its name.
    pub name: SnapshotName,
    /// When it was taken.
    pub created: String,
    /// How many objects it has.
    pub objects: u64,
    /// Their bytes; blobs are shared with the present and other snapshots.
    pub bytes: u64,
    /// How large its copy of the index is.
    pub index_bytes: u64,
}

/// `GET /-/api/v1/snapshots`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshots {
    /// The earliest first.
    pub snapshots: Vec<Snapshot>,
}

/// `DELETE /-/api/v1/snapshots/…`: what was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedSnapshot {
    /// Its name.
    pub deleted: SnapshotName,
}

/// `GET /-/api/v1/snapshots/…/diff`: which keys are not the same in two states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    /// In the order of buckets and keys. A page may have fewer than were asked for, or none, and not be
    /// the last.
    pub differences: Vec<Difference>,
    /// Where the next page begins (`?after_bucket=&after_key=`); without it there is none.
    pub next: Option<Position>,
}

/// A key of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: String,
}

/// One key that is not the same in two states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What became of it.
    pub change: Change,
    /// Its bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: String,
    /// The object of the first state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ObjectVersion>,
    /// The object of the second state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ObjectVersion>,
}

/// What became of a key from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// There is an object where there was none.
    Added,
    /// There is no object any more.
    Removed,
    /// The object is another one.
    Changed,
    /// Deleted: production is not asked for it any more.
    Hidden,
    /// No longer deleted: production is asked for it again.
    Shown,
}

/// An object, as far as a comparison tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectVersion {
    /// Its size in bytes.
    pub size: u64,
    /// Its tag.
    pub etag: String,
}

/// Every refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// A sentence for people.
    pub error: String,
}
