-- What the stage itself was told and keeps through restarts, forks and exports. `under_test`: the releases
-- under test, with commas between them.
CREATE TABLE stage_setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
