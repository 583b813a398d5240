-- How many tokens calls take: counted by bucket beside their sums.

-- The bucket of a number of tokens, by the boundaries that OpenTelemetry advises for its histogram:
-- number n holds those above 4^(n - 1) and up to 4^n, number 14 those above 4^13. What is not known
-- is in none.
CREATE FUNCTION token_bucket_of(tokens bigint) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN width_bucket(
    tokens - 1,
    '{1,4,16,64,256,1024,4096,16384,65536,262144,1048576,4194304,16777216,67108864}'::bigint[]
)::smallint;

-- Whoever inserts now is counted by the function as it was, before we go on; whoever comes next, by
-- the one below. The log before the rollups, as ingestion takes them.
LOCK TABLE inference_log IN SHARE ROW EXCLUSIVE MODE;

-- Kept by the hour, the day and of all time, added up as the other histograms are; nobody reads the
-- tokens of a minute or of a user's day by bucket, and theirs are 0.
ALTER TABLE rollups
    ADD COLUMN input_tokens_histogram numeric NOT NULL DEFAULT 0,
    ADD COLUMN output_tokens_histogram numeric NOT NULL DEFAULT 0;
ALTER TABLE rollups
    ALTER COLUMN input_tokens_histogram DROP DEFAULT,
    ALTER COLUMN input_tokens_histogram SET STORAGE MAIN,
    ALTER COLUMN output_tokens_histogram DROP DEFAULT,
    ALTER COLUMN output_tokens_histogram SET STORAGE MAIN;

-- As in 0011_rollups.sql, and the histograms of tokens.
CREATE OR REPLACE FUNCTION add_rollups() RETURNS trigger LANGUAGE plpgsql
-- Enough to group and sort a large batch without a file.
SET work_mem = '32MB' AS $$
BEGIN
    INSERT INTO rollups AS added
    WITH calls AS MATERIALIZED (
        SELECT
            date_bin('1 minute', started_at, 'epoch') AS minute,
            date_bin('1 hour', started_at, 'epoch') AS hour,
            date_bin('1 day', started_at, 'epoch') AS day,
            CASE WHEN kind <> 'guest' THEN owner_id END AS owner,
            provider_name, request_model, kind, status,
            status IN ('error', 'timeout', 'interrupted') AS is_error,
            status = 'cancelled' AS is_cancelled, unpriced,
            input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens,
            reasoning_output_tokens,
            measured AS duration, bucket_of(measured) AS duration_bucket,
            (measured * 1e9)::bigint AS duration_nanoseconds,
            time_to_first_chunk, bucket_of(time_to_first_chunk) AS time_to_first_chunk_bucket,
            (time_to_first_chunk * 1e9)::bigint AS time_to_first_chunk_nanoseconds,
            time_per_output_chunk, bucket_of(time_per_output_chunk) AS time_per_output_chunk_bucket,
            (time_per_output_chunk * 1e9)::bigint AS time_per_output_chunk_nanoseconds,
            cost_usd, bucket_of(cost_usd::double precision) AS cost_usd_bucket
        FROM inserted,
             -- When an interrupted call ended was never measured.
             LATERAL (SELECT CASE WHEN status <> 'interrupted' THEN duration END) AS m (measured)
    ), few AS MATERIALIZED (
        SELECT
            CASE GROUPING(minute) WHEN 0 THEN 'minute' ELSE 'owner_day' END AS tier,
            coalesce(owner, '00000000-0000-0000-0000-000000000000') AS owner_id,
            coalesce(minute, day) AS starts_at,
            coalesce(provider_name, '') AS provider_name,
            coalesce(request_model, '') AS request_model,
            coalesce(kind, '') AS kind, coalesce(status, '') AS status,
            count(*) AS requests,
            count(*) FILTER (WHERE is_error) AS errors,
            count(*) FILTER (WHERE is_cancelled) AS cancelled,
            count(*) FILTER (WHERE unpriced) AS unpriced_requests,
            coalesce(sum(input_tokens), 0) AS input_tokens,
            coalesce(sum(cache_read_input_tokens), 0) AS cache_read_input_tokens,
            coalesce(sum(cache_write_input_tokens), 0) AS cache_write_input_tokens,
            coalesce(sum(output_tokens), 0) AS output_tokens,
            coalesce(sum(reasoning_output_tokens), 0) AS reasoning_output_tokens,
            count(duration) AS duration_count,
            coalesce(sum(duration_nanoseconds), 0) * 1e-9 AS duration_sum,
            max(duration) AS duration_max,
            coalesce(string_agg(int2send(duration_bucket), ''), '') AS duration_buckets,
            0::numeric AS duration_histogram,
            count(time_to_first_chunk) AS time_to_first_chunk_count,
            coalesce(sum(time_to_first_chunk_nanoseconds), 0) * 1e-9 AS time_to_first_chunk_sum,
            coalesce(string_agg(int2send(time_to_first_chunk_bucket), ''), '') AS time_to_first_chunk_buckets,
            0::numeric AS time_to_first_chunk_histogram,
            count(time_per_output_chunk) AS time_per_output_chunk_count,
            coalesce(sum(time_per_output_chunk_nanoseconds), 0) * 1e-9 AS time_per_output_chunk_sum,
            coalesce(string_agg(int2send(time_per_output_chunk_bucket), ''), '') AS time_per_output_chunk_buckets,
            0::numeric AS time_per_output_chunk_histogram,
            count(cost_usd) AS cost_usd_count,
            coalesce(sum(cost_usd), 0) AS cost_usd_sum,
            max(cost_usd) AS cost_usd_max,
            coalesce(string_agg(int2send(cost_usd_bucket), ''), '') AS cost_usd_buckets,
            0::numeric AS cost_usd_histogram,
            0::numeric AS input_tokens_histogram, 0::numeric AS output_tokens_histogram
        FROM calls
        GROUP BY GROUPING SETS (
            (minute, provider_name, request_model, kind, status), (day, owner)
        )
        HAVING GROUPING(minute) = 0 OR owner IS NOT NULL
    ), hours AS MATERIALIZED (
        SELECT
            'hour' AS tier, '00000000-0000-0000-0000-000000000000'::uuid AS owner_id,
            hour AS starts_at, provider_name, request_model, kind, status,
            count(*) AS requests,
            count(*) FILTER (WHERE is_error) AS errors,
            count(*) FILTER (WHERE is_cancelled) AS cancelled,
            count(*) FILTER (WHERE unpriced) AS unpriced_requests,
            coalesce(sum(input_tokens), 0) AS input_tokens,
            coalesce(sum(cache_read_input_tokens), 0) AS cache_read_input_tokens,
            coalesce(sum(cache_write_input_tokens), 0) AS cache_write_input_tokens,
            coalesce(sum(output_tokens), 0) AS output_tokens,
            coalesce(sum(reasoning_output_tokens), 0) AS reasoning_output_tokens,
            count(duration) AS duration_count,
            coalesce(sum(duration_nanoseconds), 0) * 1e-9 AS duration_sum,
            max(duration) AS duration_max,
            ''::bytea AS duration_buckets,
            coalesce(sum(histogram_of(duration_bucket)), 0) AS duration_histogram,
            count(time_to_first_chunk) AS time_to_first_chunk_count,
            coalesce(sum(time_to_first_chunk_nanoseconds), 0) * 1e-9 AS time_to_first_chunk_sum,
            ''::bytea AS time_to_first_chunk_buckets,
            coalesce(sum(histogram_of(time_to_first_chunk_bucket)), 0) AS time_to_first_chunk_histogram,
            count(time_per_output_chunk) AS time_per_output_chunk_count,
            coalesce(sum(time_per_output_chunk_nanoseconds), 0) * 1e-9 AS time_per_output_chunk_sum,
            ''::bytea AS time_per_output_chunk_buckets,
            coalesce(sum(histogram_of(time_per_output_chunk_bucket)), 0) AS time_per_output_chunk_histogram,
            count(cost_usd) AS cost_usd_count,
            coalesce(sum(cost_usd), 0) AS cost_usd_sum,
            max(cost_usd) AS cost_usd_max,
            ''::bytea AS cost_usd_buckets,
            coalesce(sum(histogram_of(cost_usd_bucket)), 0) AS cost_usd_histogram,
            coalesce(sum(histogram_of(token_bucket_of(input_tokens))), 0) AS input_tokens_histogram,
            coalesce(sum(histogram_of(token_bucket_of(output_tokens))), 0) AS output_tokens_histogram
        FROM calls
        GROUP BY hour, provider_name, request_model, kind, status
    )
    SELECT * FROM (
        TABLE few
        UNION ALL
        SELECT
            'minute_total', '00000000-0000-0000-0000-000000000000', starts_at, '', '', '', '',
            sum(requests)::bigint, sum(errors)::bigint, sum(cancelled)::bigint,
            sum(unpriced_requests)::bigint, sum(input_tokens), sum(cache_read_input_tokens),
            sum(cache_write_input_tokens), sum(output_tokens), sum(reasoning_output_tokens),
            sum(duration_count)::bigint, sum(duration_sum), max(duration_max),
            string_agg(duration_buckets, ''), 0::numeric,
            sum(time_to_first_chunk_count)::bigint, sum(time_to_first_chunk_sum),
            string_agg(time_to_first_chunk_buckets, ''), 0::numeric,
            sum(time_per_output_chunk_count)::bigint, sum(time_per_output_chunk_sum),
            string_agg(time_per_output_chunk_buckets, ''), 0::numeric,
            sum(cost_usd_count)::bigint, sum(cost_usd_sum), max(cost_usd_max),
            string_agg(cost_usd_buckets, ''), 0::numeric, 0::numeric, 0::numeric
        FROM few
        WHERE tier = 'minute'
        GROUP BY starts_at
        UNION ALL
        TABLE hours
        UNION ALL
        SELECT
            CASE GROUPING(starts_at, day) WHEN 1 THEN 'hour' WHEN 2 THEN 'day' ELSE 'all_time' END
                || CASE GROUPING(status) WHEN 1 THEN '_total' ELSE '' END,
            '00000000-0000-0000-0000-000000000000',
            coalesce(starts_at, day, 'epoch'),
            coalesce(provider_name, ''), coalesce(request_model, ''), coalesce(kind, ''),
            coalesce(status, ''),
            sum(requests)::bigint, sum(errors)::bigint, sum(cancelled)::bigint,
            sum(unpriced_requests)::bigint, sum(input_tokens), sum(cache_read_input_tokens),
            sum(cache_write_input_tokens), sum(output_tokens), sum(reasoning_output_tokens),
            sum(duration_count)::bigint, sum(duration_sum), max(duration_max), ''::bytea,
            sum(duration_histogram), sum(time_to_first_chunk_count)::bigint,
            sum(time_to_first_chunk_sum), ''::bytea, sum(time_to_first_chunk_histogram),
            sum(time_per_output_chunk_count)::bigint, sum(time_per_output_chunk_sum),
            ''::bytea, sum(time_per_output_chunk_histogram), sum(cost_usd_count)::bigint,
            sum(cost_usd_sum), max(cost_usd_max), ''::bytea, sum(cost_usd_histogram),
            sum(input_tokens_histogram), sum(output_tokens_histogram)
        FROM (SELECT *, date_bin('1 day', starts_at, 'epoch') AS day FROM hours) AS hours
        GROUP BY GROUPING SETS (
            (starts_at),
            (day, provider_name, request_model, kind, status), (day),
            (provider_name, request_model, kind, status)
        )
    ) AS rollups
    ORDER BY tier NOT IN ('minute', 'minute_total', 'owner_day'), tier, owner_id, starts_at,
             provider_name, request_model, kind, status
    ON CONFLICT (tier, owner_id, starts_at, provider_name, request_model, kind, status)
    DO UPDATE SET
        requests = added.requests + excluded.requests,
        errors = added.errors + excluded.errors,
        cancelled = added.cancelled + excluded.cancelled,
        unpriced_requests = added.unpriced_requests + excluded.unpriced_requests,
        input_tokens = added.input_tokens + excluded.input_tokens,
        cache_read_input_tokens = added.cache_read_input_tokens + excluded.cache_read_input_tokens,
        cache_write_input_tokens =
            added.cache_write_input_tokens + excluded.cache_write_input_tokens,
        output_tokens = added.output_tokens + excluded.output_tokens,
        reasoning_output_tokens = added.reasoning_output_tokens + excluded.reasoning_output_tokens,
        duration_count = added.duration_count + excluded.duration_count,
        duration_sum = added.duration_sum + excluded.duration_sum,
        duration_max = greatest(added.duration_max, excluded.duration_max),
        duration_buckets = added.duration_buckets || excluded.duration_buckets,
        duration_histogram = added.duration_histogram + excluded.duration_histogram,
        time_to_first_chunk_count =
            added.time_to_first_chunk_count + excluded.time_to_first_chunk_count,
        time_to_first_chunk_sum = added.time_to_first_chunk_sum + excluded.time_to_first_chunk_sum,
        time_to_first_chunk_buckets =
            added.time_to_first_chunk_buckets || excluded.time_to_first_chunk_buckets,
        time_to_first_chunk_histogram =
            added.time_to_first_chunk_histogram + excluded.time_to_first_chunk_histogram,
        time_per_output_chunk_count =
            added.time_per_output_chunk_count + excluded.time_per_output_chunk_count,
        time_per_output_chunk_sum =
            added.time_per_output_chunk_sum + excluded.time_per_output_chunk_sum,
        time_per_output_chunk_buckets =
            added.time_per_output_chunk_buckets || excluded.time_per_output_chunk_buckets,
        time_per_output_chunk_histogram =
            added.time_per_output_chunk_histogram + excluded.time_per_output_chunk_histogram,
        cost_usd_count = added.cost_usd_count + excluded.cost_usd_count,
        cost_usd_sum = added.cost_usd_sum + excluded.cost_usd_sum,
        cost_usd_max = greatest(added.cost_usd_max, excluded.cost_usd_max),
        cost_usd_buckets = added.cost_usd_buckets || excluded.cost_usd_buckets,
        cost_usd_histogram = added.cost_usd_histogram + excluded.cost_usd_histogram,
        input_tokens_histogram = added.input_tokens_histogram + excluded.input_tokens_histogram,
        output_tokens_histogram = added.output_tokens_histogram + excluded.output_tokens_histogram;

    INSERT INTO rollup_reasons AS added
    SELECT CASE GROUPING(hour) WHEN 0 THEN 'hour' ELSE 'day' END AS tier,
           coalesce(hour, day) AS starts_at,
           provider_name, request_model, kind, status, reason_of, reason, sum(requests)::bigint
    FROM (
        SELECT *, date_bin('1 day', hour, 'epoch') AS day
        FROM (
            SELECT date_bin('1 hour', started_at, 'epoch') AS hour, provider_name, request_model,
                   kind, status, finish_reasons, error_type, count(*) AS requests
            FROM inserted
            GROUP BY 1, 2, 3, 4, 5, 6, 7
        ) AS alike,
        LATERAL (
            SELECT DISTINCT 'finish_reason' AS reason_of, left(given, 64) AS reason
            FROM unnest(finish_reasons) AS given
            UNION ALL
            SELECT 'error_type', left(error_type, 64) WHERE error_type IS NOT NULL
        ) AS given
    ) AS reasons
    GROUP BY GROUPING SETS (
        (hour, provider_name, request_model, kind, status, reason_of, reason),
        (day, provider_name, request_model, kind, status, reason_of, reason)
    )
    ORDER BY tier, starts_at, provider_name, request_model, kind, status, reason_of, reason
    ON CONFLICT (tier, starts_at, provider_name, request_model, kind, status, reason_of, reason)
    DO UPDATE SET requests = added.requests + excluded.requests;
    RETURN NULL;
END
$$;

-- As in 0011_rollups.sql, and the histograms of tokens.
CREATE OR REPLACE FUNCTION rebuild_rollups(p_day timestamptz, p_force boolean) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    p_end timestamptz := p_day + interval '24 hours';
    in_log bigint;
    counted bigint;
BEGIN
    IF to_regclass('pg_temp.rollup_replay') IS NULL THEN
        CREATE TEMP TABLE rollup_replay (LIKE inference_log) ON COMMIT DELETE ROWS;
        CREATE TRIGGER rollup_replay_add_rollups
        AFTER INSERT ON rollup_replay REFERENCING NEW TABLE AS inserted
        FOR EACH STATEMENT EXECUTE FUNCTION add_rollups();
    END IF;
    -- Whose rows we do not see yet has not added them either, and does so when we are done.
    LOCK TABLE rollups IN SHARE ROW EXCLUSIVE MODE;
    SELECT count(*) INTO in_log FROM inference_log WHERE started_at >= p_day AND started_at < p_end;
    SELECT coalesce(sum(requests), 0) INTO counted
    FROM rollups WHERE tier = 'day_total' AND starts_at = p_day;
    IF in_log < counted AND NOT p_force THEN
        RETURN NULL;
    END IF;

    UPDATE rollups AS total SET
        requests = total.requests - day.requests,
        errors = total.errors - day.errors,
        cancelled = total.cancelled - day.cancelled,
        unpriced_requests = total.unpriced_requests - day.unpriced_requests,
        input_tokens = total.input_tokens - day.input_tokens,
        cache_read_input_tokens = total.cache_read_input_tokens - day.cache_read_input_tokens,
        cache_write_input_tokens = total.cache_write_input_tokens - day.cache_write_input_tokens,
        output_tokens = total.output_tokens - day.output_tokens,
        reasoning_output_tokens = total.reasoning_output_tokens - day.reasoning_output_tokens,
        duration_count = total.duration_count - day.duration_count,
        duration_sum = total.duration_sum - day.duration_sum,
        duration_histogram = total.duration_histogram - day.duration_histogram,
        time_to_first_chunk_count = total.time_to_first_chunk_count - day.time_to_first_chunk_count,
        time_to_first_chunk_sum = total.time_to_first_chunk_sum - day.time_to_first_chunk_sum,
        time_to_first_chunk_histogram =
            total.time_to_first_chunk_histogram - day.time_to_first_chunk_histogram,
        time_per_output_chunk_count =
            total.time_per_output_chunk_count - day.time_per_output_chunk_count,
        time_per_output_chunk_sum = total.time_per_output_chunk_sum - day.time_per_output_chunk_sum,
        time_per_output_chunk_histogram =
            total.time_per_output_chunk_histogram - day.time_per_output_chunk_histogram,
        cost_usd_count = total.cost_usd_count - day.cost_usd_count,
        cost_usd_sum = total.cost_usd_sum - day.cost_usd_sum,
        cost_usd_histogram = total.cost_usd_histogram - day.cost_usd_histogram,
        input_tokens_histogram = total.input_tokens_histogram - day.input_tokens_histogram,
        output_tokens_histogram = total.output_tokens_histogram - day.output_tokens_histogram
    FROM rollups AS day
    WHERE total.tier = 'all_time' AND day.tier = 'day' AND day.starts_at = p_day
      AND (total.provider_name, total.request_model, total.kind, total.status)
        = (day.provider_name, day.request_model, day.kind, day.status);
    DELETE FROM rollups WHERE tier = 'all_time' AND requests = 0;
    DELETE FROM rollups
    WHERE tier NOT IN ('all_time', 'owner_day') AND starts_at >= p_day AND starts_at < p_end
      AND owner_id = '00000000-0000-0000-0000-000000000000';
    DELETE FROM rollups WHERE tier = 'owner_day' AND starts_at = p_day;
    DELETE FROM rollup_reasons WHERE starts_at >= p_day AND starts_at < p_end;

    INSERT INTO rollup_replay
    SELECT * FROM inference_log WHERE started_at >= p_day AND started_at < p_end;
    TRUNCATE rollup_replay;
    RETURN in_log;
END
$$;

-- What was counted before. Calls that the log no longer holds are in the sums of tokens, so they are
-- counted with them, in bucket 15: in which of the others they were nobody knows any more.
WITH hours AS MATERIALIZED (
    SELECT
        date_bin('1 hour', started_at, 'epoch') AS hour, provider_name, request_model, kind, status,
        count(*) AS requests,
        sum(histogram_of(token_bucket_of(input_tokens))) AS input_tokens_histogram,
        sum(histogram_of(token_bucket_of(output_tokens))) AS output_tokens_histogram
    FROM inference_log
    GROUP BY 1, 2, 3, 4, 5
), logged AS (
    SELECT
        CASE GROUPING(hour, day) WHEN 1 THEN 'hour' WHEN 2 THEN 'day' ELSE 'all_time' END
            || CASE GROUPING(status) WHEN 1 THEN '_total' ELSE '' END AS tier,
        coalesce(hour, day, 'epoch') AS starts_at,
        coalesce(provider_name, '') AS provider_name,
        coalesce(request_model, '') AS request_model,
        coalesce(kind, '') AS kind, coalesce(status, '') AS status,
        sum(requests) AS requests,
        coalesce(sum(input_tokens_histogram), 0) AS input_tokens_histogram,
        coalesce(sum(output_tokens_histogram), 0) AS output_tokens_histogram
    FROM (SELECT *, date_bin('1 day', hour, 'epoch') AS day FROM hours) AS hours
    GROUP BY GROUPING SETS (
        (hour, provider_name, request_model, kind, status), (hour),
        (day, provider_name, request_model, kind, status), (day),
        (provider_name, request_model, kind, status)
    )
), counted AS (
    SELECT
        tier, starts_at, provider_name, request_model, kind, status,
        greatest(rollups.requests - coalesce(logged.requests, 0), 0)
            * histogram_of(15::smallint) AS unknown,
        coalesce(logged.input_tokens_histogram, 0) AS input_tokens_histogram,
        coalesce(logged.output_tokens_histogram, 0) AS output_tokens_histogram
    FROM rollups
    LEFT JOIN logged USING (tier, starts_at, provider_name, request_model, kind, status)
    WHERE tier IN ('hour', 'hour_total', 'day', 'day_total', 'all_time')
)
UPDATE rollups SET
    input_tokens_histogram = counted.input_tokens_histogram + unknown,
    output_tokens_histogram = counted.output_tokens_histogram + unknown
FROM counted
WHERE rollups.tier = counted.tier AND rollups.starts_at = counted.starts_at
  AND rollups.provider_name = counted.provider_name
  AND rollups.request_model = counted.request_model
  AND rollups.kind = counted.kind AND rollups.status = counted.status;
