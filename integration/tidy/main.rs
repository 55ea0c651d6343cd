//! Rules of the house that no compiler checks: who imports whom, how large a file may grow, and
//! that each one says what it is for. ARCHITECTURE.md gives the reasons.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms that it may import.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("checksum", &["model"]),
    ("clock", &["model"]),
    ("xml", &["model"]),
    ("signature", &["model"]),
    ("sigv2", &["model", "signature"]),
    ("sigv4", &["model", "signature"]),
    ("presented", &["model", "signature", "sigv2", "sigv4"]),
    ("fallback", &["model", "signature", "sigv4"]),
    ("upstream", &["checksum", "clock", "fallback", "model", "signature", "sigv4", "xml"]),
    ("store", &["checksum", "clock", "model"]),
    ("view", &["checksum", "clock", "fallback", "model", "store", "upstream"]),
    ("protocol", BELOW_PROTOCOL),
    ("admin", BELOW_FACES),
    ("s3", BELOW_FACES),
    ("gcs", BELOW_FACES),
    ("archive", BELOW_FACES),
    (
        "server",
        &[
            "admin", "archive", "clock", "fallback", "gcs", "model", "protocol", "s3", "store", "upstream",
            "view",
        ],
    ),
    (
        "config",
        &[
            "archive", "fallback", "gcs", "model", "protocol", "s3", "server", "sigv4", "store", "upstream",
            "view",
        ],
    ),
    ("library", &["clock", "config", "model"]),
    (
        "cli",
        &[
            "admin",
            "archive",
            "clock",
            "config",
            "fallback",
            "gcs",
            "library",
            "model",
            "protocol",
            "s3",
            "server",
            "signature",
            "sigv4",
            "store",
            "upstream",
            "view",
        ],
    ),
];

/// What the protocol stands on.
const BELOW_PROTOCOL: &[&str] = &[
    "checksum",
    "clock",
    "fallback",
    "model",
    "presented",
    "signature",
    "sigv2",
    "sigv4",
    "store",
    "upstream",
    "view",
    "xml",
];

/// What the faces stand on; they do not know each other.
const BELOW_FACES: &[&str] = &[
    "checksum",
    "clock",
    "fallback",
    "model",
    "presented",
    "protocol",
    "signature",
    "sigv2",
    "sigv4",
    "store",
    "upstream",
    "view",
    "xml",
];

/// Lines of code in a file, its tests not counted.
const LINES_MAX: usize = 420;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils.rs", "util.rs", "common.rs", "helpers.rs", "misc.rs", "manager.rs"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            // What fuzzing builds is nobody's source.
            if !path.ends_with("target") {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The part of a file before its test module.
fn code(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod ").map_or(text, |(code, _)| code)
}

/// The room of a file: the first step of its path below `src`, without `.rs`.
fn room(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).expect("a file below src");
    let first = below.components().next().expect("a path with a step").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms that a file names as `crate::room`.
fn imports(text: &str) -> Vec<String> {
    let name = |rest: &str| -> String {
        rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect()
    };
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.match_indices("crate::").map(|(at, found)| name(&line[at + found.len()..])))
        .collect()
}

#[test]
fn rooms_import_only_what_is_below_them() {
    for path in sources(&root().join("src")) {
        let room = room(&path);
        if room == "lib" || room == "main" {
            continue;
        }
        let (_, allowed) = ROOMS
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("{} is in no room that ROOMS knows", path.display()));
        let text = fs::read_to_string(&path).expect("UTF-8");
        for import in imports(code(&text)) {
            let known = ROOMS.iter().any(|(name, _)| *name == import);
            assert!(
                !known || import == room || allowed.contains(&import.as_str()),
                "{}: {room} must not import {import}",
                path.display()
            );
        }
    }
}

#[test]
fn files_say_what_they_are_for_and_stay_small() {
    for folder in ["src", "integration"] {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(&path).expect("UTF-8");
            assert!(text.starts_with("//!"), "{} does not begin with what it is for", path.display());
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            assert!(!EMPTY_NAMES.contains(&name.as_str()), "{} has a name that says nothing", path.display());
            let in_tests = path.components().any(|step| step.as_os_str() == "tests");
            let is_test = name == "tests.rs" || in_tests || folder == "integration";
            let lines = code(&text).lines().count();
            assert!(is_test || lines <= LINES_MAX, "{} has {lines} lines of code", path.display());
        }
    }
}

#[test]
fn only_the_store_speaks_sql() {
    for path in sources(&root().join("src")) {
        let text = fs::read_to_string(&path).expect("UTF-8");
        let speaks = text.contains("rusqlite");
        assert!(!speaks || room(&path) == "store", "{} imports rusqlite", path.display());
    }
}
