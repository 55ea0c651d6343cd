//! Comparing a table on two sides: both are read in the order of their keys, side by side, in memory for
//! one row each.

use std::cmp::Ordering;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, Statement};

use crate::store::error::Error;

/// A table, as far as a merge needs to know it. Its key is its first columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The columns of its key, and whether each is ordered downwards.
    pub(super) key: &'static [(&'static str, bool)],
}

/// Replaces all rows of a table. For tables that are small.
pub(super) fn replace(writing: &Connection, taken: &Connection, table: &str) -> Result<(), Error> {
    writing.execute(&format!("DELETE FROM {table}"), [])?;
    let mut rows = taken.prepare(&format!("SELECT * FROM {table}"))?;
    let mut insert = writing.prepare(&insertion(table, rows.column_count()))?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        put(&mut insert, row)?;
    }
    Ok(())
}

/// A statement that inserts whole rows.
pub(super) fn insertion(table: &str, columns: usize) -> String {
    format!("INSERT INTO {table} VALUES (?{})", ", ?".repeat(columns.saturating_sub(1)))
}

/// Inserts a row as it is.
pub(super) fn put(insert: &mut Statement<'_>, row: &Row<'_>) -> Result<(), Error> {
    for index in 0..row.as_ref().column_count() {
        insert.raw_bind_parameter(index + 1, ToSqlOutput::Borrowed(row.get_ref(index)?))?;
    }
    insert.raw_execute()?;
    Ok(())
}

impl Table {
    fn selection(self) -> String {
        let order: Vec<_> = self
            .key
            .iter()
            .map(|(column, down)| format!("{column}{}", if *down { " DESC" } else { "" }))
            .collect();
        format!("SELECT * FROM {} ORDER BY {}", self.name, order.join(", "))
    }

    fn compare(self, ours: &Row<'_>, theirs: &Row<'_>) -> Result<Ordering, Error> {
        for (index, (_, down)) in self.key.iter().enumerate() {
            let order = order(ours.get_ref(index)?, theirs.get_ref(index)?);
            if order.is_ne() {
                return Ok(if *down { order.reverse() } else { order });
            }
        }
        Ok(Ordering::Equal)
    }
}

/// The order of two values of one column; columns of keys have one type, which is never NULL.
fn order(one: ValueRef<'_>, other: ValueRef<'_>) -> Ordering {
    match (one, other) {
        (ValueRef::Integer(one), ValueRef::Integer(other)) => one.cmp(&other),
        (ValueRef::Text(one) | ValueRef::Blob(one), ValueRef::Text(other) | ValueRef::Blob(other)) => {
            one.cmp(other)
        }
        (
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_),
            _,
        ) => Ordering::Equal,
    }
}

fn is_same(ours: &Row<'_>, theirs: &Row<'_>) -> Result<bool, Error> {
    for index in 0..ours.as_ref().column_count() {
        if ours.get_ref(index)? != theirs.get_ref(index)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Goes through a table on both sides and hands over what is not the same: a row of ours alone, one of
/// theirs alone, or two of the same key. `differ` says whether to go on.
pub(super) fn differences(
    ours: &Connection,
    theirs: &Connection,
    table: Table,
    mut differ: impl FnMut(Option<&Row<'_>>, Option<&Row<'_>>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let selection = table.selection();
    let (mut ours, mut theirs) = (ours.prepare(&selection)?, theirs.prepare(&selection)?);
    let (mut ours, mut theirs) = (ours.query([])?, theirs.query([])?);
    let (mut one, mut other) = (ours.next()?, theirs.next()?);
    loop {
        let order = match (one, other) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(ours), Some(theirs)) => table.compare(ours, theirs)?,
        };
        let go_on = match (order, one, other) {
            (Ordering::Less, ours, _) => differ(ours, None)?,
            (Ordering::Greater, _, theirs) => differ(None, theirs)?,
            (Ordering::Equal, Some(ours), Some(theirs)) => is_same(ours, theirs)? || differ(one, other)?,
            (Ordering::Equal, ours, theirs) => differ(ours, theirs)?,
        };
        if !go_on {
            return Ok(());
        }
        if order.is_le() {
            one = ours.next()?;
        }
        if order.is_ge() {
            other = theirs.next()?;
        }
    }
}
