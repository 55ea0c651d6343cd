-- The index of the store: which objects there are, and which bytes of which blobs they are made of.
--
-- `sequence` is one counter for the whole store. It orders versions, is the generation that clients
-- see, and gives contents and blobs their ids; a value is never used twice.
-- Keys are blobs so that they order by their UTF-8 bytes and may hold any character, NUL included.
-- Times are milliseconds since 1970. Checksums are text as S3 shows it: base64, `-N` if composite.

CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counter (name, value) VALUES ('sequence', 0);

-- Rows are never changed: another display name for the same id is another row.
CREATE TABLE owner (
    id           INTEGER PRIMARY KEY,
    canonical_id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    UNIQUE (canonical_id, display_name)
) STRICT;

CREATE TABLE bucket (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    region     TEXT NOT NULL,
    owner      INTEGER NOT NULL,
    versioning INTEGER NOT NULL DEFAULT 0 CHECK (versioning IN (0, 1, 2)) -- never, enabled, suspended
) STRICT;

CREATE TABLE bucket_setting (
    bucket_id INTEGER NOT NULL,
    name      TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (bucket_id, name)
) STRICT, WITHOUT ROWID;

-- One row for each version, newest first: the first row of a key is its current version.
-- A bucket that never had versioning has at most one row for each key, with version_id NULL.
CREATE TABLE object (
    bucket_id          INTEGER NOT NULL,
    key                BLOB NOT NULL,
    sequence           INTEGER NOT NULL,
    kind               INTEGER NOT NULL CHECK (kind IN (0, 1, 2)), -- object, delete marker, tombstone
    version_id         TEXT,                                       -- NULL is S3's "null" version
    modified_ms        INTEGER NOT NULL,
    size               INTEGER NOT NULL,
    etag               TEXT,
    checksum_algorithm TEXT,
    checksum           TEXT,
    owner              INTEGER NOT NULL,
    content_id         INTEGER,
    metageneration     INTEGER NOT NULL,
    origin             INTEGER NOT NULL CHECK (origin IN (0, 1)),  -- written here, cached from upstream
    parts              INTEGER,
    upload_id          TEXT,                                       -- the upload that made it
    md5                BLOB,
    crc32c             INTEGER,
    metadata           TEXT NOT NULL,                              -- JSON
    tags               TEXT,                                       -- JSON, NULL for none
    PRIMARY KEY (bucket_id, key, sequence DESC),
    CHECK ((kind = 0) = (content_id IS NOT NULL)),
    CHECK ((kind = 0) = (etag IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Copies share a content: "does anything still refer to it" is a look-up here.
CREATE INDEX object_content ON object (content_id) WHERE content_id IS NOT NULL;

-- Immutable bytes: either here or in a file.
CREATE TABLE blob (
    id    INTEGER PRIMARY KEY,
    name  TEXT,                   -- of its file below blobs/, NULL where the bytes are here
    size  INTEGER NOT NULL,
    md5   BLOB NOT NULL,
    bytes BLOB,
    CHECK ((name IS NULL) = (bytes IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX blob_name ON blob (name) WHERE name IS NOT NULL;

-- A content is a list of pieces of blobs, without gaps. An empty content has no rows.
CREATE TABLE segment (
    content_id  INTEGER NOT NULL,
    start       INTEGER NOT NULL,
    blob_id     INTEGER NOT NULL,
    blob_offset INTEGER NOT NULL,
    length      INTEGER NOT NULL CHECK (length > 0),
    PRIMARY KEY (content_id, start)
) STRICT, WITHOUT ROWID;

CREATE INDEX segment_blob ON segment (blob_id);

-- Where the parts of a multipart object lie, for GET with partNumber.
CREATE TABLE object_part (
    content_id         INTEGER NOT NULL,
    number             INTEGER NOT NULL,
    start              INTEGER NOT NULL,
    size               INTEGER NOT NULL,
    checksum_algorithm TEXT,
    checksum           TEXT,
    PRIMARY KEY (content_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE upload (
    bucket_id          INTEGER NOT NULL,
    key                BLOB NOT NULL,
    id                 TEXT NOT NULL,
    sequence           INTEGER NOT NULL,
    initiated_ms       INTEGER NOT NULL,
    owner              INTEGER NOT NULL,
    checksum_algorithm TEXT,
    checksum_kind      TEXT,
    metadata           TEXT NOT NULL,
    tags               TEXT,
    PRIMARY KEY (bucket_id, key, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE part (
    upload             INTEGER NOT NULL, -- sequence of the upload
    number             INTEGER NOT NULL,
    content_id         INTEGER NOT NULL,
    size               INTEGER NOT NULL,
    modified_ms        INTEGER NOT NULL,
    md5                BLOB NOT NULL,
    crc32c             INTEGER,
    crc64nvme          INTEGER,          -- the bits of an unsigned number
    checksum_algorithm TEXT,
    checksum           TEXT,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;

-- Contents that nothing refers to any more. A reader that began before `sequence` may still hold
-- one; once all of those are done it is removed, with the blobs that were only its.
CREATE TABLE garbage (
    sequence   INTEGER NOT NULL,
    content_id INTEGER NOT NULL,
    PRIMARY KEY (sequence, content_id)
) STRICT, WITHOUT ROWID;
