//! Every statement that the store runs while it serves.
//!
//! They stand together so that a test can ask SQLite for the plan of each: none may scan a table or
//! sort, whatever the number of objects. Statements of `fsck` read whole tables and stand there.

/// Declares the statements as constants, and as a list for the test of their plans.
macro_rules! statements {
    ($($name:ident = $sql:literal;)*) => {
        $(pub(super) const $name: &str = $sql;)*
        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}

statements! {
    // Transactions.
    BEGIN = "BEGIN IMMEDIATE";
    COMMIT = "COMMIT";
    ROLLBACK = "ROLLBACK";
    SAVEPOINT = "SAVEPOINT job";
    RELEASE = "RELEASE job";
    ROLLBACK_TO = "ROLLBACK TO job";
    LOG_SIZE = "PRAGMA wal_checkpoint(NOOP)";
    COPY_LOG = "PRAGMA wal_checkpoint(PASSIVE)";
    EMPTY_LOG = "PRAGMA wal_checkpoint(TRUNCATE)";
    FREE_PAGES = "PRAGMA freelist_count";
    READ_SEQUENCE = "SELECT value FROM counter WHERE name = 'sequence'";
    READ_IDENTITY = "SELECT value FROM identity WHERE id = 1";
    READ_COMMITS = "SELECT value FROM counter WHERE name = 'commits'";
    WRITE_COMMITS = "UPDATE counter SET value = ?1 WHERE name = 'commits'";
    BEGIN_RUN = "INSERT INTO run (name, last) VALUES (?1, ?2)";
    EXTEND_RUN = "UPDATE run SET last = ?2 WHERE name = ?1";
    END_RUN = "DELETE FROM run WHERE name = ?1";
    KNOWS_NAME = "SELECT 1 FROM run WHERE name = substr(?1, 1, 16) AND last >= ?1";
    WRITE_SEQUENCE = "UPDATE counter SET value = ?1 WHERE name = 'sequence'";

    // What the stage was told.
    READ_STAGE_SETTING = "SELECT value FROM stage_setting WHERE name = ?1";
    WRITE_STAGE_SETTING = "
        INSERT INTO stage_setting (name, value) VALUES (?1, ?2)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    DELETE_STAGE_SETTING = "DELETE FROM stage_setting WHERE name = ?1";

    // The tally. A count stays at the largest number there is: past it, no group could be committed.
    BEGIN_TALLY = "INSERT OR IGNORE INTO tally_begin (id, since_ms) VALUES (1, ?1)";
    TALLY_BEGIN = "SELECT since_ms FROM tally_begin WHERE id = 1";
    READ_TALLY = "
        SELECT kind, upstream, count, bytes, first_ms, last_ms FROM tally ORDER BY kind, upstream";
    ADD_TALLY = "
        INSERT INTO tally (kind, upstream, count, bytes, first_ms, last_ms)
        VALUES (?1, ?2, ?3, ?4, ?5, ?5)
        ON CONFLICT (kind, upstream) DO UPDATE
        SET count = min(count, 9223372036854775807 - excluded.count) + excluded.count,
            bytes = min(bytes, 9223372036854775807 - excluded.bytes) + excluded.bytes,
            last_ms = excluded.last_ms";

    // Owners and buckets.
    FIND_OWNER = "SELECT id FROM owner WHERE canonical_id = ?1 AND display_name = ?2";
    INSERT_OWNER = "INSERT INTO owner (canonical_id, display_name) VALUES (?1, ?2) RETURNING id";
    FIND_BUCKET = "
        SELECT b.id, b.name, b.created_ms, b.region, w.canonical_id, w.display_name
        FROM bucket b JOIN owner w ON w.id = b.owner
        WHERE b.name = ?1";
    FIND_BUCKET_ID = "SELECT id FROM bucket WHERE name = ?1";
    LIST_BUCKETS = "
        SELECT b.id, b.name, b.created_ms, b.region, w.canonical_id, w.display_name
        FROM bucket b JOIN owner w ON w.id = b.owner
        WHERE b.name >= ?1 AND b.name < CAST(?2 AS TEXT)
        ORDER BY b.name LIMIT ?3";
    // Rows of a bucket that is gone may still be there, under its id.
    INSERT_BUCKET = "
        INSERT INTO bucket (id, name, created_ms, region, owner)
        SELECT 1 + max(coalesce((SELECT max(id) FROM bucket), 0),
                       coalesce((SELECT max(bucket_id) FROM gone_bucket), 0)), ?1, ?2, ?3, ?4";
    BUCKET_HAS_OBJECT = "
        SELECT 1 FROM object WHERE bucket_id = ?1 AND kind <> 2 AND origin = 0 LIMIT 1";
    BUCKET_HAS_UPLOAD = "SELECT 1 FROM upload WHERE bucket_id = ?1 LIMIT 1";
    DELETE_BUCKET = "DELETE FROM bucket WHERE id = ?1";
    DELETE_BUCKET_SETTINGS = "DELETE FROM bucket_setting WHERE bucket_id = ?1";

    // Objects. The bucket comes first so that "no bucket" and "no object" differ in one statement.
    FIND_OBJECT = "
        SELECT o.kind, o.sequence, o.version_id, o.modified_ms, o.size, o.etag, o.checksum_algorithm,
               o.checksum, w.canonical_id, w.display_name, o.content_id, o.metageneration, o.parts,
               o.md5, o.crc32c, o.metadata, o.tags, o.updated_ms, o.origin
        FROM bucket b
        LEFT JOIN object o ON o.bucket_id = b.id AND o.key = ?2
        LEFT JOIN owner w ON w.id = o.owner
        WHERE b.name = ?1
        ORDER BY o.sequence DESC LIMIT 1";
    FIND_VERSION = "
        SELECT o.kind, o.sequence, o.version_id, o.modified_ms, o.size, o.etag, o.checksum_algorithm,
               o.checksum, w.canonical_id, w.display_name, o.content_id, o.metageneration, o.parts,
               o.md5, o.crc32c, o.metadata, o.tags, o.updated_ms, o.origin
        FROM bucket b
        LEFT JOIN object o ON o.bucket_id = b.id AND o.key = ?2 AND o.version_id IS ?3
        LEFT JOIN owner w ON w.id = o.owner
        WHERE b.name = ?1
        ORDER BY o.sequence DESC LIMIT 1";
    FIND_CURRENT = "
        SELECT b.id, o.sequence, o.kind, o.etag, o.modified_ms, o.size, o.metageneration, o.content_id,
               o.upload_id, o.origin
        FROM bucket b LEFT JOIN object o ON o.bucket_id = b.id AND o.key = ?2
        WHERE b.name = ?1
        ORDER BY o.sequence DESC LIMIT 1";
    INSERT_OBJECT = "
        INSERT INTO object (bucket_id, key, sequence, kind, modified_ms, size, etag, checksum_algorithm,
                            checksum, owner, content_id, metageneration, origin, parts, upload_id, md5,
                            crc32c, metadata, tags, used_ms, fetched_ms)
        VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?18)";
    INSERT_TOMBSTONE = "
        INSERT INTO object (bucket_id, key, sequence, kind, modified_ms, size, owner, metageneration,
                            origin, metadata)
        VALUES (?1, ?2, ?3, 2, ?4, 0, ?5, 1, 0, '{}')";
    SET_TAGS = "
        UPDATE object SET tags = ?4, origin = 0, used_ms = NULL, fetched_ms = NULL
        WHERE bucket_id = ?1 AND key = ?2 AND sequence = ?3";
    DELETE_OBJECT = "DELETE FROM object WHERE bucket_id = ?1 AND key = ?2 AND sequence = ?3";
    SCAN_OBJECTS = "
        SELECT o.key, o.kind, o.size, o.etag, o.modified_ms, o.checksum_algorithm, o.checksum,
               w.canonical_id, w.display_name, o.sequence, o.origin
        FROM object o JOIN owner w ON w.id = o.owner
        WHERE o.bucket_id = ?1 AND o.key >= ?2 AND o.key < ?3
        ORDER BY o.key, o.sequence DESC";

    SCAN_WHOLE_OBJECTS = "
        SELECT o.kind, o.sequence, o.version_id, o.modified_ms, o.size, o.etag, o.checksum_algorithm,
               o.checksum, w.canonical_id, w.display_name, o.content_id, o.metageneration, o.parts,
               o.md5, o.crc32c, o.metadata, o.tags, o.updated_ms, o.origin, o.key
        FROM object o JOIN owner w ON w.id = o.owner
        WHERE o.bucket_id = ?1 AND o.key >= ?2 AND o.key < ?3
        ORDER BY o.key, o.sequence DESC";
    UPDATE_OBJECT = "
        UPDATE object SET metadata = ?4, metageneration = metageneration + 1, updated_ms = ?5,
                          origin = 0, used_ms = NULL, fetched_ms = NULL
        WHERE bucket_id = ?1 AND key = ?2 AND sequence = ?3";
    // In the order of the index that finds them.
    COPIES_OF = "
        SELECT bucket_id, key, sequence FROM object
        WHERE content_id = ?1 AND (bucket_id, key) > (?2, ?3) ORDER BY bucket_id, key LIMIT ?4";
    SET_DIGESTS = "
        UPDATE object SET md5 = coalesce(md5, ?5), crc32c = coalesce(crc32c, ?6)
        WHERE bucket_id = ?1 AND key = ?2 AND sequence = ?3 AND size = ?4";

    // What is cached. A total is exact up to 2^53, and never too large as a sum may be.
    UNDELETE = "DELETE FROM object WHERE bucket_id = ?1 AND key = ?2 AND kind = 2";
    NOTE_USED = "
        UPDATE object SET used_ms = max(used_ms, ?3)
        WHERE bucket_id = (SELECT id FROM bucket WHERE name = ?1) AND key = ?2 AND +origin = 1";
    SUM_CACHED = "
        SELECT count(*), CAST(total(size) AS INTEGER) FROM object INDEXED BY object_used WHERE origin = 1";
    LEAST_USED = "
        SELECT bucket_id, key, sequence, size, content_id FROM object
        WHERE origin = 1 ORDER BY used_ms LIMIT ?1";
    FETCHED_BEFORE = "
        SELECT bucket_id, key, sequence, size, content_id FROM object
        WHERE origin = 1 AND fetched_ms < ?2 ORDER BY fetched_ms LIMIT ?1";
    // Contents and blobs.
    INSERT_BLOB = "INSERT INTO blob (id, name, size, md5, bytes) VALUES (?1, ?2, ?3, ?4, ?5)";
    INSERT_SEGMENT = "
        INSERT INTO segment (content_id, start, blob_id, blob_offset, length) VALUES (?1, ?2, ?3, ?4, ?5)";
    READ_SEGMENTS = "
        SELECT s.start, s.length, s.blob_offset, b.name,
               CASE WHEN ?5 THEN substr(b.bytes, s.blob_offset + 1, s.length) END, b.size, b.md5
        FROM segment s JOIN blob b ON b.id = s.blob_id
        WHERE s.content_id = ?1
          AND s.start >= (SELECT max(start) FROM segment WHERE content_id = ?1 AND start <= ?2)
          AND s.start < ?3
        ORDER BY s.start LIMIT ?4";
    FIND_SEGMENTS = "
        SELECT start, blob_id, blob_offset, length FROM segment
        WHERE content_id = ?1
          AND start >= (SELECT max(start) FROM segment WHERE content_id = ?1 AND start <= ?2)
          AND start < ?3
        ORDER BY start";
    CUT_BLOBS = "
        SELECT b.id, b.name, b.size, b.md5
        FROM segment s JOIN blob b ON b.id = s.blob_id
        WHERE s.content_id = ?1 AND s.start < ?3 AND s.start + s.length > ?2
          AND NOT (s.length = b.size AND s.start >= ?2 AND s.start + s.length <= ?3)";
    READ_INLINE_BLOB = "SELECT bytes FROM blob WHERE id = ?1";
    SCRUB_BLOBS = "SELECT id, name, size, md5, bytes FROM blob WHERE id > ?1 ORDER BY id LIMIT ?2";
    OBJECTS_OF_BLOB = "
        SELECT b.name, o.key
        FROM segment s CROSS JOIN object o ON o.content_id = s.content_id
        CROSS JOIN bucket b ON b.id = o.bucket_id
        WHERE s.blob_id = ?1";
    INSERT_OBJECT_PART = "
        INSERT INTO object_part (content_id, number, start, size, checksum_algorithm, checksum)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    FIND_OBJECT_PART = "
        SELECT start, size, checksum_algorithm, checksum FROM object_part
        WHERE content_id = ?1 AND number = ?2";

    // Uploads.
    INSERT_UPLOAD = "
        INSERT INTO upload (bucket_id, key, id, sequence, initiated_ms, owner, checksum_algorithm,
                            checksum_kind, metadata, tags, session)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    FIND_UPLOAD = "
        SELECT b.id, u.key, u.id, u.initiated_ms, w.canonical_id, w.display_name, u.checksum_algorithm,
               u.checksum_kind, u.sequence, u.metadata, u.tags, u.session
        FROM bucket b
        LEFT JOIN upload u ON u.bucket_id = b.id AND u.key = ?2 AND u.id = ?3
        LEFT JOIN owner w ON w.id = u.owner
        WHERE b.name = ?1";
    SCAN_UPLOADS = "
        SELECT u.bucket_id, u.key, u.id, u.initiated_ms, w.canonical_id, w.display_name,
               u.checksum_algorithm, u.checksum_kind
        FROM upload u JOIN owner w ON w.id = u.owner
        WHERE u.bucket_id = ?1 AND (u.key, u.id) > (?2, ?3) AND u.key < ?4 AND u.session IS NULL
        ORDER BY u.key, u.id LIMIT ?5";
    DELETE_UPLOAD = "DELETE FROM upload WHERE bucket_id = ?1 AND key = ?2 AND id = ?3";
    FIND_PART_CONTENT = "SELECT content_id FROM part WHERE upload = ?1 AND number = ?2";
    UPSERT_PART = "
        INSERT OR REPLACE INTO part (upload, number, content_id, size, modified_ms, md5, crc32c, crc64nvme,
                                     checksum_algorithm, checksum)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    LIST_PARTS = "
        SELECT number, content_id, size, modified_ms, md5, crc32c, crc64nvme, checksum_algorithm, checksum
        FROM part WHERE upload = ?1 AND number > ?2
        ORDER BY number LIMIT ?3";
    CONTENTS_OF_PARTS = "SELECT number, content_id FROM part WHERE upload = ?1 ORDER BY number";

    // The imported index.
    FIND_INVENTORY = "
        SELECT i.id, i.rows FROM bucket b LEFT JOIN inventory i ON i.bucket_id = b.id WHERE b.name = ?1";
    FIND_INVENTORY_ID = "SELECT id FROM inventory WHERE bucket_id = ?1";
    INSERT_INVENTORY = "INSERT INTO inventory (id, bucket_id, rows, changed) VALUES (?1, ?2, 0, ?1)";
    INVENTORY_CHANGED = "UPDATE inventory SET changed = ?2 WHERE id = ?1";
    COUNT_INVENTORY_ROWS = "UPDATE inventory SET rows = rows + ?2 WHERE id = ?1";
    FIND_INVENTORY_ROW = "
        SELECT key, size, modified_ms, etag, md5, crc32c FROM inventory_row
        WHERE inventory_id = ?1 AND key = ?2";
    SCAN_INVENTORY = "
        SELECT key, size, modified_ms, etag, md5, crc32c FROM inventory_row
        WHERE inventory_id = ?1 AND key >= ?2 AND key < ?3
        ORDER BY key LIMIT ?4";
    INSERT_INVENTORY_ROW = "
        INSERT INTO inventory_row (inventory_id, key, size, modified_ms, etag, md5, crc32c)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
    UPDATE_INVENTORY_ROW = "
        UPDATE inventory_row SET size = ?3, modified_ms = ?4, etag = ?5, md5 = ?6, crc32c = ?7
        WHERE inventory_id = ?1 AND key = ?2";
    DELETE_INVENTORY_ROWS = "
        DELETE FROM inventory_row WHERE inventory_id = ?1 AND key IN (
            SELECT key FROM inventory_row WHERE inventory_id = ?1 AND key >= ?2 AND key < ?3
            ORDER BY key LIMIT ?4)";
    COVER_BEFORE = "
        SELECT prefix FROM inventory_cover WHERE inventory_id = ?1 AND prefix <= ?2
        ORDER BY prefix DESC LIMIT 1";
    LIST_COVERS = "SELECT prefix, taken_ms FROM inventory_cover WHERE inventory_id = ?1 ORDER BY prefix";
    UPSERT_COVER = "
        INSERT OR REPLACE INTO inventory_cover (inventory_id, prefix, taken_ms) VALUES (?1, ?2, ?3)";
    DELETE_COVER = "DELETE FROM inventory_cover WHERE inventory_id = ?1 AND prefix = ?2";
    DELETE_COVERS_BELOW = "
        DELETE FROM inventory_cover
        WHERE inventory_id = ?1 AND prefix >= ?2 AND prefix < ?3 AND taken_ms <= ?4";
    FIND_CRAWL = "SELECT begun_ms, pending, done FROM crawl WHERE inventory_id = ?1 AND prefix = ?2";
    LIST_CRAWLS = "SELECT prefix FROM crawl WHERE inventory_id = ?1 ORDER BY prefix";
    UPSERT_CRAWL = "
        INSERT OR REPLACE INTO crawl (inventory_id, prefix, begun_ms, pending, done)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    DELETE_CRAWL = "DELETE FROM crawl WHERE inventory_id = ?1 AND prefix = ?2";
    LIST_CRAWL_FOLDERS = "
        SELECT folder FROM crawl_folder WHERE inventory_id = ?1 AND prefix = ?2 ORDER BY folder LIMIT ?3";
    INSERT_CRAWL_FOLDER = "
        INSERT INTO crawl_folder (inventory_id, prefix, folder) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    DELETE_CRAWL_FOLDER = "
        DELETE FROM crawl_folder WHERE inventory_id = ?1 AND prefix = ?2 AND folder = ?3";
    DELETE_CRAWL_FOLDERS = "DELETE FROM crawl_folder WHERE inventory_id = ?1 AND prefix = ?2";

    // An imported index that was dropped.
    DROP_INVENTORY = "UPDATE inventory SET bucket_id = NULL WHERE bucket_id = ?1 RETURNING rows";
    NEXT_DROPPED_INVENTORY = "SELECT id FROM inventory WHERE bucket_id IS NULL LIMIT 1";
    SWEEP_INVENTORY_ROWS = "
        DELETE FROM inventory_row WHERE inventory_id = ?1 AND key IN (
            SELECT key FROM inventory_row WHERE inventory_id = ?1 ORDER BY key LIMIT ?2)";
    SWEEP_CRAWL_FOLDERS = "
        DELETE FROM crawl_folder WHERE inventory_id = ?1 AND (prefix, folder) IN (
            SELECT prefix, folder FROM crawl_folder WHERE inventory_id = ?1 ORDER BY prefix, folder LIMIT ?2)";
    DELETE_COVERS = "DELETE FROM inventory_cover WHERE inventory_id = ?1";
    DELETE_CRAWLS = "DELETE FROM crawl WHERE inventory_id = ?1";
    DELETE_INVENTORY = "DELETE FROM inventory WHERE id = ?1";

    // What a snapshot says of itself.
    READ_SNAPSHOT = "SELECT created_ms, objects, bytes FROM snapshot WHERE rowid = 1";

    // Garbage.
    GARBAGE_CONTENT = "INSERT INTO garbage (sequence, content_id) VALUES (?1, ?2)";
    GARBAGE_CONTENT_IF_UNREFERENCED = "
        INSERT INTO garbage (sequence, content_id)
        SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM object WHERE content_id = ?2)";
    NEXT_GARBAGE = "
        SELECT sequence, content_id FROM garbage WHERE (sequence, content_id) > (?1, ?2)
        ORDER BY sequence, content_id LIMIT 1";
    DELETE_GARBAGE = "DELETE FROM garbage WHERE sequence = ?1 AND content_id = ?2";
    SEGMENTS_OF_GARBAGE = "SELECT start, blob_id FROM segment WHERE content_id = ?1 ORDER BY start LIMIT ?2";
    DELETE_SEGMENT = "DELETE FROM segment WHERE content_id = ?1 AND start = ?2";
    DELETE_OBJECT_PARTS = "
        DELETE FROM object_part WHERE content_id = ?1 AND number IN (
            SELECT number FROM object_part WHERE content_id = ?1 ORDER BY number LIMIT ?2)";
    DELETE_BLOB_IF_UNREFERENCED = "
        DELETE FROM blob WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM segment WHERE blob_id = ?1)
        RETURNING name";
    FIND_BLOB_NAME = "SELECT 1 FROM blob WHERE name = ?1";

    // What is gone and has rows left.
    INSERT_GONE_UPLOAD = "INSERT INTO gone_upload (upload) VALUES (?1)";
    NEXT_GONE_UPLOAD = "SELECT min(upload) FROM gone_upload";
    GARBAGE_SOME_PARTS = "
        INSERT INTO garbage (sequence, content_id)
        SELECT ?2, content_id FROM part WHERE upload = ?1 ORDER BY number LIMIT ?3";
    DELETE_SOME_PARTS = "
        DELETE FROM part WHERE upload = ?1 AND number IN (
            SELECT number FROM part WHERE upload = ?1 ORDER BY number LIMIT ?2)";
    DELETE_GONE_UPLOAD = "DELETE FROM gone_upload WHERE upload = ?1";
    INSERT_GONE_BUCKET = "INSERT INTO gone_bucket (bucket_id) VALUES (?1)";
    NEXT_GONE_BUCKET = "SELECT min(bucket_id) FROM gone_bucket";
    SOME_OF_GONE_BUCKET = "
        SELECT key, sequence, content_id FROM object WHERE bucket_id = ?1 ORDER BY key LIMIT ?2";
    DELETE_GONE_BUCKET = "DELETE FROM gone_bucket WHERE bucket_id = ?1";
}
