-- Retention: what was archived before it went, and how far previews are emptied.

-- The archive of a partition of the inference log, one file. The partition is dropped only once the
-- file was read back (verified_at); until dropped_at is set it may be written again.
CREATE TABLE inference_archives (
    id             uuid PRIMARY KEY,
    partition_name text NOT NULL,
    starts_at      timestamptz NOT NULL,
    ends_at        timestamptz NOT NULL,
    location       text NOT NULL,
    row_count      bigint,
    byte_count     bigint,
    sha256         bytea,
    begun_at       timestamptz NOT NULL DEFAULT now(),
    verified_at    timestamptz,
    dropped_at     timestamptz
);

CREATE UNIQUE INDEX inference_archives_open_key ON inference_archives (partition_name)
WHERE dropped_at IS NULL;

-- One row: calls that began before emptied_before have no previews, but for those that came into
-- the log since late_checked_at.
CREATE TABLE preview_retention (
    is_only         boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    emptied_before  timestamptz,
    late_checked_at timestamptz
);

INSERT INTO preview_retention DEFAULT VALUES;
