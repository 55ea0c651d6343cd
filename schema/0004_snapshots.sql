-- Snapshots: copies of the index that name the same blobs.

-- What a snapshot says of itself: one row in its file, none anywhere else.
CREATE TABLE snapshot (
    created_ms INTEGER NOT NULL,
    objects    INTEGER NOT NULL,
    bytes      INTEGER NOT NULL       -- of those objects
) STRICT;

-- A number of the store's sequence, another one after each change of an imported index: two that have
-- the same number are the same, whatever their ids. So nothing of it need be copied to restore it.
ALTER TABLE inventory ADD COLUMN changed INTEGER;
UPDATE inventory SET changed = id;
