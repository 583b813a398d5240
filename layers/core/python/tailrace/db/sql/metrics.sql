-- name: begin_reading
-- All statements see one moment, and none keeps its reader waiting for ever. What takes some
-- milliseconds is not worth starting workers for.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL statement_timeout = '20s';
SET LOCAL max_parallel_workers_per_gather = 0

-- name: calls
-- A page of the calls of a span of time, the newest first.
SELECT
    id, started_at, kind, status, error_type, provider_name, request_model, response_model,
    duration, time_to_first_chunk, time_per_output_chunk, input_tokens, output_tokens,
    cache_read_input_tokens, cache_write_input_tokens, reasoning_output_tokens, usage_estimated,
    cost_usd, unpriced, finish_reasons, owner_id, conversation_id, input_preview, output_preview,
    attempts, fallback_from,
    coalesce(metadata -> 'failed_attempts', '[]') AS failed_attempts,
    coalesce((metadata ->> 'omitted_messages')::integer, 0) AS omitted_messages
FROM inference_log
WHERE started_at >= %(start)s AND started_at < %(end)s
  AND (%(owner_id)s::uuid IS NULL OR owner_id = %(owner_id)s)
  AND (%(provider_name)s::text IS NULL OR provider_name = %(provider_name)s)
  AND (%(request_model)s::text IS NULL OR request_model = %(request_model)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(error_type)s::text IS NULL OR error_type = %(error_type)s)
  AND (%(finish_reason)s::text IS NULL OR %(finish_reason)s = ANY (finish_reasons))
  AND (%(conversation_id)s::uuid IS NULL OR conversation_id = %(conversation_id)s)
  AND (%(min_duration)s::float8 IS NULL OR duration >= %(min_duration)s)
  AND (%(min_cost_usd)s::float8 IS NULL OR cost_usd >= %(min_cost_usd)s::numeric)
  AND (%(before_time)s::timestamptz IS NULL
       OR (started_at, id) < (%(before_time)s, %(before_id)s::uuid))
ORDER BY started_at DESC, id DESC
LIMIT %(limit)s

-- name: greatest
-- The minutes or hours of some spans of time in which the slowest or costliest calls began.
SELECT starts_at
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS ranges (first, last)
CROSS JOIN LATERAL (
    SELECT starts_at, CASE %(by)s WHEN 'duration' THEN duration_max ELSE cost_usd_max END AS greatest
    FROM rollups
    WHERE tier = %(tier)s AND owner_id = '00000000-0000-0000-0000-000000000000'
      AND starts_at >= first AND starts_at < last
      AND (%(provider_name)s::text IS NULL OR provider_name = %(provider_name)s)
      AND (%(request_model)s::text IS NULL OR request_model = %(request_model)s)
      AND (%(kind)s::text IS NULL OR kind = %(kind)s)
      AND (%(status)s::text IS NULL OR status = %(status)s)
    OFFSET 0
) AS rollups
WHERE greatest IS NOT NULL
GROUP BY starts_at
ORDER BY max(greatest) DESC
LIMIT %(limit)s

-- name: top
-- The slowest or costliest calls of some spans of time. An interrupted call has no duration.
SELECT
    id, started_at, kind, status, error_type, provider_name, request_model, response_model,
    duration, time_to_first_chunk, time_per_output_chunk, input_tokens, output_tokens,
    cache_read_input_tokens, cache_write_input_tokens, reasoning_output_tokens, usage_estimated,
    cost_usd, unpriced, finish_reasons, owner_id, conversation_id, input_preview, output_preview,
    attempts, fallback_from,
    coalesce(metadata -> 'failed_attempts', '[]') AS failed_attempts,
    coalesce((metadata ->> 'omitted_messages')::integer, 0) AS omitted_messages
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS ranges (first, last)
CROSS JOIN LATERAL (
    SELECT * FROM inference_log WHERE started_at >= first AND started_at < last OFFSET 0
) AS calls
WHERE started_at >= %(start)s AND started_at < %(end)s
  AND (%(owner_id)s::uuid IS NULL OR owner_id = %(owner_id)s)
  AND (%(provider_name)s::text IS NULL OR provider_name = %(provider_name)s)
  AND (%(request_model)s::text IS NULL OR request_model = %(request_model)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND CASE %(by)s WHEN 'duration' THEN status <> 'interrupted' ELSE cost_usd IS NOT NULL END
ORDER BY CASE %(by)s WHEN 'duration' THEN duration::numeric ELSE cost_usd END DESC, id
LIMIT %(limit)s

-- name: call
-- One call in full. An id is a call's alone, but the log cannot know that of others' ids.
SELECT
    id, started_at, ingested_at, kind, status, error_type, error_message, operation_name,
    provider_name, request_model, response_model, response_id, request_id,
    duration, time_to_first_chunk, time_per_output_chunk, input_tokens, output_tokens,
    cache_read_input_tokens, cache_write_input_tokens, reasoning_output_tokens, usage_estimated,
    cost_usd, unpriced, price_version, finish_reasons, owner_id, conversation_id, cold_start,
    input_preview, output_preview, attempts, fallback_from,
    coalesce(metadata -> 'failed_attempts', '[]') AS failed_attempts,
    coalesce((metadata ->> 'omitted_messages')::integer, 0) AS omitted_messages,
    metadata
FROM inference_log
WHERE id = %(id)s AND (%(owner_id)s::uuid IS NULL OR owner_id = %(owner_id)s)
ORDER BY started_at
LIMIT 1

-- name: conversation_of_call
-- What the call belonged to, for whom it belongs to.
SELECT id, title FROM conversations
WHERE id = %(conversation_id)s AND owner_id = %(owner_id)s AND deleted_at IS NULL

-- name: message_of_call
-- The answer that the call made: a run's id is its message's.
SELECT messages.id, parent_id, role, status, parts, messages.created_at
FROM messages JOIN conversations ON conversations.id = conversation_id
WHERE messages.id = %(id)s AND conversation_id = %(conversation_id)s
  AND owner_id = %(owner_id)s AND deleted_at IS NULL

-- name: recent_calls
-- What came in just now, of calls of the last days; the bound keeps older partitions out.
SELECT
    id, started_at, ingested_at, kind, status, error_type, provider_name, request_model,
    response_model, duration, time_to_first_chunk, time_per_output_chunk, input_tokens,
    output_tokens, cache_read_input_tokens, cache_write_input_tokens, reasoning_output_tokens,
    usage_estimated, cost_usd, unpriced, finish_reasons, owner_id, conversation_id, input_preview,
    output_preview, attempts, fallback_from
FROM inference_log
WHERE started_at >= now() - interval '2 days'
  AND ingested_at >= now() - make_interval(secs => %(seconds)s)
  AND (%(owner_id)s::uuid IS NULL OR owner_id = %(owner_id)s)
ORDER BY ingested_at DESC, id DESC
LIMIT %(limit)s
