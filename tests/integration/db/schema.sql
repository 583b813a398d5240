CREATE EXTENSION IF NOT EXISTS btree_gin WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
CREATE FUNCTION public.add_rollups() RETURNS trigger
    LANGUAGE plpgsql
    SET work_mem TO '32MB'
    AS $$
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
CREATE FUNCTION public.begin_turn(p_owner_id uuid, p_conversation_id uuid, p_title text, p_model text, p_client_message_id text, p_parts jsonb, p_again boolean, p_user_message_id uuid, p_answer_id uuid, p_provider_name text, p_request_model text, p_request_id text, p_input_preview text, p_started_at timestamp with time zone, p_message_uuid uuid DEFAULT NULL::uuid, p_known boolean DEFAULT false, p_branches boolean DEFAULT false, p_parent text DEFAULT NULL::text, p_parent_uuid uuid DEFAULT NULL::uuid) RETURNS TABLE(refused text, seen boolean, is_first boolean, user_message_id uuid, answer_id uuid, status text, parts jsonb, metadata jsonb, branch jsonb, system_prompt text, parameters jsonb)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    conversation conversations;
    question messages;
    answer messages;
    parent uuid;
    next_sequence bigint;
    is_new boolean := false;
BEGIN
    -- Not "=", for which the planner may take the index of the owner's list and read all of it.
    SELECT * INTO conversation FROM conversations
    WHERE id = p_conversation_id AND owner_id IS NOT DISTINCT FROM p_owner_id FOR UPDATE;
    IF NOT FOUND THEN
        IF p_known OR p_parent IS NOT NULL THEN
            RETURN;
        END IF;
        -- With its first turn in it already, which saves the update of a row just made.
        INSERT INTO conversations
            (id, owner_id, title, title_source, model, active_leaf_id, last_sequence)
        VALUES (p_conversation_id, p_owner_id, p_title, 'prompt', p_model, p_answer_id, 2)
        ON CONFLICT (id) DO NOTHING;
        is_new := FOUND;
        IF NOT is_new THEN
            -- The id is in use: by a parallel first turn of this owner, or by somebody else.
            SELECT * INTO conversation FROM conversations
            WHERE id = p_conversation_id AND owner_id = p_owner_id FOR UPDATE;
            IF NOT FOUND THEN
                RETURN;
            END IF;
        END IF;
    END IF;
    IF conversation.deleted_at IS NOT NULL THEN
        RETURN;
    END IF;
    -- Of a new conversation nothing was selected: its columns here are NULL.
    is_first := coalesce(conversation.last_sequence, 0) = 0;
    next_sequence := coalesce(conversation.last_sequence, 0) + 1;
    system_prompt := conversation.system_prompt;
    parameters := coalesce(conversation.parameters, '{}');
    IF NOT is_new THEN
        SELECT * INTO question FROM messages
        WHERE conversation_id = p_conversation_id AND client_message_id = p_client_message_id;
        IF NOT FOUND AND p_message_uuid IS NOT NULL THEN
            SELECT * INTO question FROM messages
            WHERE id = p_message_uuid AND conversation_id = p_conversation_id;
        END IF;
    END IF;
    IF question.role = 'assistant' OR (p_known AND question.id IS NULL) THEN
        refused := 'message';
        RETURN NEXT;
        RETURN;
    END IF;
    IF question.id IS NOT NULL THEN
        SELECT * INTO answer FROM messages
        WHERE parent_id = question.id AND role = 'assistant' ORDER BY sequence DESC LIMIT 1;
        IF FOUND AND (answer.status = 'streaming' OR NOT p_again) THEN
            RETURN QUERY SELECT NULL, true, is_first, question.id, answer.id, answer.status,
                                answer.parts, answer.metadata, NULL::jsonb, system_prompt,
                                parameters;
            RETURN;
        END IF;
    ELSE
        parent := conversation.active_leaf_id;
        IF p_branches THEN
            SELECT id INTO parent FROM messages
            WHERE conversation_id = p_conversation_id AND client_message_id = p_parent;
            IF NOT FOUND AND p_parent IS NOT NULL THEN
                SELECT id INTO parent FROM messages
                WHERE id = p_parent_uuid AND conversation_id = p_conversation_id;
                IF NOT FOUND THEN
                    refused := 'parent';
                    RETURN NEXT;
                    RETURN;
                END IF;
            END IF;
        END IF;
        INSERT INTO messages
            (id, conversation_id, parent_id, sequence, role, status, parts, client_message_id)
        VALUES (p_user_message_id, p_conversation_id, parent, next_sequence,
                'user', 'complete', p_parts, p_client_message_id)
        RETURNING * INTO question;
        next_sequence := next_sequence + 1;
    END IF;
    INSERT INTO messages (id, conversation_id, parent_id, sequence, role, status, parts)
    VALUES (p_answer_id, p_conversation_id, question.id, next_sequence, 'assistant', 'streaming',
            '[]');
    IF NOT is_new THEN
        UPDATE conversations
        SET active_leaf_id = p_answer_id, last_sequence = next_sequence, model = p_model,
            updated_at = now()
        WHERE id = p_conversation_id;
    END IF;
    INSERT INTO runs
        (id, kind, owner_id, conversation_id, provider_name, request_model, request_id,
         input_preview, started_at)
    VALUES (p_answer_id, 'chat', p_owner_id, p_conversation_id, p_provider_name, p_request_model,
            p_request_id, p_input_preview, p_started_at);
    RETURN QUERY
    WITH RECURSIVE path AS (
        SELECT messages.* FROM messages WHERE id = question.id
        UNION ALL
        -- LIMIT makes it a look-up each, also in a plan that was made when the table was small.
        SELECT above.* FROM path
        CROSS JOIN LATERAL (SELECT * FROM messages WHERE id = path.parent_id LIMIT 1) AS above
    )
    SELECT NULL, false, is_first, question.id, p_answer_id, 'streaming', '[]'::jsonb, '{}'::jsonb,
           jsonb_agg(jsonb_build_object('role', path.role, 'parts', path.parts)
                     ORDER BY path.sequence),
           system_prompt, parameters
    FROM path;
END
$$;
CREATE FUNCTION public.bucket_of(value double precision) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (value > (0.0000000000010)::double precision) THEN ((ceil((ln(value) / ln((1.02)::double precision))) + (1396)::double precision))::smallint ELSE NULL::smallint END;
CREATE FUNCTION public.count_usage() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO user_usage AS counted (user_id, day, calls, tokens, cost_usd)
    SELECT owner_id, day, calls, tokens, cost_usd
    FROM (
        SELECT owner_id, (started_at AT TIME ZONE 'UTC')::date AS day, count(*) AS calls,
               sum(coalesce(input_tokens, 0)::numeric + coalesce(output_tokens, 0)) AS tokens,
               sum(coalesce(cost_usd, 0)) AS cost_usd
        FROM inserted
        GROUP BY 1, 2
    ) AS used
    WHERE EXISTS (SELECT FROM users WHERE users.id = owner_id)
    ORDER BY owner_id, day
    ON CONFLICT (user_id, day) DO UPDATE
    SET calls = counted.calls + excluded.calls,
        tokens = counted.tokens + excluded.tokens,
        cost_usd = counted.cost_usd + excluded.cost_usd;
    INSERT INTO total_usage AS counted (day, calls, tokens, cost_usd)
    SELECT (started_at AT TIME ZONE 'UTC')::date, count(*),
           sum(coalesce(input_tokens, 0)::numeric + coalesce(output_tokens, 0)),
           sum(coalesce(cost_usd, 0))
    FROM inserted
    GROUP BY 1
    ORDER BY 1
    ON CONFLICT (day) DO UPDATE
    SET calls = counted.calls + excluded.calls,
        tokens = counted.tokens + excluded.tokens,
        cost_usd = counted.cost_usd + excluded.cost_usd;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.forget_alerts() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM alert_states WHERE subject = OLD.id::text;
    UPDATE alert_events SET subject = 'deleted' WHERE subject = OLD.id::text;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.forget_attachment() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO deleted_attachments (id, until)
    VALUES (OLD.id, greatest(OLD.writable_until, now()));
    RETURN NULL;
END
$$;
CREATE FUNCTION public.forget_rollups() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM rollups WHERE tier = 'owner_day' AND owner_id = OLD.id;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.forget_usage() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM user_usage WHERE user_id = OLD.id;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.histogram_of(bucket smallint) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (('1e'::text || ((12 * (bucket)::integer))::text))::numeric;
CREATE FUNCTION public.link_attachments() RETURNS trigger
    LANGUAGE plpgsql
    AS $_$
DECLARE
    named uuid[];
    found bigint;
BEGIN
    SELECT array_agg(DISTINCT match[1]::uuid) INTO named
    FROM jsonb_array_elements(NEW.parts) AS part
    CROSS JOIN LATERAL regexp_match(
        part->>'url', '^/api/attachments/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/content$'
    ) AS match
    WHERE part->>'type' = 'file' AND match IS NOT NULL;
    IF named IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE attachments SET purge_at = NULL
    WHERE id = ANY (named) AND state = 'ready'
      AND owner_id = (SELECT owner_id FROM conversations WHERE id = NEW.conversation_id);
    GET DIAGNOSTICS found = ROW_COUNT;
    IF found < cardinality(named) THEN
        RAISE EXCEPTION 'a file of the message is not there' USING ERRCODE = 'TR404';
    END IF;
    INSERT INTO message_attachments (message_id, attachment_id) SELECT NEW.id, unnest(named);
    RETURN NULL;
END
$_$;
CREATE FUNCTION public.pending_tokens(p_user_id uuid, p_except uuid, p_reserve numeric) RETURNS numeric
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(sum(coalesce(tokens, CASE kind WHEN 'chat' THEN p_reserve END)), 0)
    FROM runs
    WHERE owner_id = p_user_id AND id IS DISTINCT FROM p_except
      AND NOT EXISTS (
          SELECT FROM inference_log
          WHERE inference_log.id = runs.id AND inference_log.started_at = runs.started_at)
$$;
CREATE FUNCTION public.rebuild_rollups(p_day timestamp with time zone, p_force boolean) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
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
CREATE FUNCTION public.require_quota(p_new boolean, p_user_id uuid, p_run_id uuid, p_reserve numeric, p_tokens_per_day numeric, p_tokens_per_month numeric, p_usd_per_day numeric, p_usd_per_month numeric, p_budget_usd_per_day numeric, p_budget_usd_per_month numeric) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date;
    this_month date := date_trunc('month', now() AT TIME ZONE 'UTC')::date;
    next_month date := (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month')::date;
    own user_quotas;
    tokens_of_day numeric := 0;
    tokens_of_month numeric := 0;
    usd_of_day numeric := 0;
    usd_of_month numeric := 0;
    usd_per_token numeric;
    all_usd_of_day numeric := 0;
    all_usd_of_month numeric := 0;
    all_usd_per_token numeric := 0;
    pending numeric := 0;
    room numeric;
    is_alone boolean := false;
    pending_usd numeric := 0;
    all_pending_usd numeric := 0;
    exceeded text;
    is_pending boolean;
BEGIN
    IF NOT coalesce(p_new, false) THEN
        RETURN;
    END IF;
    SELECT * INTO own FROM user_quotas WHERE user_id = p_user_id;
    p_tokens_per_day := coalesce(own.tokens_per_day, p_tokens_per_day);
    p_tokens_per_month := coalesce(own.tokens_per_month, p_tokens_per_month);
    p_usd_per_day := coalesce(own.usd_per_day, p_usd_per_day);
    p_usd_per_month := coalesce(own.usd_per_month, p_usd_per_month);
    IF num_nonnulls(p_tokens_per_day, p_tokens_per_month, p_usd_per_day, p_usd_per_month,
                    p_budget_usd_per_day, p_budget_usd_per_month) = 0 THEN
        RETURN;
    END IF;
    IF num_nonnulls(p_usd_per_day, p_usd_per_month, p_budget_usd_per_day,
                    p_budget_usd_per_month) > 0 THEN
        SELECT coalesce(sum(cost_usd) FILTER (WHERE day = today), 0), coalesce(sum(cost_usd), 0),
               coalesce(sum(cost_usd) / nullif(sum(tokens), 0), 0)
        INTO all_usd_of_day, all_usd_of_month, all_usd_per_token
        FROM total_usage WHERE day >= this_month AND day < next_month;
    END IF;
    IF num_nonnulls(p_budget_usd_per_day, p_budget_usd_per_month) > 0 THEN
        -- A backlog of events must not make every chat wait: so many calls are looked at, at most.
        SELECT coalesce(sum(coalesce(tokens, p_reserve)), 0) * all_usd_per_token
        INTO all_pending_usd
        FROM (SELECT tokens FROM runs
              WHERE id IS DISTINCT FROM p_run_id AND (tokens IS NOT NULL OR kind <> 'title')
              LIMIT 5000) AS uncounted;
    END IF;
    IF num_nonnulls(p_tokens_per_day, p_tokens_per_month, p_usd_per_day, p_usd_per_month) > 0 THEN
        -- Near the end of a quota a user's calls come in one at a time: each then sees the one
        -- before. Far from it they need not wait for each other's commit.
        LOOP
            SELECT coalesce(sum(tokens) FILTER (WHERE day = today), 0), coalesce(sum(tokens), 0),
                   coalesce(sum(cost_usd) FILTER (WHERE day = today), 0),
                   coalesce(sum(cost_usd), 0), sum(cost_usd) / nullif(sum(tokens), 0)
            INTO tokens_of_day, tokens_of_month, usd_of_day, usd_of_month, usd_per_token
            FROM user_usage WHERE user_id = p_user_id AND day >= this_month AND day < next_month;
            pending := pending_tokens(p_user_id, p_run_id, p_reserve);
            -- What a token cost so far is the best guess of what it will cost.
            usd_per_token := coalesce(usd_per_token, all_usd_per_token);
            pending_usd := pending * usd_per_token;
            room := p_reserve * 200;
            EXIT WHEN is_alone OR NOT coalesce(
                tokens_of_day + pending + room >= p_tokens_per_day, false)
                AND NOT coalesce(tokens_of_month + pending + room >= p_tokens_per_month, false)
                AND NOT coalesce(
                    usd_of_day + pending_usd + room * usd_per_token >= p_usd_per_day, false)
                AND NOT coalesce(
                    usd_of_month + pending_usd + room * usd_per_token >= p_usd_per_month, false);
            PERFORM pg_advisory_xact_lock(hashtextextended('tailrace.quota.' || p_user_id, 0));
            is_alone := true;
        END LOOP;
    END IF;
    -- What is used up comes before what may be soon, and months before days: they end later.
    SELECT quota, used_up IS NOT TRUE INTO exceeded, is_pending
    FROM (VALUES
        (1, 'budget_usd_per_month', all_usd_of_month, all_pending_usd, p_budget_usd_per_month),
        (2, 'tokens_per_month', tokens_of_month, pending, p_tokens_per_month),
        (3, 'usd_per_month', usd_of_month, pending_usd, p_usd_per_month),
        (4, 'budget_usd_per_day', all_usd_of_day, all_pending_usd, p_budget_usd_per_day),
        (5, 'tokens_per_day', tokens_of_day, pending, p_tokens_per_day),
        (6, 'usd_per_day', usd_of_day, pending_usd, p_usd_per_day)
    ) AS checks (rank, quota, so_far, soon, allowed),
    LATERAL (SELECT so_far >= allowed AS used_up) AS judged
    WHERE so_far + soon >= allowed
    ORDER BY used_up DESC, rank
    LIMIT 1;
    IF exceeded IS NOT NULL THEN
        RAISE EXCEPTION 'quota % is used up', exceeded USING
            ERRCODE = 'TR429',
            DETAIL = json_build_object(
                'quota', exceeded,
                'is_pending', is_pending,
                'resets_on', CASE WHEN exceeded LIKE '%month' THEN next_month ELSE today + 1 END
            )::text;
    END IF;
END
$$;
CREATE TABLE public.messages (
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    parent_id uuid,
    sequence bigint NOT NULL,
    role text NOT NULL,
    status text NOT NULL,
    parts jsonb NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    client_message_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT messages_role_check CHECK ((role = ANY (ARRAY['user'::text, 'assistant'::text]))),
    CONSTRAINT messages_status_check CHECK ((status = ANY (ARRAY['complete'::text, 'streaming'::text, 'error'::text, 'cancelled'::text, 'interrupted'::text])))
);
CREATE FUNCTION public.search_index_message(message public.messages) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    said text := search_text(message.parts);
    spoken text;
BEGIN
    IF said IS NULL OR said = '' THEN
        DELETE FROM search_messages WHERE message_id = message.id;
        RETURN;
    END IF;
    spoken := search_language(said, coalesce(
        (SELECT language FROM search_messages WHERE message_id = message.parent_id),
        (SELECT language FROM search_titles WHERE conversation_id = message.conversation_id),
        'english'));
    INSERT INTO search_messages
        (message_id, conversation_id, owner_id, language, created_at, lexemes)
    SELECT message.id, message.conversation_id, owner_id, spoken, message.created_at,
           to_tsvector(spoken::regconfig, said)
    FROM conversations WHERE id = message.conversation_id
    ON CONFLICT (message_id) DO UPDATE
    SET language = excluded.language, lexemes = excluded.lexemes;
END
$$;
CREATE FUNCTION public.search_index_missing_title(p_conversation_id uuid) RETURNS void
    LANGUAGE sql
    AS $$
    SELECT search_index_title(conversations)
    FROM conversations
    WHERE id = p_conversation_id
      AND NOT EXISTS (SELECT FROM search_titles WHERE conversation_id = conversations.id);
$$;
CREATE FUNCTION public.search_index_rest(p_conversation_id uuid) RETURNS void
    LANGUAGE sql
    AS $$
    SELECT search_index_message(messages)
    FROM messages
    WHERE conversation_id = p_conversation_id AND role = 'user' AND status <> 'streaming'
      AND NOT EXISTS (SELECT FROM search_messages WHERE message_id = messages.id)
    ORDER BY sequence;
    SELECT search_index_missing_title(p_conversation_id);
$$;
CREATE TABLE public.conversations (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    title text NOT NULL,
    title_source text NOT NULL,
    model text NOT NULL,
    active_leaf_id uuid,
    last_sequence bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    system_prompt text,
    parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    pinned_at timestamp with time zone,
    archived_at timestamp with time zone,
    deleted_at timestamp with time zone,
    CONSTRAINT conversations_title_source_check CHECK ((title_source = ANY (ARRAY['prompt'::text, 'model'::text, 'user'::text])))
);
CREATE FUNCTION public.search_index_title(conversation public.conversations) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    said text := search_text(conversation.title);
    spoken text := search_language(said, coalesce(
        (SELECT language FROM search_messages
         WHERE message_id = (SELECT id FROM messages WHERE conversation_id = conversation.id
                             ORDER BY sequence LIMIT 1)),
        'english'));
BEGIN
    INSERT INTO search_titles (conversation_id, owner_id, language, created_at, lexemes)
    VALUES (conversation.id, conversation.owner_id, spoken, conversation.created_at,
            to_tsvector(spoken::regconfig, said))
    ON CONFLICT (conversation_id) DO UPDATE
    SET language = excluded.language, lexemes = excluded.lexemes;
END
$$;
CREATE FUNCTION public.search_is_word(lexeme text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (lexeme ~ '^[[:alpha:]]{4,24}$'::text);
CREATE FUNCTION public.search_language(said text, fallback text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN COALESCE((SELECT list.language FROM unnest(tsvector_to_array(to_tsvector('simple'::regconfig, "left"(search_language.said, 500)))) word(word), unnest(ARRAY['english'::text, 'german'::text, 'french'::text, 'spanish'::text, 'italian'::text, 'portuguese'::text, 'dutch'::text, 'russian'::text, 'swedish'::text, 'danish'::text, 'norwegian'::text, 'finnish'::text, 'hungarian'::text, 'turkish'::text]) WITH ORDINALITY list(language, place) WHERE ((length(word.word) <= 6) AND (ts_lexize(((list.language || '_stem'::text))::regdictionary, word.word) = '{}'::text[])) GROUP BY list.language HAVING ((count(*) > 1) OR (list.language = search_language.fallback)) ORDER BY (count(*)) DESC, (list.language = search_language.fallback) DESC, (min(list.place)) LIMIT 1), CASE WHEN (octet_length(said) = length(said)) THEN fallback WHEN (said ~ '[\u0370-\u03FF]'::text) THEN 'greek'::text WHEN (said ~ '[\u0400-\u04FF]'::text) THEN 'russian'::text WHEN (said ~ '[\u0530-\u058F]'::text) THEN 'armenian'::text WHEN (said ~ '[\u0600-\u06FF]'::text) THEN 'arabic'::text WHEN (said ~ '[\u0900-\u097F]'::text) THEN 'hindi'::text WHEN (said ~ '[\u0B80-\u0BFF]'::text) THEN 'tamil'::text ELSE fallback END);
CREATE FUNCTION public.search_message_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM search_index_message(messages)
    FROM messages
    WHERE id = NEW.parent_id AND role = 'user'
      AND NOT EXISTS (SELECT FROM search_messages WHERE message_id = messages.id);
    PERFORM search_index_missing_title(NEW.conversation_id);
    PERFORM search_index_message(NEW);
    RETURN NULL;
END
$$;
CREATE FUNCTION public.search_note_words() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        -- With their owner, the words go anyhow.
        INSERT INTO search_changes (owner_id, removed, words)
        SELECT OLD.owner_id, true, search_words_of(OLD.lexemes)
        FROM users WHERE id = OLD.owner_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO search_changes (owner_id, removed, words)
        VALUES (NEW.owner_id, false, search_words_of(NEW.lexemes));
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.search_plain(word text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN translate(word, 'àáâãäåāăąæçćčďđèéêëēėęěğíîïìīıłñńňòóôõöøōőœŕřśšşșßťţțùúûüūůűýÿźżžабвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґαβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώ'::text, 'aaaaaaaaaacccddeeeeeeeegiiiiiilnnnooooooooorrssssstttuuuuuuuyyzzzabvgdeejziiklmnoprstufxccwwqyqeuaiiegabgdezhqiklmnxoprsstufxcwaehiouw'::text);
CREATE FUNCTION public.search_text(said text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (octet_length(said) = length(said)) THEN translate(said, '<'::text, ''::text) ELSE regexp_replace(translate(said, '<'::text, ''::text), '[\u0E00-\u0EFF\u1000-\u109F\u1780-\u17FF\u3040-\u30FF\u3400-\u9FFF\uAC00-\uD7A3\uF900-\uFAFF]'::text, '\&'::text, 'g'::text) END;
CREATE FUNCTION public.search_text(parts jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT public.search_text("left"(string_agg((list.part ->> 'text'::text), '
'::text ORDER BY list.place), 50000)) AS search_text FROM jsonb_array_elements(search_text.parts) WITH ORDINALITY list(part, place) WHERE ((list.part ->> 'type'::text) = 'text'::text));
CREATE FUNCTION public.search_title_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM search_index_title(NEW);
    RETURN NULL;
END
$$;
CREATE FUNCTION public.search_words_of(lexemes tsvector) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY(SELECT word.word FROM unnest(tsvector_to_array(search_words_of.lexemes)) word(word) WHERE public.search_is_word(word.word));
CREATE FUNCTION public.token_bucket_of(tokens bigint) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (width_bucket((tokens - 1), '{1,4,16,64,256,1024,4096,16384,65536,262144,1048576,4194304,16777216,67108864}'::bigint[]))::smallint;
CREATE FUNCTION public.unlink_attachment() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE attachments SET purge_at = coalesce(purge_at, now()) WHERE id = OLD.attachment_id;
    RETURN NULL;
END
$$;
CREATE TABLE public.alert_deliveries (
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    target text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone,
    expires_at timestamp with time zone NOT NULL,
    delivered_at timestamp with time zone,
    last_error text
);
CREATE TABLE public.alert_events (
    id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    rule_id uuid NOT NULL,
    alert_id uuid NOT NULL,
    rule_name text NOT NULL,
    kind text NOT NULL,
    severity text NOT NULL,
    subject text NOT NULL,
    state text NOT NULL,
    value double precision,
    threshold double precision NOT NULL,
    window_seconds integer NOT NULL,
    problem text,
    is_silenced boolean NOT NULL,
    CONSTRAINT alert_events_state_check CHECK ((state = ANY (ARRAY['ok'::text, 'pending'::text, 'firing'::text, 'resolved'::text])))
);
CREATE TABLE public.alert_rules (
    id uuid NOT NULL,
    source text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    threshold double precision NOT NULL,
    resolve_threshold double precision,
    window_seconds integer NOT NULL,
    for_seconds integer NOT NULL,
    minimum_calls integer NOT NULL,
    severity text NOT NULL,
    provider_name text,
    request_model text,
    enabled boolean NOT NULL,
    silenced_until timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    evaluated_at timestamp with time zone,
    problem text,
    CONSTRAINT alert_rules_severity_check CHECK ((severity = ANY (ARRAY['info'::text, 'warning'::text, 'critical'::text]))),
    CONSTRAINT alert_rules_source_check CHECK ((source = ANY (ARRAY['settings'::text, 'api'::text])))
);
CREATE TABLE public.alert_states (
    rule_id uuid NOT NULL,
    subject text NOT NULL,
    state text NOT NULL,
    since timestamp with time zone NOT NULL,
    value double precision,
    alert_id uuid,
    is_told boolean DEFAULT false NOT NULL,
    CONSTRAINT alert_states_state_check CHECK ((state = ANY (ARRAY['ok'::text, 'pending'::text, 'firing'::text, 'resolved'::text])))
);
CREATE TABLE public.api_keys (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL,
    key_hash bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone,
    expires_at timestamp with time zone,
    CONSTRAINT api_keys_scopes_check CHECK (((cardinality(scopes) > 0) AND (scopes <@ ARRAY['chat'::text, 'read'::text, 'write'::text, 'metrics'::text, 'admin'::text])))
);
CREATE TABLE public.attachments (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    sha256 bytea NOT NULL,
    media_type text NOT NULL,
    filename text,
    size bigint NOT NULL,
    state text NOT NULL,
    extracted_text text,
    text_problem text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    writable_until timestamp with time zone NOT NULL,
    purge_at timestamp with time zone,
    CONSTRAINT attachments_sha256_check CHECK ((octet_length(sha256) = 32)),
    CONSTRAINT attachments_size_check CHECK ((size > 0)),
    CONSTRAINT attachments_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'ready'::text])))
);
CREATE TABLE public.deleted_attachments (
    id uuid NOT NULL,
    until timestamp with time zone NOT NULL,
    next_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.erased_owners (
    owner_id uuid NOT NULL,
    erased_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.identities (
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.imports (
    owner_id uuid NOT NULL,
    source text NOT NULL,
    source_id text NOT NULL,
    conversation_id uuid NOT NULL,
    imported_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.inference_archives (
    id uuid NOT NULL,
    partition_name text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    location text NOT NULL,
    row_count bigint,
    byte_count bigint,
    sha256 bytea,
    begun_at timestamp with time zone DEFAULT now() NOT NULL,
    verified_at timestamp with time zone,
    dropped_at timestamp with time zone
);
CREATE TABLE public.inference_dead_letters (
    id bigint NOT NULL,
    source text NOT NULL,
    source_id text NOT NULL,
    reason text NOT NULL,
    payload bytea NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    first_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    schema_version integer,
    replay_requested_at timestamp with time zone,
    claims integer DEFAULT 0 NOT NULL,
    event_id uuid,
    digest bytea GENERATED ALWAYS AS (sha256(payload)) STORED NOT NULL
);
ALTER TABLE public.inference_dead_letters ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.inference_dead_letters_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.inference_log (
    id uuid NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ingested_at timestamp with time zone DEFAULT now() NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    owner_id uuid,
    conversation_id uuid,
    request_id text,
    operation_name text NOT NULL,
    provider_name text NOT NULL,
    request_model text NOT NULL,
    response_model text,
    response_id text,
    finish_reasons text[] DEFAULT '{}'::text[] NOT NULL,
    error_type text,
    error_message text,
    duration double precision NOT NULL,
    time_to_first_chunk double precision,
    time_per_output_chunk double precision,
    input_tokens bigint,
    cache_read_input_tokens bigint,
    cache_write_input_tokens bigint,
    output_tokens bigint,
    reasoning_output_tokens bigint,
    usage_estimated boolean DEFAULT false NOT NULL,
    cost_usd numeric(20,12),
    unpriced boolean DEFAULT false NOT NULL,
    price_version text,
    attempts integer DEFAULT 1 NOT NULL,
    fallback_from text,
    cold_start boolean DEFAULT false NOT NULL,
    input_preview text,
    output_preview text,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL
)
PARTITION BY RANGE (started_at);
CREATE TABLE public.inference_log_default (
    id uuid CONSTRAINT inference_log_id_not_null NOT NULL,
    started_at timestamp with time zone CONSTRAINT inference_log_started_at_not_null NOT NULL,
    ingested_at timestamp with time zone DEFAULT now() CONSTRAINT inference_log_ingested_at_not_null NOT NULL,
    kind text CONSTRAINT inference_log_kind_not_null NOT NULL,
    status text CONSTRAINT inference_log_status_not_null NOT NULL,
    owner_id uuid,
    conversation_id uuid,
    request_id text,
    operation_name text CONSTRAINT inference_log_operation_name_not_null NOT NULL,
    provider_name text CONSTRAINT inference_log_provider_name_not_null NOT NULL,
    request_model text CONSTRAINT inference_log_request_model_not_null NOT NULL,
    response_model text,
    response_id text,
    finish_reasons text[] DEFAULT '{}'::text[] CONSTRAINT inference_log_finish_reasons_not_null NOT NULL,
    error_type text,
    error_message text,
    duration double precision CONSTRAINT inference_log_duration_not_null NOT NULL,
    time_to_first_chunk double precision,
    time_per_output_chunk double precision,
    input_tokens bigint,
    cache_read_input_tokens bigint,
    cache_write_input_tokens bigint,
    output_tokens bigint,
    reasoning_output_tokens bigint,
    usage_estimated boolean DEFAULT false CONSTRAINT inference_log_usage_estimated_not_null NOT NULL,
    cost_usd numeric(20,12),
    unpriced boolean DEFAULT false CONSTRAINT inference_log_unpriced_not_null NOT NULL,
    price_version text,
    attempts integer DEFAULT 1 CONSTRAINT inference_log_attempts_not_null NOT NULL,
    fallback_from text,
    cold_start boolean DEFAULT false CONSTRAINT inference_log_cold_start_not_null NOT NULL,
    input_preview text,
    output_preview text,
    metadata jsonb DEFAULT '{}'::jsonb CONSTRAINT inference_log_metadata_not_null NOT NULL
);
CREATE TABLE public.message_attachments (
    message_id uuid NOT NULL,
    attachment_id uuid NOT NULL
);
CREATE TABLE public.message_feedback (
    message_id uuid NOT NULL,
    rating text NOT NULL,
    note text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT message_feedback_note_check CHECK ((char_length(note) <= 2000)),
    CONSTRAINT message_feedback_rating_check CHECK ((rating = ANY (ARRAY['up'::text, 'down'::text])))
);
CREATE TABLE public.password_reset_requests (
    id uuid NOT NULL,
    email text NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL
);
CREATE TABLE public.password_resets (
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
CREATE TABLE public.preview_retention (
    is_only boolean DEFAULT true NOT NULL,
    emptied_before timestamp with time zone,
    late_checked_at timestamp with time zone,
    CONSTRAINT preview_retention_is_only_check CHECK (is_only)
);
CREATE TABLE public.rollup_reasons (
    tier text NOT NULL COLLATE pg_catalog."C",
    starts_at timestamp with time zone NOT NULL,
    provider_name text NOT NULL COLLATE pg_catalog."C",
    request_model text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    reason_of text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    requests bigint NOT NULL
);
CREATE TABLE public.rollups (
    tier text NOT NULL COLLATE pg_catalog."C",
    owner_id uuid NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    provider_name text NOT NULL COLLATE pg_catalog."C",
    request_model text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    requests bigint NOT NULL,
    errors bigint NOT NULL,
    cancelled bigint NOT NULL,
    unpriced_requests bigint NOT NULL,
    input_tokens numeric NOT NULL,
    cache_read_input_tokens numeric NOT NULL,
    cache_write_input_tokens numeric NOT NULL,
    output_tokens numeric NOT NULL,
    reasoning_output_tokens numeric NOT NULL,
    duration_count bigint NOT NULL,
    duration_sum numeric NOT NULL,
    duration_max double precision,
    duration_buckets bytea NOT NULL,
    duration_histogram numeric NOT NULL,
    time_to_first_chunk_count bigint NOT NULL,
    time_to_first_chunk_sum numeric NOT NULL,
    time_to_first_chunk_buckets bytea NOT NULL,
    time_to_first_chunk_histogram numeric NOT NULL,
    time_per_output_chunk_count bigint NOT NULL,
    time_per_output_chunk_sum numeric NOT NULL,
    time_per_output_chunk_buckets bytea NOT NULL,
    time_per_output_chunk_histogram numeric NOT NULL,
    cost_usd_count bigint NOT NULL,
    cost_usd_sum numeric NOT NULL,
    cost_usd_max numeric,
    cost_usd_buckets bytea NOT NULL,
    cost_usd_histogram numeric NOT NULL,
    input_tokens_histogram numeric NOT NULL,
    output_tokens_histogram numeric NOT NULL
)
PARTITION BY LIST (tier);
CREATE TABLE public.rollups_all_time (
    tier text CONSTRAINT rollups_tier_not_null NOT NULL COLLATE pg_catalog."C",
    owner_id uuid CONSTRAINT rollups_owner_id_not_null NOT NULL,
    starts_at timestamp with time zone CONSTRAINT rollups_starts_at_not_null NOT NULL,
    provider_name text CONSTRAINT rollups_provider_name_not_null NOT NULL COLLATE pg_catalog."C",
    request_model text CONSTRAINT rollups_request_model_not_null NOT NULL COLLATE pg_catalog."C",
    kind text CONSTRAINT rollups_kind_not_null NOT NULL COLLATE pg_catalog."C",
    status text CONSTRAINT rollups_status_not_null NOT NULL COLLATE pg_catalog."C",
    requests bigint CONSTRAINT rollups_requests_not_null NOT NULL,
    errors bigint CONSTRAINT rollups_errors_not_null NOT NULL,
    cancelled bigint CONSTRAINT rollups_cancelled_not_null NOT NULL,
    unpriced_requests bigint CONSTRAINT rollups_unpriced_requests_not_null NOT NULL,
    input_tokens numeric CONSTRAINT rollups_input_tokens_not_null NOT NULL,
    cache_read_input_tokens numeric CONSTRAINT rollups_cache_read_input_tokens_not_null NOT NULL,
    cache_write_input_tokens numeric CONSTRAINT rollups_cache_write_input_tokens_not_null NOT NULL,
    output_tokens numeric CONSTRAINT rollups_output_tokens_not_null NOT NULL,
    reasoning_output_tokens numeric CONSTRAINT rollups_reasoning_output_tokens_not_null NOT NULL,
    duration_count bigint CONSTRAINT rollups_duration_count_not_null NOT NULL,
    duration_sum numeric CONSTRAINT rollups_duration_sum_not_null NOT NULL,
    duration_max double precision,
    duration_buckets bytea CONSTRAINT rollups_duration_buckets_not_null NOT NULL,
    duration_histogram numeric CONSTRAINT rollups_duration_histogram_not_null NOT NULL,
    time_to_first_chunk_count bigint CONSTRAINT rollups_time_to_first_chunk_count_not_null NOT NULL,
    time_to_first_chunk_sum numeric CONSTRAINT rollups_time_to_first_chunk_sum_not_null NOT NULL,
    time_to_first_chunk_buckets bytea CONSTRAINT rollups_time_to_first_chunk_buckets_not_null NOT NULL,
    time_to_first_chunk_histogram numeric CONSTRAINT rollups_time_to_first_chunk_histogram_not_null NOT NULL,
    time_per_output_chunk_count bigint CONSTRAINT rollups_time_per_output_chunk_count_not_null NOT NULL,
    time_per_output_chunk_sum numeric CONSTRAINT rollups_time_per_output_chunk_sum_not_null NOT NULL,
    time_per_output_chunk_buckets bytea CONSTRAINT rollups_time_per_output_chunk_buckets_not_null NOT NULL,
    time_per_output_chunk_histogram numeric CONSTRAINT rollups_time_per_output_chunk_histogram_not_null NOT NULL,
    cost_usd_count bigint CONSTRAINT rollups_cost_usd_count_not_null NOT NULL,
    cost_usd_sum numeric CONSTRAINT rollups_cost_usd_sum_not_null NOT NULL,
    cost_usd_max numeric,
    cost_usd_buckets bytea CONSTRAINT rollups_cost_usd_buckets_not_null NOT NULL,
    cost_usd_histogram numeric CONSTRAINT rollups_cost_usd_histogram_not_null NOT NULL,
    input_tokens_histogram numeric CONSTRAINT rollups_input_tokens_histogram_not_null NOT NULL,
    output_tokens_histogram numeric CONSTRAINT rollups_output_tokens_histogram_not_null NOT NULL
);
CREATE TABLE public.rollups_day (
    tier text CONSTRAINT rollups_tier_not_null NOT NULL COLLATE pg_catalog."C",
    owner_id uuid CONSTRAINT rollups_owner_id_not_null NOT NULL,
    starts_at timestamp with time zone CONSTRAINT rollups_starts_at_not_null NOT NULL,
    provider_name text CONSTRAINT rollups_provider_name_not_null NOT NULL COLLATE pg_catalog."C",
    request_model text CONSTRAINT rollups_request_model_not_null NOT NULL COLLATE pg_catalog."C",
    kind text CONSTRAINT rollups_kind_not_null NOT NULL COLLATE pg_catalog."C",
    status text CONSTRAINT rollups_status_not_null NOT NULL COLLATE pg_catalog."C",
    requests bigint CONSTRAINT rollups_requests_not_null NOT NULL,
    errors bigint CONSTRAINT rollups_errors_not_null NOT NULL,
    cancelled bigint CONSTRAINT rollups_cancelled_not_null NOT NULL,
    unpriced_requests bigint CONSTRAINT rollups_unpriced_requests_not_null NOT NULL,
    input_tokens numeric CONSTRAINT rollups_input_tokens_not_null NOT NULL,
    cache_read_input_tokens numeric CONSTRAINT rollups_cache_read_input_tokens_not_null NOT NULL,
    cache_write_input_tokens numeric CONSTRAINT rollups_cache_write_input_tokens_not_null NOT NULL,
    output_tokens numeric CONSTRAINT rollups_output_tokens_not_null NOT NULL,
    reasoning_output_tokens numeric CONSTRAINT rollups_reasoning_output_tokens_not_null NOT NULL,
    duration_count bigint CONSTRAINT rollups_duration_count_not_null NOT NULL,
    duration_sum numeric CONSTRAINT rollups_duration_sum_not_null NOT NULL,
    duration_max double precision,
    duration_buckets bytea CONSTRAINT rollups_duration_buckets_not_null NOT NULL,
    duration_histogram numeric CONSTRAINT rollups_duration_histogram_not_null NOT NULL,
    time_to_first_chunk_count bigint CONSTRAINT rollups_time_to_first_chunk_count_not_null NOT NULL,
    time_to_first_chunk_sum numeric CONSTRAINT rollups_time_to_first_chunk_sum_not_null NOT NULL,
    time_to_first_chunk_buckets bytea CONSTRAINT rollups_time_to_first_chunk_buckets_not_null NOT NULL,
    time_to_first_chunk_histogram numeric CONSTRAINT rollups_time_to_first_chunk_histogram_not_null NOT NULL,
    time_per_output_chunk_count bigint CONSTRAINT rollups_time_per_output_chunk_count_not_null NOT NULL,
    time_per_output_chunk_sum numeric CONSTRAINT rollups_time_per_output_chunk_sum_not_null NOT NULL,
    time_per_output_chunk_buckets bytea CONSTRAINT rollups_time_per_output_chunk_buckets_not_null NOT NULL,
    time_per_output_chunk_histogram numeric CONSTRAINT rollups_time_per_output_chunk_histogram_not_null NOT NULL,
    cost_usd_count bigint CONSTRAINT rollups_cost_usd_count_not_null NOT NULL,
    cost_usd_sum numeric CONSTRAINT rollups_cost_usd_sum_not_null NOT NULL,
    cost_usd_max numeric,
    cost_usd_buckets bytea CONSTRAINT rollups_cost_usd_buckets_not_null NOT NULL,
    cost_usd_histogram numeric CONSTRAINT rollups_cost_usd_histogram_not_null NOT NULL,
    input_tokens_histogram numeric CONSTRAINT rollups_input_tokens_histogram_not_null NOT NULL,
    output_tokens_histogram numeric CONSTRAINT rollups_output_tokens_histogram_not_null NOT NULL
);
CREATE TABLE public.rollups_day_total (
    tier text CONSTRAINT rollups_tier_not_null NOT NULL COLLATE pg_catalog."C",
    owner_id uuid CONSTRAINT rollups_owner_id_not_null NOT NULL,
    starts_at timestamp with time zone CONSTRAINT rollups_starts_at_not_null NOT NULL,
    provider_name text CONSTRAINT rollups_provider_name_not_null NOT NULL COLLATE pg_catalog."C",
    request_model text CONSTRAINT rollups_request_model_not_null NOT NULL COLLATE pg_catalog."C",
    kind text CONSTRAINT rollups_kind_not_null NOT NULL COLLATE pg_catalog."C",
    status text CONSTRAINT rollups_status_not_null NOT NULL COLLATE pg_catalog."C",
    requests bigint CONSTRAINT rollups_requests_not_null NOT NULL,
    errors bigint CONSTRAINT rollups_errors_not_null NOT NULL,
    cancelled bigint CONSTRAINT rollups_cancelled_not_null NOT NULL,
    unpriced_requests bigint CONSTRAINT rollups_unpriced_requests_not_null NOT NULL,
    input_tokens numeric CONSTRAINT rollups_input_tokens_not_null NOT NULL,
    cache_read_input_tokens numeric CONSTRAINT rollups_cache_read_input_tokens_not_null NOT NULL,
    cache_write_input_tokens numeric CONSTRAINT rollups_cache_write_input_tokens_not_null NOT NULL,
    output_tokens numeric CONSTRAINT rollups_output_tokens_not_null NOT NULL,
    reasoning_output_tokens numeric CONSTRAINT rollups_reasoning_output_tokens_not_null NOT NULL,
    duration_count bigint CONSTRAINT rollups_duration_count_not_null NOT NULL,
    duration_sum numeric CONSTRAINT rollups_duration_sum_not_null NOT NULL,
    duration_max double precision,
    duration_buckets bytea CONSTRAINT rollups_duration_buckets_not_null NOT NULL,
    duration_histogram numeric CONSTRAINT rollups_duration_histogram_not_null NOT NULL,
    time_to_first_chunk_count bigint CONSTRAINT rollups_time_to_first_chunk_count_not_null NOT NULL,
    time_to_first_chunk_sum numeric CONSTRAINT rollups_time_to_first_chunk_sum_not_null NOT NULL,
    time_to_first_chunk_buckets bytea CONSTRAINT rollups_time_to_first_chunk_buckets_not_null NOT NULL,
    time_to_first_chunk_histogram numeric CONSTRAINT rollups_time_to_first_chunk_histogram_not_null NOT NULL,
    time_per_output_chunk_count bigint CONSTRAINT rollups_time_per_output_chunk_count_not_null NOT NULL,
    time_per_output_chunk_sum numeric CONSTRAINT rollups_time_per_output_chunk_sum_not_null NOT NULL,
    time_per_output_chunk_buckets bytea CONSTRAINT rollups_time_per_output_chunk_buckets_not_null NOT NULL,
    time_per_output_chunk_histogram numeric CONSTRAINT rollups_time_per_output_chunk_histogram_not_null NOT NULL,
    cost_usd_count bigint CONSTRAINT rollups_cost_usd_count_not_null NOT NULL,
    cost_usd_sum numeric CONSTRAINT rollups_cost_usd_sum_not_null NOT NULL,
    cost_usd_max numeric,
    cost_usd_buckets bytea CONSTRAINT rollups_cost_usd_buckets_not_null NOT NULL,
    cost_usd_histogram numeric CONSTRAINT rollups_cost_usd_histogram_not_null NOT NULL,
    input_tokens_histogram numeric CONSTRAINT rollups_input_tokens_histogram_not_null NOT NULL,
    output_tokens_histogram numeric CONSTRAINT rollups_output_tokens_histogram_not_null NOT NULL
);
CREATE TABLE public.rollups_hour (
    tier text CONSTRAINT rollups_tier_not_null NOT NULL COLLATE pg_catalog."C",
    owner_id uuid CONSTRAINT rollups_owner_id_not_null NOT NULL,
    starts_at timestamp with time zone CONSTRAINT rollups_starts_at_not_null NOT NULL,
    provider_name text CONSTRAINT rollups_provider_name_not_null NOT NULL COLLATE pg_catalog."C",
    request_model text CONSTRAINT rollups_request_model_not_null NOT NULL COLLATE pg_catalog."C",
    kind text CONSTRAINT rollups_kind_not_null NOT NULL COLLATE pg_catalog."C",
    status text CONSTRAINT rollups_status_not_null NOT NULL COLLATE pg_catalog."C",
    requests bigint CONSTRAINT rollups_requests_not_null NOT NULL,
    errors bigint CONSTRAINT rollups_errors_not_null NOT NULL,
    cancelled bigint CONSTRAINT rollups_cancelled_not_null NOT NULL,
    unpriced_requests bigint CONSTRAINT rollups_unpriced_requests_not_null NOT NULL,
    input_tokens numeric CONSTRAINT rollups_input_tokens_not_null NOT NULL,
    cache_read_input_tokens numeric CONSTRAINT rollups_cache_read_input_tokens_not_null NOT NULL,
    cache_write_input_tokens numeric CONSTRAINT rollups_cache_write_input_tokens_not_null NOT NULL,
    output_tokens numeric CONSTRAINT rollups_output_tokens_not_null NOT NULL,
    reasoning_output_tokens numeric CONSTRAINT rollups_reasoning_output_tokens_not_null NOT NULL,
    duration_count bigint CONSTRAINT rollups_duration_count_not_null NOT NULL,
    duration_sum numeric CONSTRAINT rollups_duration_sum_not_null NOT NULL,
    duration_max double precision,
    duration_buckets bytea CONSTRAINT rollups_duration_buckets_not_null NOT NULL,
    duration_histogram numeric CONSTRAINT rollups_duration_histogram_not_null NOT NULL,
    time_to_first_chunk_count bigint CONSTRAINT rollups_time_to_first_chunk_count_not_null NOT NULL,
    time_to_first_chunk_sum numeric CONSTRAINT rollups_time_to_first_chunk_sum_not_null NOT NULL,
    time_to_first_chunk_buckets bytea CONSTRAINT rollups_time_to_first_chunk_buckets_not_null NOT NULL,
    time_to_first_chunk_histogram numeric CONSTRAINT rollups_time_to_first_chunk_histogram_not_null NOT NULL,
    time_per_output_chunk_count bigint CONSTRAINT rollups_time_per_output_chunk_count_not_null NOT NULL,
    time_per_output_chunk_sum numeric CONSTRAINT rollups_time_per_output_chunk_sum_not_null NOT NULL,
    time_per_output_chunk_buckets bytea CONSTRAINT rollups_time_per_output_chunk_buckets_not_null NOT NULL,
    time_per_output_chunk_histogram numeric CONSTRAINT rollups_time_per_output_chunk_histogram_not_null NOT NULL,
    cost_usd_count bigint CONSTRAINT rollups_cost_usd_count_not_null NOT NULL,
    cost_usd_sum numeric CONSTRAINT rollups_cost_usd_sum_not_null NOT NULL,
    cost_usd_max numeric,
    cost_usd_buckets bytea CONSTRAINT rollups_cost_usd_buckets_not_null NOT NULL,
    cost_usd_histogram numeric CONSTRAINT rollups_cost_usd_histogram_not_null NOT NULL,
    input_tokens_histogram numeric CONSTRAINT rollups_input_tokens_histogram_not_null NOT NULL,
    output_tokens_histogram numeric CONSTRAINT rollups_output_tokens_histogram_not_null NOT NULL
);
CREATE TABLE public.rollups_hour_total (
    tier text CONSTRAINT rollups_tier_not_null NOT NULL COLLATE pg_catalog."C",
    owner_id uuid CONSTRAINT rollups_owner_id_not_null NOT NULL,
    starts_at timestamp with time zone CONSTRAINT rollups_starts_at_not_null NOT NULL,
    provider_name text CONSTRAINT rollups_provider_name_not_null NOT NULL COLLATE pg_catalog."C",
    request_model text CONSTRAINT rollups_request_model_not_null NOT NULL COLLATE pg_catalog."C",
    kind text CONSTRAINT rollups_kind_not_null NOT NULL COLLATE pg_catalog."C",
    status text CONSTRAINT rollups_status_not_null NOT NULL COLLATE pg_catalog."C",
    requests bigint CONSTRAINT rollups_requests_not_null NOT NULL,
    errors bigint CONSTRAINT rollups_errors_not_null NOT NULL,
    cancelled bigint CONSTRAINT rollups_cancelled_not_null NOT NULL,
    unpriced_requests bigint CONSTRAINT rollups_unpriced_requests_not_null NOT NULL,
    input_tokens numeric CONSTRAINT rollups_input_tokens_not_null NOT NULL,
    cache_read_input_tokens numeric CONSTRAINT rollups_cache_read_input_tokens_not_null NOT NULL,
    cache_write_input_tokens numeric CONSTRAINT rollups_cache_write_input_tokens_not_null NOT NULL,
    output_tokens numeric CONSTRAINT rollups_output_tokens_not_null NOT NULL,
    reasoning_output_tokens numeric CONSTRAINT rollups_reasoning_output_tokens_not_null NOT NULL,
    duration_count bigint CONSTRAINT rollups_duration_count_not_null NOT NULL,
    duration_sum numeric CONSTRAINT rollups_duration_sum_not_null NOT NULL,
    duration_max double precision,
    duration_buckets bytea CONSTRAINT rollups_duration_buckets_not_null NOT NULL,
    duration_histogram numeric CONSTRAINT rollups_duration_histogram_not_null NOT NULL,
    time_to_first_chunk_count bigint CONSTRAINT rollups_time_to_first_chunk_count_not_null NOT NULL,
    time_to_first_chunk_sum numeric CONSTRAINT rollups_time_to_first_chunk_sum_not_null NOT NULL,
    time_to_first_chunk_buckets bytea CONSTRAINT rollups_time_to_first_chunk_buckets_not_null NOT NULL,
    time_to_first_chunk_histogram numeric CONSTRAINT rollups_time_to_first_chunk_histogram_not_null NOT NULL,
    time_per_output_chunk_count bigint CONSTRAINT rollups_time_per_output_chunk_count_not_null NOT NULL,
    time_per_output_chunk_sum numeric CONSTRAINT rollups_time_per_output_chunk_sum_not_null NOT NULL,
    time_per_output_chunk_buckets bytea CONSTRAINT rollups_time_per_output_chunk_buckets_not_null NOT NULL,
    time_per_output_chunk_histogram numeric CONSTRAINT rollups_time_per_output_chunk_histogram_not_null NOT NULL,
    cost_usd_count bigint CONSTRAINT rollups_cost_usd_count_not_null NOT NULL,
    cost_usd_sum numeric CONSTRAINT rollups_cost_usd_sum_not_null NOT NULL,
    cost_usd_max numeric,
    cost_usd_buckets bytea CONSTRAINT rollups_cost_usd_buckets_not_null NOT NULL,
    cost_usd_histogram numeric CONSTRAINT rollups_cost_usd_histogram_not_null NOT NULL,
    input_tokens_histogram numeric CONSTRAINT rollups_input_tokens_histogram_not_null NOT NULL,
    output_tokens_histogram numeric CONSTRAINT rollups_output_tokens_histogram_not_null NOT NULL
);
CREATE TABLE public.rollups_minute (
    tier text CONSTRAINT rollups_tier_not_null NOT NULL COLLATE pg_catalog."C",
    owner_id uuid CONSTRAINT rollups_owner_id_not_null NOT NULL,
    starts_at timestamp with time zone CONSTRAINT rollups_starts_at_not_null NOT NULL,
    provider_name text CONSTRAINT rollups_provider_name_not_null NOT NULL COLLATE pg_catalog."C",
    request_model text CONSTRAINT rollups_request_model_not_null NOT NULL COLLATE pg_catalog."C",
    kind text CONSTRAINT rollups_kind_not_null NOT NULL COLLATE pg_catalog."C",
    status text CONSTRAINT rollups_status_not_null NOT NULL COLLATE pg_catalog."C",
    requests bigint CONSTRAINT rollups_requests_not_null NOT NULL,
    errors bigint CONSTRAINT rollups_errors_not_null NOT NULL,
    cancelled bigint CONSTRAINT rollups_cancelled_not_null NOT NULL,
    unpriced_requests bigint CONSTRAINT rollups_unpriced_requests_not_null NOT NULL,
    input_tokens numeric CONSTRAINT rollups_input_tokens_not_null NOT NULL,
    cache_read_input_tokens numeric CONSTRAINT rollups_cache_read_input_tokens_not_null NOT NULL,
    cache_write_input_tokens numeric CONSTRAINT rollups_cache_write_input_tokens_not_null NOT NULL,
    output_tokens numeric CONSTRAINT rollups_output_tokens_not_null NOT NULL,
    reasoning_output_tokens numeric CONSTRAINT rollups_reasoning_output_tokens_not_null NOT NULL,
    duration_count bigint CONSTRAINT rollups_duration_count_not_null NOT NULL,
    duration_sum numeric CONSTRAINT rollups_duration_sum_not_null NOT NULL,
    duration_max double precision,
    duration_buckets bytea CONSTRAINT rollups_duration_buckets_not_null NOT NULL,
    duration_histogram numeric CONSTRAINT rollups_duration_histogram_not_null NOT NULL,
    time_to_first_chunk_count bigint CONSTRAINT rollups_time_to_first_chunk_count_not_null NOT NULL,
    time_to_first_chunk_sum numeric CONSTRAINT rollups_time_to_first_chunk_sum_not_null NOT NULL,
    time_to_first_chunk_buckets bytea CONSTRAINT rollups_time_to_first_chunk_buckets_not_null NOT NULL,
    time_to_first_chunk_histogram numeric CONSTRAINT rollups_time_to_first_chunk_histogram_not_null NOT NULL,
    time_per_output_chunk_count bigint CONSTRAINT rollups_time_per_output_chunk_count_not_null NOT NULL,
    time_per_output_chunk_sum numeric CONSTRAINT rollups_time_per_output_chunk_sum_not_null NOT NULL,
    time_per_output_chunk_buckets bytea CONSTRAINT rollups_time_per_output_chunk_buckets_not_null NOT NULL,
    time_per_output_chunk_histogram numeric CONSTRAINT rollups_time_per_output_chunk_histogram_not_null NOT NULL,
    cost_usd_count bigint CONSTRAINT rollups_cost_usd_count_not_null NOT NULL,
    cost_usd_sum numeric CONSTRAINT rollups_cost_usd_sum_not_null NOT NULL,
    cost_usd_max numeric,
    cost_usd_buckets bytea CONSTRAINT rollups_cost_usd_buckets_not_null NOT NULL,
    cost_usd_histogram numeric CONSTRAINT rollups_cost_usd_histogram_not_null NOT NULL,
    input_tokens_histogram numeric CONSTRAINT rollups_input_tokens_histogram_not_null NOT NULL,
    output_tokens_histogram numeric CONSTRAINT rollups_output_tokens_histogram_not_null NOT NULL
);
CREATE TABLE public.rollups_minute_total (
    tier text CONSTRAINT rollups_tier_not_null NOT NULL COLLATE pg_catalog."C",
    owner_id uuid CONSTRAINT rollups_owner_id_not_null NOT NULL,
    starts_at timestamp with time zone CONSTRAINT rollups_starts_at_not_null NOT NULL,
    provider_name text CONSTRAINT rollups_provider_name_not_null NOT NULL COLLATE pg_catalog."C",
    request_model text CONSTRAINT rollups_request_model_not_null NOT NULL COLLATE pg_catalog."C",
    kind text CONSTRAINT rollups_kind_not_null NOT NULL COLLATE pg_catalog."C",
    status text CONSTRAINT rollups_status_not_null NOT NULL COLLATE pg_catalog."C",
    requests bigint CONSTRAINT rollups_requests_not_null NOT NULL,
    errors bigint CONSTRAINT rollups_errors_not_null NOT NULL,
    cancelled bigint CONSTRAINT rollups_cancelled_not_null NOT NULL,
    unpriced_requests bigint CONSTRAINT rollups_unpriced_requests_not_null NOT NULL,
    input_tokens numeric CONSTRAINT rollups_input_tokens_not_null NOT NULL,
    cache_read_input_tokens numeric CONSTRAINT rollups_cache_read_input_tokens_not_null NOT NULL,
    cache_write_input_tokens numeric CONSTRAINT rollups_cache_write_input_tokens_not_null NOT NULL,
    output_tokens numeric CONSTRAINT rollups_output_tokens_not_null NOT NULL,
    reasoning_output_tokens numeric CONSTRAINT rollups_reasoning_output_tokens_not_null NOT NULL,
    duration_count bigint CONSTRAINT rollups_duration_count_not_null NOT NULL,
    duration_sum numeric CONSTRAINT rollups_duration_sum_not_null NOT NULL,
    duration_max double precision,
    duration_buckets bytea CONSTRAINT rollups_duration_buckets_not_null NOT NULL,
    duration_histogram numeric CONSTRAINT rollups_duration_histogram_not_null NOT NULL,
    time_to_first_chunk_count bigint CONSTRAINT rollups_time_to_first_chunk_count_not_null NOT NULL,
    time_to_first_chunk_sum numeric CONSTRAINT rollups_time_to_first_chunk_sum_not_null NOT NULL,
    time_to_first_chunk_buckets bytea CONSTRAINT rollups_time_to_first_chunk_buckets_not_null NOT NULL,
    time_to_first_chunk_histogram numeric CONSTRAINT rollups_time_to_first_chunk_histogram_not_null NOT NULL,
    time_per_output_chunk_count bigint CONSTRAINT rollups_time_per_output_chunk_count_not_null NOT NULL,
    time_per_output_chunk_sum numeric CONSTRAINT rollups_time_per_output_chunk_sum_not_null NOT NULL,
    time_per_output_chunk_buckets bytea CONSTRAINT rollups_time_per_output_chunk_buckets_not_null NOT NULL,
    time_per_output_chunk_histogram numeric CONSTRAINT rollups_time_per_output_chunk_histogram_not_null NOT NULL,
    cost_usd_count bigint CONSTRAINT rollups_cost_usd_count_not_null NOT NULL,
    cost_usd_sum numeric CONSTRAINT rollups_cost_usd_sum_not_null NOT NULL,
    cost_usd_max numeric,
    cost_usd_buckets bytea CONSTRAINT rollups_cost_usd_buckets_not_null NOT NULL,
    cost_usd_histogram numeric CONSTRAINT rollups_cost_usd_histogram_not_null NOT NULL,
    input_tokens_histogram numeric CONSTRAINT rollups_input_tokens_histogram_not_null NOT NULL,
    output_tokens_histogram numeric CONSTRAINT rollups_output_tokens_histogram_not_null NOT NULL
);
CREATE TABLE public.rollups_owner_day (
    tier text CONSTRAINT rollups_tier_not_null NOT NULL COLLATE pg_catalog."C",
    owner_id uuid CONSTRAINT rollups_owner_id_not_null NOT NULL,
    starts_at timestamp with time zone CONSTRAINT rollups_starts_at_not_null NOT NULL,
    provider_name text CONSTRAINT rollups_provider_name_not_null NOT NULL COLLATE pg_catalog."C",
    request_model text CONSTRAINT rollups_request_model_not_null NOT NULL COLLATE pg_catalog."C",
    kind text CONSTRAINT rollups_kind_not_null NOT NULL COLLATE pg_catalog."C",
    status text CONSTRAINT rollups_status_not_null NOT NULL COLLATE pg_catalog."C",
    requests bigint CONSTRAINT rollups_requests_not_null NOT NULL,
    errors bigint CONSTRAINT rollups_errors_not_null NOT NULL,
    cancelled bigint CONSTRAINT rollups_cancelled_not_null NOT NULL,
    unpriced_requests bigint CONSTRAINT rollups_unpriced_requests_not_null NOT NULL,
    input_tokens numeric CONSTRAINT rollups_input_tokens_not_null NOT NULL,
    cache_read_input_tokens numeric CONSTRAINT rollups_cache_read_input_tokens_not_null NOT NULL,
    cache_write_input_tokens numeric CONSTRAINT rollups_cache_write_input_tokens_not_null NOT NULL,
    output_tokens numeric CONSTRAINT rollups_output_tokens_not_null NOT NULL,
    reasoning_output_tokens numeric CONSTRAINT rollups_reasoning_output_tokens_not_null NOT NULL,
    duration_count bigint CONSTRAINT rollups_duration_count_not_null NOT NULL,
    duration_sum numeric CONSTRAINT rollups_duration_sum_not_null NOT NULL,
    duration_max double precision,
    duration_buckets bytea CONSTRAINT rollups_duration_buckets_not_null NOT NULL,
    duration_histogram numeric CONSTRAINT rollups_duration_histogram_not_null NOT NULL,
    time_to_first_chunk_count bigint CONSTRAINT rollups_time_to_first_chunk_count_not_null NOT NULL,
    time_to_first_chunk_sum numeric CONSTRAINT rollups_time_to_first_chunk_sum_not_null NOT NULL,
    time_to_first_chunk_buckets bytea CONSTRAINT rollups_time_to_first_chunk_buckets_not_null NOT NULL,
    time_to_first_chunk_histogram numeric CONSTRAINT rollups_time_to_first_chunk_histogram_not_null NOT NULL,
    time_per_output_chunk_count bigint CONSTRAINT rollups_time_per_output_chunk_count_not_null NOT NULL,
    time_per_output_chunk_sum numeric CONSTRAINT rollups_time_per_output_chunk_sum_not_null NOT NULL,
    time_per_output_chunk_buckets bytea CONSTRAINT rollups_time_per_output_chunk_buckets_not_null NOT NULL,
    time_per_output_chunk_histogram numeric CONSTRAINT rollups_time_per_output_chunk_histogram_not_null NOT NULL,
    cost_usd_count bigint CONSTRAINT rollups_cost_usd_count_not_null NOT NULL,
    cost_usd_sum numeric CONSTRAINT rollups_cost_usd_sum_not_null NOT NULL,
    cost_usd_max numeric,
    cost_usd_buckets bytea CONSTRAINT rollups_cost_usd_buckets_not_null NOT NULL,
    cost_usd_histogram numeric CONSTRAINT rollups_cost_usd_histogram_not_null NOT NULL,
    input_tokens_histogram numeric CONSTRAINT rollups_input_tokens_histogram_not_null NOT NULL,
    output_tokens_histogram numeric CONSTRAINT rollups_output_tokens_histogram_not_null NOT NULL
);
CREATE TABLE public.runs (
    id uuid NOT NULL,
    kind text NOT NULL,
    owner_id uuid NOT NULL,
    conversation_id uuid,
    provider_name text NOT NULL,
    request_model text NOT NULL,
    request_id text,
    input_preview text,
    started_at timestamp with time zone NOT NULL,
    cancel_requested_at timestamp with time zone,
    closed_at timestamp with time zone,
    event bytea,
    tokens bigint
);
CREATE TABLE public.schema_migrations (
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.search_changes (
    id bigint NOT NULL,
    owner_id uuid NOT NULL,
    removed boolean NOT NULL,
    words text[] NOT NULL
);
ALTER TABLE public.search_changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.search_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.search_messages (
    message_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    language text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    lexemes tsvector NOT NULL
);
CREATE TABLE public.search_titles (
    conversation_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    language text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    lexemes tsvector NOT NULL
);
CREATE TABLE public.search_words (
    owner_id uuid NOT NULL,
    word text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.sessions (
    id_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    last_used_at timestamp with time zone DEFAULT now() NOT NULL,
    user_agent text
);
CREATE TABLE public.shares (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    token_hint text NOT NULL,
    title text NOT NULL,
    message_ids uuid[] NOT NULL,
    shown_name text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    CONSTRAINT shares_message_ids_check CHECK ((cardinality(message_ids) > 0))
);
CREATE TABLE public.telemetry_outbox (
    id bigint NOT NULL,
    payload bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    claims integer DEFAULT 0 NOT NULL
);
ALTER TABLE public.telemetry_outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.telemetry_outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.total_usage (
    day date NOT NULL,
    calls bigint NOT NULL,
    tokens numeric NOT NULL,
    cost_usd numeric NOT NULL
);
CREATE TABLE public.user_quotas (
    user_id uuid NOT NULL,
    tokens_per_day numeric,
    tokens_per_month numeric,
    usd_per_day numeric,
    usd_per_month numeric,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT user_quotas_tokens_per_day_check CHECK ((tokens_per_day >= (0)::numeric)),
    CONSTRAINT user_quotas_tokens_per_month_check CHECK ((tokens_per_month >= (0)::numeric)),
    CONSTRAINT user_quotas_usd_per_day_check CHECK ((usd_per_day >= (0)::numeric)),
    CONSTRAINT user_quotas_usd_per_month_check CHECK ((usd_per_month >= (0)::numeric))
);
CREATE TABLE public.user_usage (
    user_id uuid NOT NULL,
    day date NOT NULL,
    calls bigint NOT NULL,
    tokens numeric NOT NULL,
    cost_usd numeric NOT NULL
);
CREATE TABLE public.users (
    id uuid NOT NULL,
    email text NOT NULL,
    password_hash text,
    role text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    email_verified_at timestamp with time zone,
    disabled_at timestamp with time zone,
    CONSTRAINT users_role_check CHECK ((role = ANY (ARRAY['user'::text, 'admin'::text])))
);
ALTER TABLE ONLY public.inference_log ATTACH PARTITION public.inference_log_default DEFAULT;
ALTER TABLE ONLY public.rollups ATTACH PARTITION public.rollups_all_time FOR VALUES IN ('all_time');
ALTER TABLE ONLY public.rollups ATTACH PARTITION public.rollups_day FOR VALUES IN ('day');
ALTER TABLE ONLY public.rollups ATTACH PARTITION public.rollups_day_total FOR VALUES IN ('day_total');
ALTER TABLE ONLY public.rollups ATTACH PARTITION public.rollups_hour FOR VALUES IN ('hour');
ALTER TABLE ONLY public.rollups ATTACH PARTITION public.rollups_hour_total FOR VALUES IN ('hour_total');
ALTER TABLE ONLY public.rollups ATTACH PARTITION public.rollups_minute FOR VALUES IN ('minute');
ALTER TABLE ONLY public.rollups ATTACH PARTITION public.rollups_minute_total FOR VALUES IN ('minute_total');
ALTER TABLE ONLY public.rollups ATTACH PARTITION public.rollups_owner_day FOR VALUES IN ('owner_day');
ALTER TABLE ONLY public.alert_deliveries
    ADD CONSTRAINT alert_deliveries_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.alert_events
    ADD CONSTRAINT alert_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.alert_rules
    ADD CONSTRAINT alert_rules_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.alert_states
    ADD CONSTRAINT alert_states_pkey PRIMARY KEY (rule_id, subject);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_owner_id_sha256_key UNIQUE (owner_id, sha256);
ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.deleted_attachments
    ADD CONSTRAINT deleted_attachments_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.erased_owners
    ADD CONSTRAINT erased_owners_pkey PRIMARY KEY (owner_id);
ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (issuer, subject);
ALTER TABLE ONLY public.imports
    ADD CONSTRAINT imports_pkey PRIMARY KEY (owner_id, source, source_id);
ALTER TABLE ONLY public.inference_archives
    ADD CONSTRAINT inference_archives_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.inference_dead_letters
    ADD CONSTRAINT inference_dead_letters_digest_key UNIQUE (digest);
ALTER TABLE ONLY public.inference_dead_letters
    ADD CONSTRAINT inference_dead_letters_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.inference_log
    ADD CONSTRAINT inference_log_pkey PRIMARY KEY (id, started_at);
ALTER TABLE ONLY public.inference_log_default
    ADD CONSTRAINT inference_log_default_pkey PRIMARY KEY (id, started_at);
ALTER TABLE ONLY public.message_attachments
    ADD CONSTRAINT message_attachments_pkey PRIMARY KEY (message_id, attachment_id);
ALTER TABLE ONLY public.message_feedback
    ADD CONSTRAINT message_feedback_pkey PRIMARY KEY (message_id);
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_conversation_id_client_message_id_key UNIQUE (conversation_id, client_message_id);
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_conversation_id_sequence_key UNIQUE (conversation_id, sequence);
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.password_reset_requests
    ADD CONSTRAINT password_reset_requests_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.password_resets
    ADD CONSTRAINT password_resets_pkey PRIMARY KEY (token_hash);
ALTER TABLE ONLY public.preview_retention
    ADD CONSTRAINT preview_retention_pkey PRIMARY KEY (is_only);
ALTER TABLE ONLY public.rollup_reasons
    ADD CONSTRAINT rollup_reasons_pkey PRIMARY KEY (tier, starts_at, provider_name, request_model, kind, status, reason_of, reason);
ALTER TABLE ONLY public.rollups
    ADD CONSTRAINT rollups_pkey PRIMARY KEY (tier, owner_id, starts_at, provider_name, request_model, kind, status);
ALTER TABLE ONLY public.rollups_all_time
    ADD CONSTRAINT rollups_all_time_pkey PRIMARY KEY (tier, owner_id, starts_at, provider_name, request_model, kind, status);
ALTER TABLE ONLY public.rollups_day
    ADD CONSTRAINT rollups_day_pkey PRIMARY KEY (tier, owner_id, starts_at, provider_name, request_model, kind, status);
ALTER TABLE ONLY public.rollups_day_total
    ADD CONSTRAINT rollups_day_total_pkey PRIMARY KEY (tier, owner_id, starts_at, provider_name, request_model, kind, status);
ALTER TABLE ONLY public.rollups_hour
    ADD CONSTRAINT rollups_hour_pkey PRIMARY KEY (tier, owner_id, starts_at, provider_name, request_model, kind, status);
ALTER TABLE ONLY public.rollups_hour_total
    ADD CONSTRAINT rollups_hour_total_pkey PRIMARY KEY (tier, owner_id, starts_at, provider_name, request_model, kind, status);
ALTER TABLE ONLY public.rollups_minute
    ADD CONSTRAINT rollups_minute_pkey PRIMARY KEY (tier, owner_id, starts_at, provider_name, request_model, kind, status);
ALTER TABLE ONLY public.rollups_minute_total
    ADD CONSTRAINT rollups_minute_total_pkey PRIMARY KEY (tier, owner_id, starts_at, provider_name, request_model, kind, status);
ALTER TABLE ONLY public.rollups_owner_day
    ADD CONSTRAINT rollups_owner_day_pkey PRIMARY KEY (tier, owner_id, starts_at, provider_name, request_model, kind, status);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.search_changes
    ADD CONSTRAINT search_changes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.search_messages
    ADD CONSTRAINT search_messages_pkey PRIMARY KEY (message_id);
ALTER TABLE ONLY public.search_titles
    ADD CONSTRAINT search_titles_pkey PRIMARY KEY (conversation_id);
ALTER TABLE ONLY public.search_words
    ADD CONSTRAINT search_words_pkey PRIMARY KEY (owner_id, word);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id_hash);
ALTER TABLE ONLY public.shares
    ADD CONSTRAINT shares_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.telemetry_outbox
    ADD CONSTRAINT telemetry_outbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.total_usage
    ADD CONSTRAINT total_usage_pkey PRIMARY KEY (day);
ALTER TABLE ONLY public.user_quotas
    ADD CONSTRAINT user_quotas_pkey PRIMARY KEY (user_id);
ALTER TABLE ONLY public.user_usage
    ADD CONSTRAINT user_usage_pkey PRIMARY KEY (user_id, day);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX alert_deliveries_due_at_idx ON public.alert_deliveries USING btree (due_at) WHERE (due_at IS NOT NULL);
CREATE INDEX alert_deliveries_event_idx ON public.alert_deliveries USING btree (event_id);
CREATE INDEX alert_events_at_idx ON public.alert_events USING btree (at DESC, id DESC);
CREATE INDEX alert_events_rule_idx ON public.alert_events USING btree (rule_id, at DESC, id DESC);
CREATE INDEX alert_events_subject_idx ON public.alert_events USING btree (subject) WHERE (length(subject) = 36);
CREATE UNIQUE INDEX alert_rules_name_key ON public.alert_rules USING btree (source, name) WHERE (deleted_at IS NULL);
CREATE UNIQUE INDEX api_keys_key_hash_key ON public.api_keys USING btree (key_hash);
CREATE INDEX api_keys_user_id_idx ON public.api_keys USING btree (user_id, created_at, id);
CREATE INDEX attachments_purge_at_idx ON public.attachments USING btree (purge_at) WHERE (purge_at IS NOT NULL);
CREATE INDEX conversations_active_leaf_idx ON public.conversations USING btree (active_leaf_id);
CREATE INDEX conversations_deleted_at_idx ON public.conversations USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);
CREATE INDEX conversations_deleted_list_idx ON public.conversations USING btree (owner_id, deleted_at, id) WHERE (deleted_at IS NOT NULL);
CREATE INDEX conversations_owner_idx ON public.conversations USING btree (owner_id, num_nonnulls(archived_at), num_nonnulls(pinned_at), updated_at, id);
CREATE INDEX conversations_tags_idx ON public.conversations USING gin (owner_id, tags) WITH (fastupdate=off) WHERE (tags <> '{}'::text[]);
CREATE INDEX deleted_attachments_next_at_idx ON public.deleted_attachments USING btree (next_at);
CREATE INDEX identities_user_id_idx ON public.identities USING btree (user_id);
CREATE INDEX imports_conversation_id_idx ON public.imports USING btree (conversation_id);
CREATE UNIQUE INDEX inference_archives_open_key ON public.inference_archives USING btree (partition_name) WHERE (dropped_at IS NULL);
CREATE INDEX inference_dead_letters_event_idx ON public.inference_dead_letters USING btree (event_id) WHERE (event_id IS NOT NULL);
CREATE INDEX inference_dead_letters_parked_idx ON public.inference_dead_letters USING btree (schema_version) WHERE (schema_version IS NOT NULL);
CREATE INDEX inference_dead_letters_replay_idx ON public.inference_dead_letters USING btree (id) WHERE (replay_requested_at IS NOT NULL);
CREATE INDEX inference_log_conversation_idx ON ONLY public.inference_log USING btree (conversation_id);
CREATE INDEX inference_log_default_conversation_id_idx ON public.inference_log_default USING btree (conversation_id);
CREATE INDEX inference_log_ingested_at_idx ON ONLY public.inference_log USING brin (ingested_at) WITH (pages_per_range='16');
CREATE INDEX inference_log_default_ingested_at_idx ON public.inference_log_default USING brin (ingested_at) WITH (pages_per_range='16');
CREATE INDEX inference_log_owner_idx ON ONLY public.inference_log USING btree (owner_id, started_at DESC, id DESC);
CREATE INDEX inference_log_default_owner_id_started_at_id_idx ON public.inference_log_default USING btree (owner_id, started_at DESC, id DESC);
CREATE INDEX inference_log_started_at_idx ON ONLY public.inference_log USING btree (started_at DESC, id DESC);
CREATE INDEX inference_log_default_started_at_id_idx ON public.inference_log_default USING btree (started_at DESC, id DESC);
CREATE INDEX message_attachments_attachment_idx ON public.message_attachments USING btree (attachment_id);
CREATE INDEX messages_parent_id_idx ON public.messages USING btree (parent_id);
CREATE INDEX password_reset_requests_due_at_idx ON public.password_reset_requests USING btree (due_at);
CREATE INDEX password_resets_expires_at_idx ON public.password_resets USING btree (expires_at);
CREATE INDEX password_resets_user_id_idx ON public.password_resets USING btree (user_id);
CREATE INDEX rollups_owner_day_starts_at_idx ON public.rollups_owner_day USING brin (starts_at) WITH (pages_per_range='16');
CREATE INDEX runs_closed_at_idx ON public.runs USING btree (closed_at) WHERE (closed_at IS NOT NULL);
CREATE INDEX runs_conversation_idx ON public.runs USING btree (conversation_id) WHERE (closed_at IS NULL);
CREATE INDEX runs_owner_id_idx ON public.runs USING btree (owner_id);
CREATE INDEX runs_started_at_idx ON public.runs USING btree (started_at) WHERE (closed_at IS NULL);
CREATE INDEX search_messages_conversation_idx ON public.search_messages USING btree (conversation_id);
CREATE INDEX search_messages_language_idx ON public.search_messages USING btree (owner_id, language);
CREATE INDEX search_messages_lexemes_idx ON public.search_messages USING gin (owner_id, lexemes) WITH (fastupdate=off);
CREATE INDEX search_messages_newest_idx ON public.search_messages USING btree (owner_id, created_at, message_id);
CREATE INDEX search_titles_language_idx ON public.search_titles USING btree (owner_id, language);
CREATE INDEX search_titles_lexemes_idx ON public.search_titles USING gin (owner_id, lexemes) WITH (fastupdate=off);
CREATE INDEX search_words_plain_idx ON public.search_words USING gin (owner_id, public.search_plain(word) public.gin_trgm_ops) WITH (fastupdate=off);
CREATE INDEX sessions_expires_at_idx ON public.sessions USING btree (expires_at);
CREATE UNIQUE INDEX sessions_id_key ON public.sessions USING btree (id);
CREATE INDEX sessions_user_id_idx ON public.sessions USING btree (user_id);
CREATE INDEX shares_conversation_idx ON public.shares USING btree (conversation_id, created_at, id);
CREATE INDEX shares_owner_id_idx ON public.shares USING btree (owner_id);
CREATE UNIQUE INDEX shares_token_hash_key ON public.shares USING btree (token_hash);
CREATE INDEX users_created_at_idx ON public.users USING btree (created_at, id);
CREATE UNIQUE INDEX users_email_key ON public.users USING btree (lower(email));
ALTER INDEX public.inference_log_conversation_idx ATTACH PARTITION public.inference_log_default_conversation_id_idx;
ALTER INDEX public.inference_log_ingested_at_idx ATTACH PARTITION public.inference_log_default_ingested_at_idx;
ALTER INDEX public.inference_log_owner_idx ATTACH PARTITION public.inference_log_default_owner_id_started_at_id_idx;
ALTER INDEX public.inference_log_pkey ATTACH PARTITION public.inference_log_default_pkey;
ALTER INDEX public.inference_log_started_at_idx ATTACH PARTITION public.inference_log_default_started_at_id_idx;
ALTER INDEX public.rollups_pkey ATTACH PARTITION public.rollups_all_time_pkey;
ALTER INDEX public.rollups_pkey ATTACH PARTITION public.rollups_day_pkey;
ALTER INDEX public.rollups_pkey ATTACH PARTITION public.rollups_day_total_pkey;
ALTER INDEX public.rollups_pkey ATTACH PARTITION public.rollups_hour_pkey;
ALTER INDEX public.rollups_pkey ATTACH PARTITION public.rollups_hour_total_pkey;
ALTER INDEX public.rollups_pkey ATTACH PARTITION public.rollups_minute_pkey;
ALTER INDEX public.rollups_pkey ATTACH PARTITION public.rollups_minute_total_pkey;
ALTER INDEX public.rollups_pkey ATTACH PARTITION public.rollups_owner_day_pkey;
CREATE TRIGGER attachments_forget AFTER DELETE ON public.attachments FOR EACH ROW EXECUTE FUNCTION public.forget_attachment();
CREATE TRIGGER inference_log_add_rollups AFTER INSERT ON public.inference_log REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION public.add_rollups();
CREATE TRIGGER inference_log_count_usage AFTER INSERT ON public.inference_log REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION public.count_usage();
CREATE TRIGGER message_attachments_unlink AFTER DELETE ON public.message_attachments FOR EACH ROW EXECUTE FUNCTION public.unlink_attachment();
CREATE TRIGGER messages_link_attachments AFTER INSERT ON public.messages FOR EACH ROW WHEN ((new.parts @> '[{"type": "file"}]'::jsonb)) EXECUTE FUNCTION public.link_attachments();
CREATE TRIGGER search_answer AFTER INSERT ON public.messages FOR EACH ROW WHEN (((new.role = 'assistant'::text) AND (new.status <> 'streaming'::text))) EXECUTE FUNCTION public.search_message_changed();
CREATE TRIGGER search_message AFTER UPDATE OF parts, status ON public.messages FOR EACH ROW WHEN ((new.status <> 'streaming'::text)) EXECUTE FUNCTION public.search_message_changed();
CREATE TRIGGER search_title AFTER UPDATE OF title ON public.conversations FOR EACH ROW EXECUTE FUNCTION public.search_title_changed();
CREATE TRIGGER search_words AFTER INSERT OR DELETE OR UPDATE OF lexemes ON public.search_messages FOR EACH ROW EXECUTE FUNCTION public.search_note_words();
CREATE TRIGGER search_words AFTER INSERT OR DELETE OR UPDATE OF lexemes ON public.search_titles FOR EACH ROW EXECUTE FUNCTION public.search_note_words();
CREATE TRIGGER users_forget_alerts AFTER DELETE ON public.users FOR EACH ROW EXECUTE FUNCTION public.forget_alerts();
CREATE TRIGGER users_forget_rollups AFTER DELETE ON public.users FOR EACH ROW EXECUTE FUNCTION public.forget_rollups();
CREATE TRIGGER users_forget_usage AFTER DELETE ON public.users FOR EACH ROW EXECUTE FUNCTION public.forget_usage();
ALTER TABLE ONLY public.alert_deliveries
    ADD CONSTRAINT alert_deliveries_event_id_fkey FOREIGN KEY (event_id) REFERENCES public.alert_events(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.alert_states
    ADD CONSTRAINT alert_states_rule_id_fkey FOREIGN KEY (rule_id) REFERENCES public.alert_rules(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_active_leaf_id_fkey FOREIGN KEY (active_leaf_id) REFERENCES public.messages(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.imports
    ADD CONSTRAINT imports_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.imports
    ADD CONSTRAINT imports_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.message_attachments
    ADD CONSTRAINT message_attachments_attachment_id_fkey FOREIGN KEY (attachment_id) REFERENCES public.attachments(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.message_attachments
    ADD CONSTRAINT message_attachments_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.messages(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.message_feedback
    ADD CONSTRAINT message_feedback_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.messages(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.messages(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.password_resets
    ADD CONSTRAINT password_resets_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.search_messages
    ADD CONSTRAINT search_messages_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.messages(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.search_titles
    ADD CONSTRAINT search_titles_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.search_words
    ADD CONSTRAINT search_words_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.shares
    ADD CONSTRAINT shares_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.shares
    ADD CONSTRAINT shares_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.user_quotas
    ADD CONSTRAINT user_quotas_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
