-- Metadata can be changed without writing the object anew: when that was, NULL for never.
ALTER TABLE object ADD COLUMN updated_ms INTEGER;

-- An upload in one piece that may be interrupted: what its beginner said of it, as the face keeps
-- it. NULL for a multipart upload, and only those are listed.
ALTER TABLE upload ADD COLUMN session TEXT;
