//! What came from upstream: the imported indexes, their covers and crawls, and what is cached.
//!
//! An index that misses a row would say of a key of production that it does not exist. So where a row
//! is removed, what covers it goes too, and a crawl that cannot be trusted is begun again.

use rusqlite::{Connection, params};

use super::{Error, Finding, Run};
use crate::store::{inventory, statement};

/// The tables whose rows belong to an imported index.
const BELOW: [&str; 4] = ["inventory_row", "inventory_cover", "crawl", "crawl_folder"];

/// Notes a row that makes no sense.
fn stray(
    run: &mut Run<'_>,
    table: &'static str,
    reason: String,
    repair: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<(), Error> {
    run.found(Finding::StrayRow { table, reason }, |connection| Ok(repair(connection)?))
}

/// Checks the imported indexes. Those that were dropped are garbage and not looked at.
pub(super) fn check_inventories(run: &mut Run<'_>) -> Result<(), Error> {
    check_heads(run)?;
    for table in BELOW {
        check_belonging(run, table)?;
    }
    check_rows(run)?;
    check_prefixes(run)?;
    check_crawls(run)
}

fn check_heads(run: &mut Run<'_>) -> Result<(), Error> {
    let mut statement = run.connection.prepare(
        "SELECT i.id, i.bucket_id, b.id IS NULL, i.rows,
                (SELECT count(*) FROM inventory_row WHERE inventory_id = i.id)
         FROM inventory i LEFT JOIN bucket b ON b.id = i.bucket_id
         WHERE i.bucket_id IS NOT NULL ORDER BY i.id",
    )?;
    let heads = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?))
    })?;
    let heads: Vec<(i64, i64, bool, _, _)> = heads.collect::<Result<_, _>>()?;
    for (id, bucket, is_lost, said, counted) in heads {
        if is_lost {
            let reason = format!("the imported index {id} belongs to bucket {bucket}, which does not exist");
            stray(run, "inventory", reason, |connection| {
                // From here on it is garbage like one that was dropped.
                connection.execute("UPDATE inventory SET bucket_id = NULL WHERE id = ?1", [id]).map(drop)
            })?;
        } else if said != counted {
            let reason = format!("the imported index {id} has {counted} rows and says {said}");
            stray(run, "inventory", reason, |connection| {
                connection.execute(statement::COUNT_INVENTORY_ROWS, [id, counted - said]).map(drop)
            })?;
        }
    }
    Ok(())
}

fn check_belonging(run: &mut Run<'_>, table: &'static str) -> Result<(), Error> {
    let sql = format!("SELECT DISTINCT inventory_id FROM {table} EXCEPT SELECT id FROM inventory");
    let mut statement = run.connection.prepare(&sql)?;
    let lost = statement.query_map([], |row| row.get::<_, i64>(0))?;
    for id in lost.collect::<Result<Vec<_>, _>>()? {
        stray(run, table, format!("there is no imported index {id}"), |connection| {
            connection.execute(&format!("DELETE FROM {table} WHERE inventory_id = ?1"), [id]).map(drop)
        })?;
    }
    Ok(())
}

fn check_rows(run: &mut Run<'_>) -> Result<(), Error> {
    let mut statement = run.connection.prepare(
        "SELECT r.key, r.size, r.modified_ms, r.etag, r.md5, r.crc32c, r.inventory_id
         FROM inventory i JOIN inventory_row r ON r.inventory_id = i.id WHERE i.bucket_id IS NOT NULL",
    )?;
    let mut rows = statement.query([])?;
    let mut broken = Vec::new();
    while let Some(row) = rows.next()? {
        if let Err(error) = inventory::row(row) {
            broken.push((row.get::<_, i64>(6)?, row.get::<_, Vec<u8>>(0)?, error.to_string()));
        }
    }
    for (id, key, reason) in broken {
        stray(run, "inventory_row", reason, |connection| {
            let row = params![id, key];
            connection
                .execute("DELETE FROM inventory_row WHERE inventory_id = ?1 AND key = ?2", row)
                .and_then(|_| connection.execute(statement::COUNT_INVENTORY_ROWS, [id, -1]))?;
            let covering = "DELETE FROM inventory_cover
                            WHERE inventory_id = ?1 AND prefix = substr(?2, 1, length(prefix))";
            connection.execute(covering, row)?;
            forget_crawls(
                connection,
                "SELECT inventory_id, prefix FROM crawl
                 WHERE inventory_id = ?1 AND prefix = substr(?2, 1, length(prefix))",
                row,
            )
        })?;
    }
    Ok(())
}

fn check_prefixes(run: &mut Run<'_>) -> Result<(), Error> {
    let mut statement = run.connection.prepare("SELECT inventory_id, prefix FROM inventory_cover")?;
    let covers = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    for (id, prefix) in covers.collect::<Result<Vec<_>, _>>()? {
        if let Err(error) = std::str::from_utf8(&prefix) {
            stray(run, "inventory_cover", format!("a prefix that is no text: {error}"), |connection| {
                connection.execute(statement::DELETE_COVER, params![id, prefix]).map(drop)
            })?;
        }
    }
    Ok(())
}

/// What a crawl looks like in its rows.
struct Crawl {
    inventory_id: i64,
    prefix: Vec<u8>,
    /// What it says is pending; `None` if it has folders only.
    said: Option<i64>,
    counted: i64,
    is_text: bool,
}

fn check_crawls(run: &mut Run<'_>) -> Result<(), Error> {
    for crawl in crawls(run.connection)? {
        let Crawl { inventory_id, prefix, said, counted, is_text } = crawl;
        // One that says that there is no folder before it is the mark of an import.
        if is_text && said == Some(counted) {
            continue;
        }
        let reason = match said {
            None => format!("{counted} folders belong to no crawl"),
            Some(_) if !is_text => "a crawl whose prefix or folders are no text".to_owned(),
            Some(said) => format!("a crawl has {counted} folders before it and says {said}"),
        };
        stray(run, "crawl", reason, |connection| {
            forget_crawls(connection, "SELECT ?1, ?2", params![inventory_id, prefix])
        })?;
    }
    Ok(())
}

fn crawls(connection: &Connection) -> Result<Vec<Crawl>, Error> {
    let mut statement = connection.prepare(
        "SELECT a.inventory_id, a.prefix, c.pending, f.folder
         FROM (SELECT inventory_id, prefix FROM crawl
               UNION SELECT inventory_id, prefix FROM crawl_folder) a
         LEFT JOIN crawl c ON c.inventory_id = a.inventory_id AND c.prefix = a.prefix
         LEFT JOIN crawl_folder f ON f.inventory_id = a.inventory_id AND f.prefix = a.prefix
         ORDER BY a.inventory_id, a.prefix",
    )?;
    let mut rows = statement.query([])?;
    let mut crawls: Vec<Crawl> = Vec::new();
    while let Some(row) = rows.next()? {
        let (inventory_id, prefix): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let folder: Option<Vec<u8>> = row.get(3)?;
        let same = |crawl: &&mut Crawl| crawl.inventory_id == inventory_id && crawl.prefix == prefix;
        let is_text = folder.as_deref().is_none_or(|folder| std::str::from_utf8(folder).is_ok());
        let counted = i64::from(folder.is_some());
        if let Some(crawl) = crawls.last_mut().filter(same) {
            crawl.counted += counted;
            crawl.is_text &= is_text;
        } else {
            let is_text = is_text && std::str::from_utf8(&prefix).is_ok();
            crawls.push(Crawl { inventory_id, prefix, said: row.get(2)?, counted, is_text });
        }
    }
    Ok(crawls)
}

/// Forgets the crawls that a query names.
fn forget_crawls(
    connection: &Connection,
    query: &str,
    params: &[&dyn rusqlite::ToSql],
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(query)?;
    let named = statement.query_map(params, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    for (id, prefix) in named.collect::<Result<Vec<_>, _>>()? {
        for deletion in [statement::DELETE_CRAWL_FOLDERS, statement::DELETE_CRAWL] {
            connection.execute(deletion, params![id, prefix])?;
        }
    }
    Ok(())
}

/// Checks that what is cached can be told apart by age and use.
pub(super) fn check_cached(run: &mut Run<'_>) -> Result<(), Error> {
    let timeless = "origin = 1 AND (used_ms IS NULL OR fetched_ms IS NULL)";
    let sql = format!("SELECT count(*) FROM object WHERE {timeless}");
    let count: i64 = run.connection.query_row(&sql, [], |row| row.get(0))?;
    if count > 0 {
        let reason = format!("{count} cached objects do not say when they were fetched or used");
        stray(run, "object", reason, |connection| {
            let sql = format!("UPDATE object SET used_ms = 0, fetched_ms = 0 WHERE {timeless}");
            connection.execute(&sql, []).map(drop)
        })?;
    }
    Ok(())
}
