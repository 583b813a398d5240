-- name: overview
-- Sums and percentiles of a span of time, in one pass: over everything, by model, and by bucket.
-- An interrupted call counts, but when it ended was never measured.
SELECT
    GROUPING(provider_name) = 0 AS is_model,
    GROUPING(bucket) = 0 AS is_bucket,
    provider_name,
    request_model,
    bucket,
    count(*) AS requests,
    count(*) FILTER (WHERE status IN ('error', 'timeout', 'interrupted')) AS errors,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
    coalesce(sum(input_tokens), 0) AS input_tokens,
    coalesce(sum(output_tokens), 0) AS output_tokens,
    sum(cost_usd) AS cost_usd,
    count(*) FILTER (WHERE unpriced) AS unpriced_requests,
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration)
        FILTER (WHERE status <> 'interrupted') AS duration,
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY time_to_first_chunk)
        AS time_to_first_chunk
FROM (
    SELECT
        *,
        date_bin(make_interval(secs => %(bucket_seconds)s), started_at, %(origin)s) AS bucket
    FROM inference_log
    WHERE started_at >= %(start)s AND started_at < %(end)s
      AND (%(owner_id)s::uuid IS NULL OR owner_id = %(owner_id)s)
) AS calls
GROUP BY GROUPING SETS ((), (provider_name, request_model), (bucket))
ORDER BY requests DESC, provider_name, request_model

-- name: calls
-- A page of the calls of a span of time, the newest first.
SELECT
    id, started_at, kind, status, error_type, provider_name, request_model, response_model,
    duration, time_to_first_chunk, input_tokens, output_tokens, cache_read_input_tokens,
    cache_write_input_tokens, reasoning_output_tokens, usage_estimated, cost_usd, unpriced, finish_reasons,
    conversation_id, input_preview, output_preview, attempts, fallback_from,
    coalesce(metadata -> 'failed_attempts', '[]') AS failed_attempts,
    coalesce((metadata ->> 'omitted_messages')::integer, 0) AS omitted_messages
FROM inference_log
WHERE started_at >= %(start)s AND started_at < %(end)s
  AND (%(owner_id)s::uuid IS NULL OR owner_id = %(owner_id)s)
  AND (%(before_time)s::timestamptz IS NULL
       OR (started_at, id) < (%(before_time)s, %(before_id)s::uuid))
ORDER BY started_at DESC, id DESC
LIMIT %(limit)s
