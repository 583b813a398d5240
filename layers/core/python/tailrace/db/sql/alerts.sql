-- name: lock_alerts
-- One at a time evaluates; the lock ends with the transaction.
SELECT pg_try_advisory_xact_lock(%(key)s) AS locked

-- name: limit_reading
-- A number that takes longer is none.
SET LOCAL statement_timeout = '5s'

-- name: unlimit_reading
-- What is written takes the time it takes.
SET LOCAL statement_timeout = DEFAULT

-- name: calls
-- The calls that began in the minutes of a span.
SELECT
    coalesce(sum(requests), 0)::bigint AS requests,
    coalesce(sum(errors), 0)::bigint AS errors,
    coalesce(sum(cost_usd_sum), 0) AS cost_usd,
    coalesce(sum(duration_count), 0)::bigint AS duration_count,
    string_agg(duration_buckets, '') AS duration_buckets,
    numeric_send(sum(duration_histogram)) AS duration_histogram,
    coalesce(sum(time_to_first_chunk_count), 0)::bigint AS time_to_first_chunk_count,
    string_agg(time_to_first_chunk_buckets, '') AS time_to_first_chunk_buckets,
    numeric_send(sum(time_to_first_chunk_histogram)) AS time_to_first_chunk_histogram
FROM rollups
WHERE tier = %(tier)s AND owner_id = '00000000-0000-0000-0000-000000000000'
  AND starts_at > %(start)s - interval '1 minute' AND starts_at <= %(end)s
  AND (%(provider_name)s::text IS NULL OR provider_name = %(provider_name)s)
  AND (%(request_model)s::text IS NULL OR request_model = %(request_model)s)

-- name: costs_of_users
-- The users whose calls of a day cost at least so much.
SELECT owner_id::text AS owner_id, sum(cost_usd_sum) AS cost_usd
FROM rollups
WHERE tier = 'owner_day' AND starts_at = %(day)s
  AND EXISTS (SELECT FROM users WHERE users.id = rollups.owner_id)
GROUP BY owner_id
HAVING sum(cost_usd_sum) >= %(least)s
ORDER BY 2 DESC
LIMIT 1000

-- name: served_in_vain
-- How many calls ended in a span whose events are not in the log, if nothing came into it since. The
-- log is looked at only when there are such calls.
SELECT CASE WHEN waiting.count > 0 AND NOT EXISTS (
    SELECT FROM inference_log
    WHERE ingested_at >= %(since)s AND started_at >= %(since)s - %(longest)s
) THEN waiting.count ELSE 0 END AS served
FROM (
    SELECT (SELECT count(*) FROM runs WHERE closed_at >= %(since)s AND closed_at < %(until)s)
         + (SELECT count(*) FROM telemetry_outbox
            WHERE created_at >= %(since)s AND created_at < %(until)s) AS count
) AS waiting

-- name: find_enabled_kinds
-- What there is to evaluate.
SELECT DISTINCT kind FROM alert_rules WHERE enabled AND deleted_at IS NULL

-- name: put_rule_of_settings
-- A rule as the settings have it; silence is kept.
INSERT INTO alert_rules (
    id, source, name, kind, threshold, resolve_threshold, window_seconds, for_seconds,
    minimum_calls, severity, provider_name, request_model, enabled
) VALUES (
    %(id)s, 'settings', %(name)s, %(kind)s, %(threshold)s, %(resolve_threshold)s, %(window)s,
    %(for_seconds)s, %(minimum_calls)s, %(severity)s, %(provider_name)s, %(request_model)s,
    %(enabled)s
)
ON CONFLICT (source, name) WHERE deleted_at IS NULL DO UPDATE SET
    threshold = excluded.threshold, resolve_threshold = excluded.resolve_threshold,
    window_seconds = excluded.window_seconds, for_seconds = excluded.for_seconds,
    minimum_calls = excluded.minimum_calls, severity = excluded.severity,
    provider_name = excluded.provider_name, request_model = excluded.request_model,
    enabled = excluded.enabled, updated_at = now()
WHERE alert_rules.kind = excluded.kind AND (
    alert_rules.threshold, alert_rules.resolve_threshold, alert_rules.window_seconds,
    alert_rules.for_seconds, alert_rules.minimum_calls, alert_rules.severity,
    alert_rules.provider_name, alert_rules.request_model, alert_rules.enabled
) IS DISTINCT FROM (
    excluded.threshold, excluded.resolve_threshold, excluded.window_seconds, excluded.for_seconds,
    excluded.minimum_calls, excluded.severity, excluded.provider_name, excluded.request_model,
    excluded.enabled
)

-- name: drop_rules_of_settings
-- Rules that the settings no longer have, or of which they say that they are about something else.
UPDATE alert_rules SET deleted_at = now()
WHERE source = 'settings' AND deleted_at IS NULL
  AND NOT EXISTS (
      SELECT FROM unnest(%(names)s::text[], %(kinds)s::text[]) AS named (name, kind)
      WHERE named.name = alert_rules.name AND named.kind = alert_rules.kind
  )

-- name: take_rules
-- All rules, those among them that only have to be ended.
SELECT * FROM alert_rules ORDER BY created_at, id FOR UPDATE

-- name: find_states
-- What all rules found the last time.
SELECT rule_id, subject, state, since, value, alert_id, is_told FROM alert_states

-- name: put_state
-- What a rule found.
INSERT INTO alert_states (rule_id, subject, state, since, value, alert_id, is_told)
VALUES (%(rule_id)s, %(subject)s, %(state)s, %(since)s, %(value)s, %(alert_id)s, %(is_told)s)
ON CONFLICT (rule_id, subject) DO UPDATE SET
    state = excluded.state, since = excluded.since, value = excluded.value,
    alert_id = excluded.alert_id, is_told = excluded.is_told

-- name: forget_state
-- A user who is well again.
DELETE FROM alert_states WHERE rule_id = %(rule_id)s AND subject = %(subject)s

-- name: note_evaluation
-- When a rule was looked at, and why its numbers could not be read.
UPDATE alert_rules SET evaluated_at = %(now)s, problem = %(problem)s WHERE id = %(id)s

-- name: remove_rule
-- Nothing of it is left to be ended.
DELETE FROM alert_rules WHERE id = %(id)s AND deleted_at IS NOT NULL

-- name: add_event
-- A change of a state.
INSERT INTO alert_events (
    id, at, rule_id, alert_id, rule_name, kind, severity, subject, state, value, threshold,
    window_seconds, problem, is_silenced
) VALUES (
    %(id)s, %(at)s, %(rule_id)s, %(alert_id)s, %(rule_name)s, %(kind)s, %(severity)s, %(subject)s,
    %(state)s, %(value)s, %(threshold)s, %(window_seconds)s, %(problem)s, %(is_silenced)s
)

-- name: add_delivery
-- An event that a target is to be told.
INSERT INTO alert_deliveries (id, event_id, target, due_at, expires_at)
VALUES (%(id)s, %(event_id)s, %(target)s, %(now)s, %(expires_at)s)

-- name: delete_old_events
-- History has an end.
DELETE FROM alert_events WHERE id = ANY (ARRAY(
    SELECT id FROM alert_events WHERE at < %(before)s LIMIT 1000
))

-- name: take_delivery
-- One that is due, and is nobody else's until its next turn. Targets that failed just now wait.
UPDATE alert_deliveries SET
    attempts = attempts + 1,
    due_at = %(now)s + make_interval(secs => least(30 * power(2, least(attempts, 10)), 3600))
WHERE id = (
    SELECT id FROM alert_deliveries
    WHERE due_at <= %(now)s AND target <> ALL (%(except)s)
    ORDER BY due_at, id LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING id, event_id, target, attempts, expires_at

-- name: find_event
-- What is to be told.
SELECT * FROM alert_events WHERE id = %(id)s

-- name: note_delivered
-- The target has it.
UPDATE alert_deliveries SET delivered_at = %(now)s, due_at = NULL, last_error = NULL
WHERE id = %(id)s

-- name: note_failed
-- The target did not take it; with no time left, it is given up.
UPDATE alert_deliveries SET last_error = %(error)s,
    due_at = CASE WHEN expires_at > due_at THEN due_at END
WHERE id = %(id)s AND delivered_at IS NULL

-- name: list_rules
-- A page of rules, the oldest first.
SELECT * FROM alert_rules
WHERE deleted_at IS NULL
  AND (%(after_time)s::timestamptz IS NULL
       OR (created_at, id) > (%(after_time)s, %(after_id)s::uuid))
ORDER BY created_at, id
LIMIT %(limit)s

-- name: states_of_rules
-- What rules found the last time, what is worst and oldest first.
SELECT rule_id, subject, state, since, value, alert_id FROM alert_states
WHERE rule_id = ANY (%(ids)s)
ORDER BY array_position(ARRAY['firing', 'pending', 'resolved', 'ok'], state), since, subject

-- name: count_rules
-- How many there are.
SELECT count(*) AS count FROM alert_rules WHERE deleted_at IS NULL

-- name: lock_rules
-- One at a time adds rules, so that there are never too many.
SELECT pg_advisory_xact_lock(%(key)s)

-- name: create_rule
-- A rule of an admin's; no row when there is one of that name.
INSERT INTO alert_rules (
    id, source, name, kind, threshold, resolve_threshold, window_seconds, for_seconds,
    minimum_calls, severity, provider_name, request_model, enabled
) VALUES (
    %(id)s, 'api', %(name)s, %(kind)s, %(threshold)s, %(resolve_threshold)s, %(window)s,
    %(for_seconds)s, %(minimum_calls)s, %(severity)s, %(provider_name)s, %(request_model)s,
    %(enabled)s
)
ON CONFLICT (source, name) WHERE deleted_at IS NULL DO NOTHING
RETURNING *

-- name: find_name
-- Whether an admin's rule has a name.
SELECT id FROM alert_rules WHERE source = 'api' AND name = %(name)s AND deleted_at IS NULL

-- name: read_rule
-- One rule, which nobody changes meanwhile.
SELECT * FROM alert_rules WHERE id = %(id)s AND deleted_at IS NULL FOR UPDATE

-- name: change_rule
-- A rule as an admin wants it now.
UPDATE alert_rules SET
    name = %(name)s, threshold = %(threshold)s, resolve_threshold = %(resolve_threshold)s,
    window_seconds = %(window)s, for_seconds = %(for_seconds)s,
    minimum_calls = %(minimum_calls)s, severity = %(severity)s,
    provider_name = %(provider_name)s, request_model = %(request_model)s,
    enabled = %(enabled)s, updated_at = now()
WHERE id = %(id)s
RETURNING *

-- name: delete_rule
-- Maintenance ends what it had set off.
UPDATE alert_rules SET deleted_at = now() WHERE id = %(id)s

-- name: silence_rule
-- Until then nobody is told; NULL ends that.
UPDATE alert_rules SET silenced_until = %(until)s
WHERE id = %(id)s AND deleted_at IS NULL
RETURNING *

-- name: list_events
-- A page of the history, the newest first.
SELECT * FROM alert_events
WHERE (%(rule_id)s::uuid IS NULL OR rule_id = %(rule_id)s)
  AND (%(before_time)s::timestamptz IS NULL OR (at, id) < (%(before_time)s, %(before_id)s::uuid))
ORDER BY at DESC, id DESC
LIMIT %(limit)s

-- name: deliveries_of_events
-- Who was told, or is to be.
SELECT event_id, target, attempts, due_at, delivered_at, last_error FROM alert_deliveries
WHERE event_id = ANY (%(ids)s)
ORDER BY target
