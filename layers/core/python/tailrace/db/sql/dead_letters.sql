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
-- Keep what cannot be used, with the reason; should it come again, by whichever way, it only counts.
INSERT INTO inference_dead_letters (source, source_id, reason, payload, schema_version, event_id)
VALUES (%(source)s, %(source_id)s, %(reason)s, %(payload)s, %(schema_version)s, %(event_id)s)
ON CONFLICT (digest) DO UPDATE
SET attempts = inference_dead_letters.attempts + 1,
    reason = excluded.reason,
    schema_version = excluded.schema_version,
    event_id = excluded.event_id,
    last_seen_at = now()

-- name: bury_unread
-- The same of what nobody has read this time: what was found when it was read stands.
INSERT INTO inference_dead_letters (source, source_id, reason, payload, event_id)
VALUES (%(source)s, %(source_id)s, %(reason)s, %(payload)s, %(event_id)s)
ON CONFLICT (digest) DO UPDATE
SET attempts = inference_dead_letters.attempts + 1, last_seen_at = now()

-- name: ask_replay_of_parked
-- Parked by an older release: this one can read them.
UPDATE inference_dead_letters SET replay_requested_at = now()
WHERE schema_version <= %(schema_version)s AND replay_requested_at IS NULL

-- name: claim
-- Count a try of the oldest that are to be tried again and that nobody else is trying; committed
-- before they are tried, as of the outbox.
WITH locked AS (
    SELECT id, octet_length(payload) AS bytes FROM inference_dead_letters
    WHERE replay_requested_at IS NOT NULL
      AND (claims + 1 BETWEEN %(alone_after)s AND %(max_claims)s) = %(suspicious)s
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), measured AS (
    SELECT id, sum(bytes) OVER (ORDER BY id) - bytes AS before FROM locked
)
UPDATE inference_dead_letters SET claims = claims + 1
WHERE id = ANY (ARRAY(SELECT id FROM measured WHERE before < %(max_bytes)s))
RETURNING id, octet_length(payload) AS bytes

-- name: take
-- What was claimed and nobody has tried since; it stays until it lands.
SELECT id, payload, claims FROM inference_dead_letters
WHERE id = ANY (%(ids)s::bigint[]) AND replay_requested_at IS NOT NULL
ORDER BY id
FOR UPDATE SKIP LOCKED

-- name: release
-- Whoever tried these lives, and is not to count them.
UPDATE inference_dead_letters SET claims = 0
WHERE id = ANY (ARRAY(
    SELECT id FROM inference_dead_letters WHERE id = ANY (%(ids)s::bigint[]) FOR UPDATE SKIP LOCKED
))

-- name: bury_again
-- It was tried in vain.
UPDATE inference_dead_letters
SET attempts = attempts + 1,
    reason = %(reason)s,
    schema_version = %(schema_version)s,
    event_id = %(event_id)s,
    last_seen_at = now(),
    replay_requested_at = NULL,
    claims = 0
WHERE id = %(source_id)s::bigint

-- name: resurrect
-- These have landed.
DELETE FROM inference_dead_letters WHERE id = ANY (%(ids)s::bigint[])

-- name: forget_landed
-- Never read, and in the log after all: it came by another way as well, or its commit was late. A
-- subquery for each, since a join might read the whole log.
DELETE FROM inference_dead_letters
WHERE id = ANY (ARRAY(
    SELECT id FROM inference_dead_letters
    WHERE event_id IS NOT NULL
      AND (SELECT true FROM inference_log WHERE inference_log.id = event_id LIMIT 1)
    FOR UPDATE SKIP LOCKED
))
