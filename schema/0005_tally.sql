-- What was done with the stage, for its receipt: how often, with how many bytes, when first and last.
-- `upstream` is the name of the upstream that it was about, and empty where it was about none.
CREATE TABLE tally (
    kind     TEXT NOT NULL,
    upstream TEXT NOT NULL,
    count    INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    PRIMARY KEY (kind, upstream)
) STRICT, WITHOUT ROWID;

-- Since when it is counted: one row, which the first start writes.
CREATE TABLE tally_begin (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    since_ms INTEGER NOT NULL
) STRICT;
