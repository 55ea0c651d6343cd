-- Which index this is, how far it has come, and which files it can have made: so that an older copy of it or
-- another stage's index is recognised, and no blob is removed that it cannot have known.

CREATE TABLE identity (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    value TEXT NOT NULL            -- random; a fork or an import gets another one
) STRICT;

INSERT INTO identity (id, value) VALUES (1, lower(hex(randomblob(16))));

-- Group commits that changed something, since the beginning.
INSERT INTO counter (name, value) VALUES ('commits', 0);

-- The processes that may have made blobs. The row of one is committed before its first blob is made.
CREATE TABLE run (
    name TEXT PRIMARY KEY,         -- the names of its blobs begin with it
    last TEXT NOT NULL             -- no name behind this one was given out when this row was written
) STRICT, WITHOUT ROWID;

INSERT INTO run (name, last)
SELECT substr(name, 1, 16), max(name) FROM blob WHERE name IS NOT NULL GROUP BY 1;
