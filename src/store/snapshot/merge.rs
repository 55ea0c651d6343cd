//! Making the rows of a table those of a snapshot, by the least number of changes.
//!
//! Both are read in the order of their keys, side by side. What is the same stays untouched, so that
//! going back costs what was changed since, and memory for one row.

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

/// Where rows are read from and written to.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    /// The state to go back to.
    pub(super) taken: &'a Connection,
    /// The present as it was before, on another connection than that which writes.
    pub(super) present: &'a Connection,
    /// The writing connection, inside its transaction.
    pub(super) writing: &'a Connection,
}

/// Makes a table the same as in the snapshot. `removed` sees each row that goes or is replaced.
pub(super) fn make_same(
    sides: Sides<'_>,
    table: Table,
    mut removed: impl FnMut(&Row<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut delete = sides.writing.prepare(&table.deletion())?;
    merge(sides, table, |insert, ours, theirs| {
        if let Some(ours) = ours {
            removed(ours)?;
            for index in 0..table.key.len() {
                delete.raw_bind_parameter(index + 1, ToSqlOutput::Borrowed(ours.get_ref(index)?))?;
            }
            delete.raw_execute()?;
        }
        theirs.map_or(Ok(()), |theirs| put(insert, theirs))
    })
}

/// Adds the snapshot's rows that the table lacks. Its rows never change: a row of the same key that is
/// not the same is from another store.
pub(super) fn add_missing(sides: Sides<'_>, table: Table) -> Result<(), Error> {
    merge(sides, table, |insert, ours, theirs| match (ours, theirs) {
        (Some(_), Some(_)) => Err(Error::damaged(format_args!(
            "the snapshot is none of this store: its table {} has other rows under the same ids",
            table.name
        ))),
        (None, Some(theirs)) => put(insert, theirs),
        (_, None) => Ok(()),
    })
}

/// Replaces all rows of a table. For tables that are small or have other unique columns than their
/// key, which would get in the way of each other row by row.
pub(super) fn replace(sides: Sides<'_>, table: &str) -> Result<(), Error> {
    sides.writing.execute(&format!("DELETE FROM {table}"), [])?;
    let mut rows = sides.taken.prepare(&format!("SELECT * FROM {table}"))?;
    let mut insert = sides.writing.prepare(&insertion(table, rows.column_count()))?;
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

    fn deletion(self) -> String {
        let key: Vec<_> = self.key.iter().map(|(column, _)| format!("{column} = ?")).collect();
        format!("DELETE FROM {} WHERE {}", self.name, key.join(" AND "))
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

/// Goes through a table on both sides and hands over what is not the same: a row of the present alone,
/// one of the snapshot alone, or two of the same key.
fn merge(
    sides: Sides<'_>,
    table: Table,
    mut differ: impl FnMut(&mut Statement<'_>, Option<&Row<'_>>, Option<&Row<'_>>) -> Result<(), Error>,
) -> Result<(), Error> {
    let selection = table.selection();
    let (mut ours, mut theirs) = (sides.present.prepare(&selection)?, sides.taken.prepare(&selection)?);
    let columns = ours.column_count();
    let mut insert = sides.writing.prepare(&insertion(table.name, columns))?;
    let (mut ours, mut theirs) = (ours.query([])?, theirs.query([])?);
    let (mut one, mut other) = (ours.next()?, theirs.next()?);
    loop {
        let order = match (one, other) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(ours), Some(theirs)) => table.compare(ours, theirs)?,
        };
        match (order, one, other) {
            (Ordering::Less, ours, _) => differ(&mut insert, ours, None)?,
            (Ordering::Greater, _, theirs) => differ(&mut insert, None, theirs)?,
            (Ordering::Equal, Some(ours), Some(theirs)) if is_same(ours, theirs)? => {}
            (Ordering::Equal, ours, theirs) => differ(&mut insert, ours, theirs)?,
        }
        if order.is_le() {
            one = ours.next()?;
        }
        if order.is_ge() {
            other = theirs.next()?;
        }
    }
}
