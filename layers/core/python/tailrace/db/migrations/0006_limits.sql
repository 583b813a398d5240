-- Limits: what has been used, what may be used, and what is under way.

-- Tokens and money by the day (UTC) on which the calls began, written by the trigger below alone.
-- Sums of what others count are numeric: no event is refused because a sum grew too long.
-- There is no reference to users, since an event may arrive while its user goes, and ingestion and
-- the one who goes would wait for each other.
CREATE TABLE user_usage (
    user_id  uuid NOT NULL,
    day      date NOT NULL,
    calls    bigint NOT NULL,
    tokens   numeric NOT NULL,
    cost_usd numeric NOT NULL,
    PRIMARY KEY (user_id, day)
);

-- The same for all calls together: of users, of guests and of nobody.
CREATE TABLE total_usage (
    day      date PRIMARY KEY,
    calls    bigint NOT NULL,
    tokens   numeric NOT NULL,
    cost_usd numeric NOT NULL
);

-- What an admin gave a user in place of the settings. NULL: as the settings say; Infinity: no end.
CREATE TABLE user_quotas (
    user_id          uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    tokens_per_day   numeric CHECK (tokens_per_day >= 0),
    tokens_per_month numeric CHECK (tokens_per_month >= 0),
    usd_per_day      numeric CHECK (usd_per_day >= 0),
    usd_per_month    numeric CHECK (usd_per_month >= 0),
    updated_at       timestamptz NOT NULL DEFAULT now()
);

-- What a call took, from its end until ingestion has counted it.
ALTER TABLE runs ADD COLUMN tokens bigint;
CREATE INDEX runs_owner_id_idx ON runs (owner_id);

-- Counts what a statement really inserted, in its own transaction: a redelivered event inserts
-- nothing, and so counts for nothing. In one order, so that two ingestions never wait in a circle.
CREATE FUNCTION count_usage() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER inference_log_count_usage
AFTER INSERT ON inference_log REFERENCING NEW TABLE AS inserted
FOR EACH STATEMENT EXECUTE FUNCTION count_usage();

CREATE FUNCTION forget_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM user_usage WHERE user_id = OLD.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER users_forget_usage
AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION forget_usage();

-- What was counted before there were counters.
INSERT INTO user_usage (user_id, day, calls, tokens, cost_usd)
SELECT owner_id, (started_at AT TIME ZONE 'UTC')::date, count(*),
       sum(coalesce(input_tokens, 0)::numeric + coalesce(output_tokens, 0)),
       sum(coalesce(cost_usd, 0))
FROM inference_log JOIN users ON users.id = owner_id
GROUP BY 1, 2;
INSERT INTO total_usage (day, calls, tokens, cost_usd)
SELECT (started_at AT TIME ZONE 'UTC')::date, count(*),
       sum(coalesce(input_tokens, 0)::numeric + coalesce(output_tokens, 0)),
       sum(coalesce(cost_usd, 0))
FROM inference_log
GROUP BY 1;

-- Tokens that a user's calls take which ingestion has not counted yet: those told, and for an
-- answer under way as many as it may have at most.
CREATE FUNCTION pending_tokens(p_user_id uuid, p_except uuid, p_reserve numeric) RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(coalesce(tokens, CASE kind WHEN 'chat' THEN p_reserve END)), 0)
    FROM runs
    WHERE owner_id = p_user_id AND id IS DISTINCT FROM p_except
      AND NOT EXISTS (
          SELECT FROM inference_log
          WHERE inference_log.id = runs.id AND inference_log.started_at = runs.started_at)
$$;

-- Whether one more call is within a user's quotas and everybody's budget: raises TR429 if not, with
-- what is used up as the detail, and so undoes the statement it is part of. Called beside what
-- opens the run, in the same statement, so that it costs no round trip.
--
-- p_new tells whether there is a new call at all. p_user_id is NULL for a guest, who has no quotas.
-- Limits are NULL where there is none; what an admin gave the user stands before them.
CREATE FUNCTION require_quota(
    p_new boolean, p_user_id uuid, p_run_id uuid, p_reserve numeric,
    p_tokens_per_day numeric, p_tokens_per_month numeric,
    p_usd_per_day numeric, p_usd_per_month numeric,
    p_budget_usd_per_day numeric, p_budget_usd_per_month numeric
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
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
