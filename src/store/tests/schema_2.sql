-- A folder as the version with schema 2 left it, dumped: objects small and large, a copy, a tombstone,
-- a multipart object, an upload in progress.
CREATE TABLE blob (
    id    INTEGER PRIMARY KEY,
    name  TEXT,                   -- of its file below blobs/, NULL where the bytes are here
    size  INTEGER NOT NULL,
    md5   BLOB NOT NULL,
    bytes BLOB,
    CHECK ((name IS NULL) = (bytes IS NOT NULL))
) STRICT;
INSERT INTO "blob" VALUES(1,NULL,11,X'F8392E59A850F960725BCE7672A524A1',X'736D616C6C206279746573');
INSERT INTO "blob" VALUES(2,'a6642a34ffaebd0a000000000000',100000,X'850DB09996BFF0EBAEA1CF483C84EFD6',NULL);
INSERT INTO "blob" VALUES(6,NULL,8,X'3303E12AF474CA11D85ED2966A932992',X'70617274206F6E65');
INSERT INTO "blob" VALUES(9,NULL,4,X'F4C9385F1902F7334B00B9B4ECD164DE',X'70617274');
CREATE TABLE bucket (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    region     TEXT NOT NULL,
    owner      INTEGER NOT NULL,
    versioning INTEGER NOT NULL DEFAULT 0 CHECK (versioning IN (0, 1, 2)) -- never, enabled, suspended
) STRICT;
INSERT INTO "bucket" VALUES(1,'bucket',1795232324867,'us-east-1',1,0);
CREATE TABLE bucket_setting (
    bucket_id INTEGER NOT NULL,
    name      TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (bucket_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "counter" VALUES('sequence',9);
CREATE TABLE garbage (
    sequence   INTEGER NOT NULL,
    content_id INTEGER NOT NULL,
    PRIMARY KEY (sequence, content_id)
) STRICT, WITHOUT ROWID;
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
    tags               TEXT, updated_ms INTEGER,                                       -- JSON, NULL for none
    PRIMARY KEY (bucket_id, key, sequence DESC),
    CHECK ((kind = 0) = (content_id IS NOT NULL)),
    CHECK ((kind = 0) = (etag IS NOT NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO "object" VALUES(1,X'636F7079',3,0,NULL,1795232325267,100000,'850db09996bff0ebaea1cf483c84efd6','CRC64NVME','YFuJMcZRJjw=',2,2,1,0,NULL,NULL,X'850DB09996BFF0EBAEA1CF483C84EFD6',2328887356,'{"system":{"content-type":"application/x-www-form-urlencoded"}}',NULL,NULL);
INSERT INTO "object" VALUES(1,X'64656C65746564',4,2,NULL,1795232325312,0,NULL,NULL,NULL,2,NULL,1,0,NULL,NULL,NULL,NULL,'{}',NULL,NULL);
INSERT INTO "object" VALUES(1,X'6C61726765',2,0,NULL,1795232325234,100000,'850db09996bff0ebaea1cf483c84efd6','CRC64NVME','YFuJMcZRJjw=',2,2,1,0,NULL,NULL,X'850DB09996BFF0EBAEA1CF483C84EFD6',2328887356,'{"system":{"content-type":"application/x-www-form-urlencoded"}}',NULL,NULL);
INSERT INTO "object" VALUES(1,X'6D756C7469',7,0,NULL,1795232325551,8,'a675974b8fb9bfea1d5007ce26896811-1','CRC64NVME','CZogwsoKJCc=',2,7,1,0,1,'0000000000000005cdab45aa93e3079c8bb226d4',NULL,2122999171,'{}',NULL,NULL);
INSERT INTO "object" VALUES(1,X'736D616C6C',1,0,NULL,1795232325186,11,'f8392e59a850f960725bce7672a524a1','CRC64NVME','dQ3uDbljCsI=',2,1,1,0,NULL,NULL,X'F8392E59A850F960725BCE7672A524A1',165525211,'{"system":{"content-type":"text/plain"},"user":{"colour":"blue"}}','{"a":"b"}',NULL);
CREATE TABLE object_part (
    content_id         INTEGER NOT NULL,
    number             INTEGER NOT NULL,
    start              INTEGER NOT NULL,
    size               INTEGER NOT NULL,
    checksum_algorithm TEXT,
    checksum           TEXT,
    PRIMARY KEY (content_id, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "object_part" VALUES(7,1,0,8,NULL,NULL);
CREATE TABLE owner (
    id           INTEGER PRIMARY KEY,
    canonical_id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    UNIQUE (canonical_id, display_name)
) STRICT;
INSERT INTO "owner" VALUES(1,'2632bac279294e9cf136b336beba93c495c3c2153e3ef936db17e40c87da5f04','understudy');
INSERT INTO "owner" VALUES(2,'65a011a29cdf8ec533ec3d1ccaae921c','anonymous');
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
INSERT INTO "part" VALUES(8,1,9,4,1795232325625,X'F4C9385F1902F7334B00B9B4ECD164DE',1895726942,-4618062709001972831,NULL,NULL);
CREATE TABLE segment (
    content_id  INTEGER NOT NULL,
    start       INTEGER NOT NULL,
    blob_id     INTEGER NOT NULL,
    blob_offset INTEGER NOT NULL,
    length      INTEGER NOT NULL CHECK (length > 0),
    PRIMARY KEY (content_id, start)
) STRICT, WITHOUT ROWID;
INSERT INTO "segment" VALUES(1,0,1,0,11);
INSERT INTO "segment" VALUES(2,0,2,0,100000);
INSERT INTO "segment" VALUES(7,0,6,0,8);
INSERT INTO "segment" VALUES(9,0,9,0,4);
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
    tags               TEXT, session TEXT,
    PRIMARY KEY (bucket_id, key, id)
) STRICT, WITHOUT ROWID;
INSERT INTO "upload" VALUES(1,X'626567756E','000000000000000862bc9e29d95f2ee37fcf8e19',8,1795232325589,2,NULL,NULL,'{}',NULL,NULL);
CREATE INDEX object_content ON object (content_id) WHERE content_id IS NOT NULL;
CREATE UNIQUE INDEX blob_name ON blob (name) WHERE name IS NOT NULL;
CREATE INDEX segment_blob ON segment (blob_id);
PRAGMA user_version = 2;
