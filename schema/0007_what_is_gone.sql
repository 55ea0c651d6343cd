-- What ended at once and is removed a few rows at a time, so that no write waits long for it.

-- Uploads that were completed or aborted and still have parts: `sequence` of the upload. The sweep gives
-- their contents up.
CREATE TABLE gone_upload (
    upload INTEGER PRIMARY KEY
) STRICT;

-- Buckets that were deleted and still have rows: tombstones and what was cached. No other bucket gets
-- such an id before the rows are gone.
CREATE TABLE gone_bucket (
    bucket_id INTEGER PRIMARY KEY
) STRICT;
