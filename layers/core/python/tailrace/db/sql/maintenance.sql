-- name: delete_expired_sessions
-- Nobody can sign in with these any more.
DELETE FROM sessions WHERE expires_at <= now()

-- name: find_old_runs
-- Runs that are long enough under way to be looked at, the oldest first.
SELECT id, kind, owner_id, conversation_id, provider_name, request_model, request_id,
       input_preview, started_at, now() AS found_at
FROM runs
WHERE closed_at IS NULL AND started_at < now() - make_interval(secs => %(older_than)s)
ORDER BY started_at
LIMIT %(limit)s

-- name: take_run
-- Whoever has the row records the call: the run itself, or one maintenance.
SELECT id FROM runs WHERE id = %(id)s AND closed_at IS NULL FOR UPDATE

-- name: send_lost_events_again
-- Events that the queue took and that did not come out of it in time; should they have been only
-- late, they are duplicates, and ingestion leaves those out. What came out as a dead letter is not
-- lost.
WITH lost AS (
    DELETE FROM runs WHERE closed_at < now() - make_interval(secs => %(older_than)s)
    RETURNING event
)
INSERT INTO telemetry_outbox (payload)
SELECT event FROM lost
WHERE NOT EXISTS (SELECT FROM inference_dead_letters WHERE digest = sha256(event))

-- name: close_message
-- The answer of a run that died, as far as it came.
UPDATE messages
SET status = %(status)s, parts = %(parts)s, metadata = metadata || %(metadata)s
WHERE id = %(id)s AND status = 'streaming'

-- name: take_purgeable
-- Deleted conversations whose time is up and whose calls are all in the log, the oldest first.
SELECT id FROM conversations
WHERE deleted_at <= now() - make_interval(secs => %(kept_for)s)
  AND NOT EXISTS (SELECT FROM runs WHERE conversation_id = conversations.id)
ORDER BY deleted_at
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED

-- name: forget_conversations
-- The calls stay, with their numbers; of the conversation they tell nothing more.
UPDATE inference_log
SET conversation_id = NULL, input_preview = NULL, output_preview = NULL
WHERE conversation_id = ANY (%(ids)s)

-- name: purge_conversations
-- Messages go with them.
DELETE FROM conversations WHERE id = ANY (%(ids)s)
