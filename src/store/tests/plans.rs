//! No statement of the serving store scans a table or sorts.

use rusqlite::Connection;

use crate::store::migrate::STEPS;
use crate::store::statement::ALL;

/// What is cached is a small part of a large table: these read the index of that part, in its order,
/// and never a row of the table.
const SCANS: &[(&str, &str)] = &[
    ("SUM_CACHED", "SCAN object USING COVERING INDEX object_used"),
    ("LEAST_USED", "SCAN object USING COVERING INDEX object_used"),
    // It has a row for each thing that is counted, whatever is stored.
    ("READ_TALLY", "SCAN tally"),
];

fn index() -> Connection {
    let connection = Connection::open_in_memory().expect("SQLite works");
    for step in STEPS {
        connection.execute_batch(step).expect("a valid schema");
    }
    connection
}

/// The steps of a statement's plan; none for what has no plan.
fn plan(connection: &Connection, (name, sql): (&str, &str)) -> Vec<String> {
    let explained = format!("EXPLAIN QUERY PLAN {sql}");
    if explained.contains("PLAN SAVEPOINT") || !sql.contains(' ') {
        return Vec::new();
    }
    let mut statement = connection.prepare(&explained).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap_or_else(|error| panic!("{name}: {error}")) {
        steps.push(row.get(3).expect("text"));
    }
    steps
}

#[test]
fn every_statement_searches_an_index_and_sorts_nothing() {
    let connection = index();
    for (name, sql) in ALL {
        for step in plan(&connection, (name, sql)) {
            let may = SCANS.contains(&(name, step.as_str())) || step == "SCAN CONSTANT ROW";
            let scans = step.starts_with("SCAN") && !may;
            assert!(!scans && !step.contains("TEMP B-TREE"), "{name}: {step}");
        }
    }
}

#[test]
fn what_is_asked_of_every_request_is_a_search() {
    let connection = index();
    let expected = [
        ("FIND_INVENTORY", "SEARCH i USING INDEX sqlite_autoindex_inventory_1 (bucket_id=?) LEFT-JOIN"),
        ("FIND_INVENTORY_ROW", "SEARCH inventory_row USING PRIMARY KEY (inventory_id=? AND key=?)"),
        ("SCAN_INVENTORY", "SEARCH inventory_row USING PRIMARY KEY (inventory_id=? AND key>? AND key<?)"),
        ("COVER_BEFORE", "SEARCH inventory_cover USING PRIMARY KEY (inventory_id=? AND prefix<?)"),
        ("FETCHED_BEFORE", "SEARCH object USING COVERING INDEX object_fetched (fetched_ms<?)"),
        ("NOTE_USED", "SEARCH object USING PRIMARY KEY (bucket_id=? AND key=?)"),
        ("UNDELETE", "SEARCH object USING PRIMARY KEY (bucket_id=? AND key=?)"),
    ];
    for (name, step) in expected {
        let statement = ALL.iter().find(|(known, _)| *known == name).expect("a statement");
        let plan = plan(&connection, *statement);
        assert!(plan.iter().any(|found| found == step), "{name}: {plan:?}");
    }
}

#[test]
fn a_plan_that_scans_would_be_seen() {
    let plan = plan(&index(), ("", "SELECT * FROM object WHERE size > 1"));
    assert_eq!(plan, ["SCAN object"]);
}
