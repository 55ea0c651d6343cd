//! The tally: what was done with the stage since its folder was made, for its receipt.
//!
//! What writes is counted in the transaction that does it, so that after a crash the tally and the
//! objects agree. What was read is gathered by others and added now and then ([`Store::add_tally`]).

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::change::{Change, find, i64_of};
use super::error::Error;
use super::job::Job;
use super::{Store, row, statement};
use crate::model::{BucketName, Timestamp};

/// Declares what is counted, and its name in the index.
macro_rules! counted {
    ($($(#[doc = $doc:literal])* $kind:ident = $name:literal,)*) => {
        /// What is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Counted {
            $($(#[doc = $doc])* $kind,)*
        }

        impl Counted {
            /// All there is.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its name in the index. One that was ever released is never changed.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

counted! {
    /// An object was written by an upload of any form. Bytes: the object's.
    Uploaded = "uploaded",
    /// An object that a client had written was replaced, by an upload or a copy. Bytes: those that were replaced.
    Overwritten = "overwritten",
    /// An object was made of another one's bytes. Bytes: the object's, though none was moved.
    Copied = "copied",
    /// An object that a client had written was deleted. Bytes: the object's.
    Deleted = "deleted",
    /// A delete left a tombstone, which hides what production has.
    Tombstone = "tombstone",
    /// A tombstone was removed, so that production is seen again.
    Undeleted = "undeleted",
    /// An object of an upstream was fetched and kept. Bytes: the object's.
    Fetched = "fetched",
    /// A download of what was written here. Bytes: those that were sent.
    ReadHere = "read_here",
    /// A download of what is kept of production. Bytes: those that were sent.
    ReadCached = "read_cached",
    /// A download along with a fetch. Bytes: those that were sent.
    ReadFilled = "read_filled",
    /// A download that was passed on from an upstream. Bytes: those that were sent.
    ReadProxied = "read_proxied",
    /// A download that was sent to an upstream.
    ReadRedirected = "read_redirected",
    /// A download that was sent to an upstream with a signed link.
    ReadPresigned = "read_presigned",
    /// A HEAD, or another question for what is known of an object, that was answered.
    LookedUp = "looked_up",
    /// A read of what is nowhere.
    Absent = "absent",
    /// A read of the release under test that is not here: production was not asked.
    UnderTest = "under_test",
    /// A read of what was deleted here: production was not asked.
    Hidden = "hidden",
    /// A read that a rule denies.
    Denied = "denied",
    /// A request that its signature or the grants did not allow.
    Refused = "refused",
    /// A request that an upstream failed.
    UpstreamFailed = "upstream_failed",
}

impl Counted {
    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// How often, and with how many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How often.
    pub count: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Counts that were gathered, by what is counted and by the name of an upstream, which is empty where
/// it was about none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<(Counted, String), Amount>);

/// A count as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// What is counted.
    pub counted: Counted,
    /// The upstream that it was about, by its name; empty for none.
    pub upstream: String,
    /// How much it is.
    pub amount: Amount,
    /// When it was first counted.
    pub first: Timestamp,
    /// When it was last counted.
    pub last: Timestamp,
}

/// All that was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tallied {
    /// Since when.
    pub since: Timestamp,
    /// Every count that is not zero.
    pub totals: Vec<Total>,
}

/// What a bucket holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The bucket.
    pub bucket: BucketName,
    /// Objects that were written here.
    pub written: Amount,
    /// Objects that are kept of production.
    pub cached: Amount,
    /// Keys that were deleted here and are hidden in production.
    pub tombstones: u64,
}

impl Tally {
    /// Counts once.
    pub fn count(&mut self, counted: Counted, upstream: &str, bytes: u64) {
        self.add((counted, upstream.to_owned()), Amount { count: 1, bytes });
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: Self) {
        for (what, amount) in other.0 {
            self.add(what, amount);
        }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, what: (Counted, String), amount: Amount) {
        let sum = self.0.entry(what).or_default();
        sum.count = sum.count.saturating_add(amount.count);
        sum.bytes = sum.bytes.saturating_add(amount.bytes);
    }
}

impl Store {
    /// Adds counts that were gathered elsewhere.
    pub async fn add_tally(&self, tally: Tally) -> Result<(), Error> {
        self.0.writer.ask(|reply| Job::AddTally(tally, reply)).await
    }

    /// All that was counted.
    pub fn tally(&self) -> Result<Tallied, Error> {
        self.0.shared.readers.read(|connection| {
            let since = find(connection, statement::TALLY_BEGIN, [], |row| row::time(row, 0))?;
            let since = since.ok_or_else(|| Error::damaged("the beginning of the tally is missing"))?;
            Ok(Tallied { since, totals: totals(connection)? })
        })
    }

    /// What every bucket holds, in the order of their names. It looks at every object: ask it for a
    /// receipt, not for each request, and where waiting harms nobody.
    pub fn holdings(&self) -> Result<Vec<Holding>, Error> {
        self.0.shared.readers.read(holdings)
    }
}

fn totals(connection: &Connection) -> Result<Vec<Total>, Error> {
    let mut statement = connection.prepare_cached(statement::READ_TALLY)?;
    let mut rows = statement.query([])?;
    let mut totals = Vec::new();
    while let Some(found) = rows.next()? {
        let name: String = found.get(0)?;
        let unknown = || Error::damaged(format_args!("the tally counts {name:?}"));
        totals.push(Total {
            counted: Counted::parse(&name).ok_or_else(unknown)?,
            upstream: found.get(1)?,
            amount: Amount { count: row::number(found, 2)?, bytes: row::number(found, 3)? },
            first: row::time(found, 4)?,
            last: row::time(found, 5)?,
        });
    }
    Ok(totals)
}

/// It stands here and not with the statements of every day, as it reads the whole table. Copies cost
/// nothing, so that a sum may be too large for a number; a total is not, and is exact up to 2^53.
const HOLDINGS: &str = "
    SELECT b.name,
           count(*) FILTER (WHERE o.kind = 0 AND o.origin = 0),
           CAST(total(o.size) FILTER (WHERE o.kind = 0 AND o.origin = 0) AS INTEGER),
           count(*) FILTER (WHERE o.kind = 0 AND o.origin = 1),
           CAST(total(o.size) FILTER (WHERE o.kind = 0 AND o.origin = 1) AS INTEGER),
           count(*) FILTER (WHERE o.kind = 2)
    FROM bucket b LEFT JOIN object o ON o.bucket_id = b.id
    GROUP BY b.id ORDER BY b.name";

fn holdings(connection: &Connection) -> Result<Vec<Holding>, Error> {
    let mut statement = connection.prepare_cached(HOLDINGS)?;
    let mut rows = statement.query([])?;
    let mut holdings = Vec::new();
    while let Some(found) = rows.next()? {
        let name: String = found.get(0)?;
        holdings.push(Holding {
            bucket: BucketName::parse(&name).map_err(Error::damaged)?,
            written: Amount { count: row::number(found, 1)?, bytes: row::number(found, 2)? },
            cached: Amount { count: row::number(found, 3)?, bytes: row::number(found, 4)? },
            tombstones: row::number(found, 5)?,
        });
    }
    Ok(holdings)
}

/// Writes down since when is counted, where that was not done before.
pub(super) fn begin(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    connection.execute(statement::BEGIN_TALLY, [now.as_ms()]).map(drop)
}

/// Writes what a group has counted: one row for each thing that was counted, however many jobs did.
pub(super) fn write(change: &mut Change, tally: &Tally) -> Result<(), Error> {
    let now = change.now().as_ms();
    for ((counted, upstream), amount) in &tally.0 {
        let counts = params![counted.name(), upstream, i64_of(amount.count), i64_of(amount.bytes), now];
        change.execute(statement::ADD_TALLY, counts)?;
    }
    Ok(())
}
