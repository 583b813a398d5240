-- name: is_work_left
-- Whether a schedule has something to do before anybody comes back: calls not settled, events, links
-- and alerts that wait, and alerts that may still begin or end.
SELECT EXISTS (SELECT FROM runs)
    OR EXISTS (SELECT FROM telemetry_outbox)
    OR EXISTS (SELECT FROM password_reset_requests)
    OR EXISTS (SELECT FROM alert_deliveries WHERE due_at IS NOT NULL)
    OR EXISTS (SELECT FROM alert_states WHERE state IN ('pending', 'firing')) AS is_left
