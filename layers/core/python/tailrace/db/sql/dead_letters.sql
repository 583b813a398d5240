-- Dead letters belong to nobody: admins and ingestion alone come here.

-- name: list_page
-- The newest first, as far as the page goes.
SELECT id, source, reason, attempts, first_seen_at, last_seen_at, schema_version,
       octet_length(payload) AS bytes, replay_requested_at
FROM inference_dead_letters
WHERE (%(before)s::bigint IS NULL OR id < %(before)s)
  AND (%(parked)s::boolean IS NULL OR (schema_version IS NOT NULL) = %(parked)s)
ORDER BY id DESC
LIMIT %(limit)s

-- name: read
-- One of them, payload and all.
SELECT id, source, reason, attempts, first_seen_at, last_seen_at, schema_version,
       octet_length(payload) AS bytes, replay_requested_at, payload
FROM inference_dead_letters
WHERE id = %(id)s

-- name: ask_replay
-- Let ingestion try them again: those named, or all that this release can read.
UPDATE inference_dead_letters SET replay_requested_at = now()
WHERE CASE WHEN %(ids)s::bigint[] IS NULL
    THEN coalesce(schema_version, 0) <= %(schema_version)s ELSE id = ANY (%(ids)s) END

-- name: purge
-- Forget them for good: those named, or those last seen before a time.
DELETE FROM inference_dead_letters
WHERE (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s))
  AND (%(before)s::timestamptz IS NULL OR last_seen_at < %(before)s)

-- name: bury
-- Keep what cannot be used, with the reason; a redelivery only counts.
INSERT INTO inference_dead_letters (source, source_id, reason, payload, schema_version)
VALUES (%(source)s, %(source_id)s, %(reason)s, %(payload)s, %(schema_version)s)
ON CONFLICT (source, source_id) DO UPDATE
SET attempts = inference_dead_letters.attempts + 1,
    reason = excluded.reason,
    schema_version = excluded.schema_version,
    last_seen_at = now()

-- name: ask_replay_of_parked
-- Parked by an older release: this one can read them.
UPDATE inference_dead_letters SET replay_requested_at = now()
WHERE schema_version <= %(schema_version)s AND replay_requested_at IS NULL

-- name: take
-- The oldest that are to be tried again and that nobody else is trying; they stay until they land.
WITH locked AS (
    SELECT id, payload FROM inference_dead_letters
    WHERE replay_requested_at IS NOT NULL
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), measured AS (
    SELECT id, payload,
           sum(octet_length(payload)) OVER (ORDER BY id) - octet_length(payload) AS before
    FROM locked
)
SELECT id, payload FROM measured WHERE before < %(max_bytes)s ORDER BY id

-- name: bury_again
-- It was tried in vain.
UPDATE inference_dead_letters
SET attempts = attempts + 1,
    reason = %(reason)s,
    schema_version = %(schema_version)s,
    last_seen_at = now(),
    replay_requested_at = NULL
WHERE id = %(source_id)s::bigint

-- name: resurrect
-- These have landed.
DELETE FROM inference_dead_letters WHERE id = ANY (%(ids)s::bigint[])
