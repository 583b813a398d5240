-- name: is_work_left
-- Whether a schedule has something to do before anybody comes back: calls not settled, events, links
-- and alerts that wait, alerts that may still begin or end, and calls in the windows of rules: as the
-- others leave a window, time alone sets an alert off. The rules of the settings are in the table
-- since their first evaluation; other kinds than those of calls are about what is counted here anyway,
-- or stay as they are while nobody calls.
SELECT EXISTS (SELECT FROM runs)
    OR EXISTS (SELECT FROM telemetry_outbox)
    OR EXISTS (SELECT FROM password_reset_requests)
    OR EXISTS (SELECT FROM alert_deliveries WHERE due_at IS NOT NULL)
    OR EXISTS (SELECT FROM alert_states WHERE state IN ('pending', 'firing'))
    OR EXISTS (
        -- The minutes that the widest window takes in, as `calls` of alerts.sql does.
        SELECT FROM rollups
        WHERE tier = 'minute_total' AND owner_id = '00000000-0000-0000-0000-000000000000'
          AND starts_at <= now()
          AND starts_at > now() - interval '1 minute' - (
              SELECT make_interval(secs => max(window_seconds)) FROM alert_rules
              WHERE enabled AND deleted_at IS NULL AND kind = ANY (%(kinds)s)
          )
    ) AS is_left
