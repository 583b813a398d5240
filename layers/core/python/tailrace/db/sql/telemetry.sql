-- name: spill
-- Keep an event that the queue could not take.
INSERT INTO telemetry_outbox (payload) VALUES (%(payload)s)

-- name: claim_outbox
-- Count a try of the oldest events of the outbox that nobody else is trying, up to so many bytes.
-- Committed before they are tried: one that ends whoever tries it is told by its count from then on
-- (suspicious, and in the end exhausted).
WITH locked AS (
    SELECT id, octet_length(payload) AS bytes FROM telemetry_outbox
    WHERE (claims + 1 BETWEEN %(alone_after)s AND %(max_claims)s) = %(suspicious)s
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), measured AS (
    SELECT id, sum(bytes) OVER (ORDER BY id) - bytes AS before FROM locked
)
UPDATE telemetry_outbox SET claims = claims + 1
WHERE id = ANY (ARRAY(SELECT id FROM measured WHERE before < %(max_bytes)s))
RETURNING id, octet_length(payload) AS bytes

-- name: take_outbox
-- Take what was claimed, but for what somebody else has by now; it is gone with the commit.
WITH locked AS (
    SELECT id FROM telemetry_outbox WHERE id = ANY (%(ids)s::bigint[])
    FOR UPDATE SKIP LOCKED
)
DELETE FROM telemetry_outbox
WHERE id = ANY (ARRAY(SELECT id FROM locked))
RETURNING id, payload, claims

-- name: release_outbox
-- Whoever tried these lives, and is not to count them.
UPDATE telemetry_outbox SET claims = 0
WHERE id = ANY (ARRAY(
    SELECT id FROM telemetry_outbox WHERE id = ANY (%(ids)s::bigint[]) FOR UPDATE SKIP LOCKED
))

-- name: copy_to_log
-- The short way: works when every row is new. Columns as in tailrace.telemetry.ingest.
COPY inference_log
    (id, started_at, kind, status, owner_id, conversation_id, request_id, operation_name,
     provider_name, request_model, response_model, response_id, error_type, error_message,
     duration, time_to_first_chunk, time_per_output_chunk, input_tokens, cache_read_input_tokens,
     cache_write_input_tokens, output_tokens, reasoning_output_tokens, usage_estimated, attempts,
     fallback_from, cold_start, input_preview, output_preview, finish_reasons, metadata, cost_usd,
     unpriced, price_version)
FROM STDIN (FORMAT binary)

-- name: create_staging
-- Where a batch lands before it is merged.
CREATE TEMP TABLE IF NOT EXISTS inference_staging ON COMMIT DELETE ROWS AS
SELECT
    id, started_at, kind, status, owner_id, conversation_id, request_id, operation_name,
    provider_name, request_model, response_model, response_id, error_type, error_message,
    duration, time_to_first_chunk, time_per_output_chunk, input_tokens, cache_read_input_tokens,
    cache_write_input_tokens, output_tokens, reasoning_output_tokens, usage_estimated, attempts,
    fallback_from, cold_start, input_preview, output_preview, finish_reasons, metadata, cost_usd,
    unpriced, price_version
FROM inference_log
WITH NO DATA

-- name: copy_to_staging
-- The long way begins: for a batch that holds duplicates, or what the database refuses.
COPY inference_staging FROM STDIN (FORMAT binary)

-- name: merge
-- What was delivered before is there already, and stays as it is.
INSERT INTO inference_log
    (id, started_at, kind, status, owner_id, conversation_id, request_id, operation_name,
     provider_name, request_model, response_model, response_id, error_type, error_message,
     duration, time_to_first_chunk, time_per_output_chunk, input_tokens, cache_read_input_tokens,
     cache_write_input_tokens, output_tokens, reasoning_output_tokens, usage_estimated, attempts,
     fallback_from, cold_start, input_preview, output_preview, finish_reasons, metadata, cost_usd,
     unpriced, price_version)
SELECT
    id, started_at, kind, status, owner_id, conversation_id, request_id, operation_name,
    provider_name, request_model, response_model, response_id, error_type, error_message,
    duration, time_to_first_chunk, time_per_output_chunk, input_tokens, cache_read_input_tokens,
    cache_write_input_tokens, output_tokens, reasoning_output_tokens, usage_estimated, attempts,
    fallback_from, cold_start, input_preview, output_preview, finish_reasons, metadata, cost_usd,
    unpriced, price_version
FROM inference_staging
ON CONFLICT DO NOTHING

-- name: find_landed
-- Which of these calls are in the log.
SELECT id FROM inference_log WHERE id = ANY (%(ids)s::uuid[])

-- name: settle_runs
-- The events of these runs have arrived; the oldest first, so many at once. A subquery for each,
-- since there are few runs and many events: a join might read the whole log.
DELETE FROM runs
WHERE id = ANY (ARRAY(
    SELECT id FROM runs
    WHERE closed_at IS NOT NULL AND (
        SELECT true FROM inference_log
        WHERE inference_log.id = runs.id AND inference_log.started_at = runs.started_at
    )
    ORDER BY id
    LIMIT %(limit)s
))

-- name: empty_staging
-- Between two merges of one transaction.
TRUNCATE inference_staging

-- name: backlog
-- What is on its way beside the queue, and since when the event is that has been for longest.
SELECT
    greatest(0, coalesce(extract(epoch FROM now() - least(
        (SELECT min(closed_at) FROM runs WHERE closed_at IS NOT NULL),
        (SELECT created_at FROM telemetry_outbox ORDER BY id LIMIT 1)
    )), 0)) AS lag,
    (SELECT count(*) FROM telemetry_outbox) AS spilled,
    (SELECT count(*) FROM inference_dead_letters WHERE schema_version IS NULL) AS dead,
    (SELECT count(*) FROM inference_dead_letters WHERE schema_version IS NOT NULL) AS parked
