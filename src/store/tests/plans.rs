//! No statement of the serving store scans a table or sorts.

use rusqlite::Connection;

use crate::store::statement::ALL;

#[test]
fn every_statement_searches_an_index_and_sorts_nothing() {
    let connection = Connection::open_in_memory().expect("SQLite works");
    connection.execute_batch(include_str!("../../../schema/0001_start.sql")).expect("a valid schema");
    let second = include_str!("../../../schema/0002_metadata_and_sessions.sql");
    connection.execute_batch(second).expect("a valid schema");
    for (name, sql) in ALL {
        let explained = format!("EXPLAIN QUERY PLAN {sql}");
        if explained.contains("PLAN SAVEPOINT") || !sql.contains(' ') {
            continue;
        }
        let mut statement = connection.prepare(&explained).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().unwrap_or_else(|error| panic!("{name}: {error}")) {
            let step: String = row.get(3).expect("text");
            let scans = step.starts_with("SCAN") && step != "SCAN CONSTANT ROW";
            assert!(!scans && !step.contains("TEMP B-TREE"), "{name}: {step}");
        }
    }
}

#[test]
fn a_plan_that_scans_would_be_seen() {
    let connection = Connection::open_in_memory().expect("SQLite works");
    connection.execute_batch(include_str!("../../../schema/0001_start.sql")).expect("a valid schema");
    let second = include_str!("../../../schema/0002_metadata_and_sessions.sql");
    connection.execute_batch(second).expect("a valid schema");
    let plan: String = connection
        .query_row("EXPLAIN QUERY PLAN SELECT * FROM object WHERE size > 1", [], |row| row.get(3))
        .expect("a plan");
    assert!(plan.starts_with("SCAN"), "{plan}");
}
