-- A view of production: objects cached from upstream, and the imported index of what it holds.

-- Of a cached object, and NULL for every other: when it was last read, and when it was fetched.
ALTER TABLE object ADD COLUMN used_ms INTEGER;
ALTER TABLE object ADD COLUMN fetched_ms INTEGER;

-- What is cached, the least recently used first and the earliest fetched first. They hold all that
-- the sum and the eviction ask for, so that neither reads rows that were written here.
CREATE INDEX object_used ON object (used_ms, size, content_id) WHERE origin = 1;
CREATE INDEX object_fetched ON object (fetched_ms, size, content_id) WHERE origin = 1;

-- The imported index of a bucket, if it has one. `id` is a number of the store's sequence. One that
-- was dropped belongs to no bucket (NULL), and the sweep removes its rows a few at a time.
CREATE TABLE inventory (
    id        INTEGER PRIMARY KEY,
    bucket_id INTEGER UNIQUE,
    rows      INTEGER NOT NULL       -- how many it has: to count ten million takes seconds
) STRICT;

CREATE TABLE inventory_row (
    inventory_id INTEGER NOT NULL,
    key          BLOB NOT NULL,
    size         INTEGER NOT NULL,
    modified_ms  INTEGER,
    etag         TEXT,
    md5          BLOB,
    crc32c       INTEGER,
    PRIMARY KEY (inventory_id, key)
) STRICT, WITHOUT ROWID;

-- Below these prefixes, what has no row does not exist.
CREATE TABLE inventory_cover (
    inventory_id INTEGER NOT NULL,
    prefix       BLOB NOT NULL,
    taken_ms     INTEGER NOT NULL,
    PRIMARY KEY (inventory_id, prefix)
) STRICT, WITHOUT ROWID;

-- Crawls that are not done. `pending` is how many rows they have in `crawl_folder`.
CREATE TABLE crawl (
    inventory_id INTEGER NOT NULL,
    prefix       BLOB NOT NULL,
    begun_ms     INTEGER NOT NULL,
    pending      INTEGER NOT NULL,
    done         INTEGER NOT NULL,
    PRIMARY KEY (inventory_id, prefix)
) STRICT, WITHOUT ROWID;

-- Folders that a crawl is still to look at.
CREATE TABLE crawl_folder (
    inventory_id INTEGER NOT NULL,
    prefix       BLOB NOT NULL,      -- of the crawl
    folder       BLOB NOT NULL,
    PRIMARY KEY (inventory_id, prefix, folder)
) STRICT, WITHOUT ROWID;
