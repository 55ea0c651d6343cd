//! How many rows the next scan asks for.

/// After a roll-up: enough to step over a small folder without a scan of its own.
const ROWS_MIN: usize = 8;
/// A scan's memory stays bounded whatever the page.
const ROWS_MAX: usize = 4096;
/// How fast scans grow while they are worth it.
const GROWTH: usize = 4;

/// Small scans where most rows are rolled up, growing ones elsewhere.
///
/// A scan is at most [`GROWTH`] times as large as one that gave an entry for every other row, so
/// the rows of a whole page stay within a constant factor of its entries.
#[derive(Debug)]
pub(super) struct Pace {
    rows: usize,
}

impl Pace {
    /// Without a delimiter every row is an entry, and one scan is enough.
    pub(super) fn new(rolls_up: bool) -> Self {
        Self { rows: if rolls_up { ROWS_MIN } else { ROWS_MAX } }
    }

    /// The limit of a scan when `wanted` entries are missing: one row more tells whether the page
    /// is truncated.
    pub(super) fn limit(&self, wanted: usize) -> usize {
        self.rows.min(wanted.saturating_add(1))
    }

    /// Takes note that a scan of `rows` rows gave `entries` entries.
    pub(super) fn learn(&mut self, rows: usize, entries: usize) {
        self.rows = if entries * 2 < rows { ROWS_MIN } else { (self.rows * GROWTH).min(ROWS_MAX) };
    }
}
