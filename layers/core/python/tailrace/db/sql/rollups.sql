-- name: summary
-- Sums of the rollups of one tier, by the bucket whose segments they begin in and by the dimensions
-- asked for. Histograms are added up only where they are asked for.
SELECT
    bucket,
    CASE WHEN 'owner_id' = ANY (%(by)s) THEN owner_id END AS owner_id,
    CASE WHEN 'provider_name' = ANY (%(by)s) THEN provider_name END AS provider_name,
    CASE WHEN 'request_model' = ANY (%(by)s) THEN request_model END AS request_model,
    CASE WHEN 'kind' = ANY (%(by)s) THEN kind END AS kind,
    CASE WHEN 'status' = ANY (%(by)s) THEN status END AS status,
    sum(requests)::bigint AS requests,
    sum(errors)::bigint AS errors,
    sum(cancelled)::bigint AS cancelled,
    sum(unpriced_requests)::bigint AS unpriced_requests,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_input_tokens) AS cache_read_input_tokens,
    sum(cache_write_input_tokens) AS cache_write_input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(reasoning_output_tokens) AS reasoning_output_tokens,
    sum(duration_count)::bigint AS duration_count,
    sum(duration_sum) AS duration_sum,
    max(duration_max) AS duration_max,
    string_agg(duration_buckets, '')
        FILTER (WHERE 'duration' = ANY (%(histograms)s))
        AS duration_buckets,
    numeric_send(sum(duration_histogram) FILTER (WHERE 'duration' = ANY (%(histograms)s)))
        AS duration_histogram,
    sum(time_to_first_chunk_count)::bigint AS time_to_first_chunk_count,
    sum(time_to_first_chunk_sum) AS time_to_first_chunk_sum,
    string_agg(time_to_first_chunk_buckets, '')
        FILTER (WHERE 'time_to_first_chunk' = ANY (%(histograms)s))
        AS time_to_first_chunk_buckets,
    numeric_send(sum(time_to_first_chunk_histogram)
        FILTER (WHERE 'time_to_first_chunk' = ANY (%(histograms)s)))
        AS time_to_first_chunk_histogram,
    sum(time_per_output_chunk_count)::bigint AS time_per_output_chunk_count,
    sum(time_per_output_chunk_sum) AS time_per_output_chunk_sum,
    string_agg(time_per_output_chunk_buckets, '')
        FILTER (WHERE 'time_per_output_chunk' = ANY (%(histograms)s))
        AS time_per_output_chunk_buckets,
    numeric_send(sum(time_per_output_chunk_histogram)
        FILTER (WHERE 'time_per_output_chunk' = ANY (%(histograms)s)))
        AS time_per_output_chunk_histogram,
    sum(cost_usd_count)::bigint AS cost_usd_count,
    sum(cost_usd_sum) AS cost_usd_sum,
    max(cost_usd_max) AS cost_usd_max,
    string_agg(cost_usd_buckets, '')
        FILTER (WHERE 'cost_usd' = ANY (%(histograms)s))
        AS cost_usd_buckets,
    numeric_send(sum(cost_usd_histogram) FILTER (WHERE 'cost_usd' = ANY (%(histograms)s)))
        AS cost_usd_histogram
FROM unnest(%(buckets)s::integer[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    AS segments (bucket, first, last)
CROSS JOIN LATERAL (
    SELECT * FROM rollups
    WHERE tier = %(tier)s AND starts_at >= first AND starts_at < last
      AND (%(every_owner)s OR owner_id = coalesce(
          %(owner_id)s::uuid, '00000000-0000-0000-0000-000000000000'))
      AND (%(provider_name)s::text IS NULL OR provider_name = %(provider_name)s)
      AND (%(request_model)s::text IS NULL OR request_model = %(request_model)s)
      AND (%(kind)s::text IS NULL OR kind = %(kind)s)
      AND (%(status)s::text IS NULL OR status = %(status)s)
    -- A segment at a time, by the index: joined freely, a tier would be read from end to end.
    OFFSET 0
) AS rollups
GROUP BY 1, 2, 3, 4, 5, 6

-- name: summary_of_log
-- The same from the calls themselves, for what of an owner no rollup tells.
SELECT
    width_bucket(started_at, %(edges)s::timestamptz[]) - 1 AS bucket,
    CASE WHEN 'owner_id' = ANY (%(by)s) THEN owner_id END AS owner_id,
    CASE WHEN 'provider_name' = ANY (%(by)s) THEN provider_name END AS provider_name,
    CASE WHEN 'request_model' = ANY (%(by)s) THEN request_model END AS request_model,
    CASE WHEN 'kind' = ANY (%(by)s) THEN kind END AS kind,
    CASE WHEN 'status' = ANY (%(by)s) THEN status END AS status,
    count(*) AS requests,
    count(*) FILTER (WHERE status IN ('error', 'timeout', 'interrupted')) AS errors,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE unpriced) AS unpriced_requests,
    coalesce(sum(input_tokens), 0) AS input_tokens,
    coalesce(sum(cache_read_input_tokens), 0) AS cache_read_input_tokens,
    coalesce(sum(cache_write_input_tokens), 0) AS cache_write_input_tokens,
    coalesce(sum(output_tokens), 0) AS output_tokens,
    coalesce(sum(reasoning_output_tokens), 0) AS reasoning_output_tokens,
    count(measured) AS duration_count,
    coalesce(sum(measured::numeric), 0) AS duration_sum,
    max(measured) AS duration_max,
    string_agg(int2send(bucket_of(measured)), '')
        FILTER (WHERE 'duration' = ANY (%(histograms)s))
        AS duration_buckets,
    NULL::bytea AS duration_histogram,
    count(time_to_first_chunk) AS time_to_first_chunk_count,
    coalesce(sum(time_to_first_chunk::numeric), 0) AS time_to_first_chunk_sum,
    string_agg(int2send(bucket_of(time_to_first_chunk)), '')
        FILTER (WHERE 'time_to_first_chunk' = ANY (%(histograms)s))
        AS time_to_first_chunk_buckets,
    NULL::bytea AS time_to_first_chunk_histogram,
    count(time_per_output_chunk) AS time_per_output_chunk_count,
    coalesce(sum(time_per_output_chunk::numeric), 0) AS time_per_output_chunk_sum,
    string_agg(int2send(bucket_of(time_per_output_chunk)), '')
        FILTER (WHERE 'time_per_output_chunk' = ANY (%(histograms)s))
        AS time_per_output_chunk_buckets,
    NULL::bytea AS time_per_output_chunk_histogram,
    count(cost_usd) AS cost_usd_count,
    coalesce(sum(cost_usd), 0) AS cost_usd_sum,
    max(cost_usd) AS cost_usd_max,
    string_agg(int2send(bucket_of(cost_usd::double precision)), '')
        FILTER (WHERE 'cost_usd' = ANY (%(histograms)s))
        AS cost_usd_buckets,
    NULL::bytea AS cost_usd_histogram
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS ranges (first, last)
CROSS JOIN LATERAL (
    SELECT *, CASE WHEN status <> 'interrupted' THEN duration END AS measured
    FROM inference_log
    WHERE started_at >= first AND started_at < last
      AND started_at >= %(start)s AND started_at < %(end)s
      AND (CASE WHEN %(every_owner)s THEN owner_id IS NOT NULL AND kind <> 'guest'
                ELSE owner_id = %(owner_id)s END)
      AND (%(provider_name)s::text IS NULL OR provider_name = %(provider_name)s)
      AND (%(request_model)s::text IS NULL OR request_model = %(request_model)s)
      AND (%(kind)s::text IS NULL OR kind = %(kind)s)
      AND (%(status)s::text IS NULL OR status = %(status)s)
    OFFSET 0
) AS calls
GROUP BY 1, 2, 3, 4, 5, 6

-- name: reasons
-- How often each reason was given, by the rollups of one tier.
SELECT reason, sum(requests)::bigint AS requests
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS segments (first, last)
CROSS JOIN LATERAL (
    SELECT * FROM rollup_reasons
    WHERE tier = %(tier)s AND starts_at >= first AND starts_at < last AND reason_of = %(reason_of)s
      AND (%(provider_name)s::text IS NULL OR provider_name = %(provider_name)s)
      AND (%(request_model)s::text IS NULL OR request_model = %(request_model)s)
      AND (%(kind)s::text IS NULL OR kind = %(kind)s)
      AND (%(status)s::text IS NULL OR status = %(status)s)
    OFFSET 0
) AS rollup_reasons
GROUP BY reason

-- name: reasons_of_log
-- The same from the calls themselves.
SELECT reason, count(*) AS requests
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS ranges (first, last)
CROSS JOIN LATERAL (
    SELECT finish_reasons, error_type FROM inference_log
    WHERE started_at >= first AND started_at < last
      AND started_at >= %(start)s AND started_at < %(end)s
      AND (%(owner_id)s::uuid IS NULL OR owner_id = %(owner_id)s)
      AND (%(provider_name)s::text IS NULL OR provider_name = %(provider_name)s)
      AND (%(request_model)s::text IS NULL OR request_model = %(request_model)s)
      AND (%(kind)s::text IS NULL OR kind = %(kind)s)
      AND (%(status)s::text IS NULL OR status = %(status)s)
    OFFSET 0
) AS calls
CROSS JOIN LATERAL (
    SELECT DISTINCT left(given, 64) AS reason FROM unnest(finish_reasons) AS given
    WHERE %(reason_of)s = 'finish_reason'
    UNION ALL
    SELECT left(error_type, 64) WHERE error_type IS NOT NULL AND %(reason_of)s = 'error_type'
) AS reasons
GROUP BY reason

-- name: find_days
-- The days (UTC) that there are calls or rollups of.
SELECT DISTINCT day FROM (
    SELECT date_bin('1 day', started_at, 'epoch') AS day FROM inference_log
    UNION ALL
    SELECT date_bin('1 day', starts_at, 'epoch') FROM rollups WHERE tier <> 'all_time'
) AS days
WHERE (%(start)s::timestamptz IS NULL OR day >= %(start)s)
  AND (%(end)s::timestamptz IS NULL OR day < %(end)s)
ORDER BY day

-- name: rebuild
-- Make the rollups of a day anew; NULL where the log no longer holds all of its calls.
SELECT rebuild_rollups(%(day)s, %(force)s) AS counted

-- name: all_time
-- What was ever counted, for counters that must not go back.
SELECT
    provider_name, request_model, kind, status, requests, input_tokens, cache_read_input_tokens,
    cache_write_input_tokens, output_tokens, reasoning_output_tokens,
    duration_count, duration_sum, numeric_send(duration_histogram) AS duration_histogram,
    time_to_first_chunk_count, time_to_first_chunk_sum,
    numeric_send(time_to_first_chunk_histogram) AS time_to_first_chunk_histogram,
    time_per_output_chunk_count, time_per_output_chunk_sum,
    numeric_send(time_per_output_chunk_histogram) AS time_per_output_chunk_histogram,
    cost_usd_sum, unpriced_requests, input_tokens_histogram, output_tokens_histogram
FROM rollups
WHERE tier = 'all_time'
ORDER BY provider_name, request_model, kind, status

-- name: find_user
-- Whether there is a user of this id.
SELECT FROM users WHERE id = %(id)s

-- name: name_users
-- How users are called.
SELECT id, email FROM users WHERE id = ANY (%(ids)s)
