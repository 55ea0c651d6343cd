//! Rows of one local table, read in order and a few at a time.

use std::collections::VecDeque;

use super::text::behind;
use crate::store::{self, InventoryRow, Listed, Scan, Start};

/// The first scan, and the first after a jump: enough to step over a small folder.
const ROWS_MIN: usize = 16;
/// The memory of a scan stays bounded.
const ROWS_MAX: usize = 4096;
/// How fast scans grow while their rows are consumed.
const GROWTH: usize = 4;

/// A row that has a key.
pub(super) trait Keyed {
    fn key(&self) -> &str;
}

impl Keyed for Listed {
    fn key(&self) -> &str {
        self.key.as_str()
    }
}

impl Keyed for InventoryRow {
    fn key(&self) -> &str {
        self.key.as_str()
    }
}

/// Rows that were read and not consumed.
#[derive(Debug)]
pub(super) struct Buffer<R> {
    rows: VecDeque<R>,
    limit: usize,
    /// Where the next scan begins; `None` if nothing is left.
    next: Option<String>,
}

impl<R: Keyed> Buffer<R> {
    /// Nothing read yet. `limit` is how many rows will probably be wanted.
    pub(super) fn new(limit: usize) -> Self {
        Self { rows: VecDeque::new(), limit: limit.clamp(ROWS_MIN, ROWS_MAX), next: Some(String::new()) }
    }

    /// Goes on at the first row whose key is `from` or greater.
    pub(super) fn seek(&mut self, from: &str) {
        let before = self.rows.partition_point(|row| row.key() < from);
        self.rows.drain(..before);
        if self.rows.is_empty() && self.next.as_deref().is_some_and(|next| next < from) {
            if before > 0 {
                self.limit = ROWS_MIN;
            }
            self.next = Some(from.to_owned());
        }
    }

    /// The next row, read with `scan` if none is left of the last time.
    pub(super) fn head(
        &mut self,
        prefix: &str,
        scan: impl Fn(&Scan) -> Result<Vec<R>, store::Error>,
    ) -> Result<Option<&R>, store::Error> {
        if self.rows.is_empty()
            && let Some(next) = self.next.take()
        {
            let wanted = Scan {
                start: Start::At(next),
                prefix: prefix.to_owned(),
                limit: self.limit,
                tombstones: true,
            };
            self.rows = scan(&wanted)?.into();
            if self.rows.len() >= self.limit {
                self.next = self.rows.back().map(|row| behind(row.key()));
            }
            self.limit = (self.limit * GROWTH).min(ROWS_MAX);
        }
        Ok(self.rows.front())
    }

    /// The next row, if one was read.
    pub(super) fn peek(&self) -> Option<&R> {
        self.rows.front()
    }

    /// Takes the next row if it has this key.
    pub(super) fn take(&mut self, key: &str) -> Option<R> {
        self.rows.pop_front_if(|row| row.key() == key)
    }
}
