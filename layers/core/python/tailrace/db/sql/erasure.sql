-- name: find_account
-- What a user must prove before the account goes: a password, or, without one, that they came just
-- now.
SELECT email, password_hash,
       (SELECT created_at > now() - %(recent)s FROM sessions
        WHERE id = %(session_id)s AND user_id = users.id) AS is_recent
FROM users WHERE id = %(owner_id)s

-- name: erase_owner
-- From here on maintain takes this person out of events that arrive late.
INSERT INTO erased_owners (owner_id) VALUES (%(owner_id)s) ON CONFLICT DO NOTHING

-- name: stop_runs
-- Calls under way end soon, and say nothing of what they were asked.
UPDATE runs
SET input_preview = NULL, cancel_requested_at = coalesce(cancel_requested_at, now())
WHERE owner_id = %(owner_id)s AND closed_at IS NULL
RETURNING id

-- name: forget_calls
-- The calls stay, with their numbers; whose they were and what was said goes.
UPDATE inference_log
SET owner_id = NULL, conversation_id = NULL, request_id = NULL, input_preview = NULL,
    output_preview = NULL, error_message = NULL, metadata = '{}'
WHERE owner_id = %(owner_id)s

-- name: forget_dead_letters
-- An event that could not be kept holds all it had.
DELETE FROM inference_dead_letters WHERE position(%(needle)s::bytea IN payload) > 0

-- name: forget_reset_requests
-- These hold an address.
DELETE FROM password_reset_requests WHERE lower(email) = lower(%(email)s)

-- name: delete_account
-- The user, and by reference sessions, keys, identities, conversations, links and imports.
DELETE FROM users WHERE id = %(owner_id)s

-- name: forget_late_calls
-- Events of erased owners that arrived since. An array, so that the log is never read from end to
-- end for a table that is nearly always empty.
UPDATE inference_log
SET owner_id = NULL, conversation_id = NULL, request_id = NULL, input_preview = NULL,
    output_preview = NULL, error_message = NULL, metadata = '{}'
WHERE owner_id = ANY (ARRAY(SELECT owner_id FROM erased_owners))

-- name: forget_late_rollups
-- What their late events were summed up to as theirs.
DELETE FROM rollups
WHERE tier = 'owner_day' AND owner_id = ANY (ARRAY(SELECT owner_id FROM erased_owners))

-- name: forget_late_dead_letters
-- Late events of theirs that could not be kept.
DELETE FROM inference_dead_letters USING erased_owners
WHERE position(convert_to(erased_owners.owner_id::text, 'UTF8') IN payload) > 0

-- name: forget_late_alerts
-- Alerts about them that were being found while they went.
UPDATE alert_events SET subject = 'deleted'
WHERE length(subject) = 36 AND subject = ANY (ARRAY(SELECT owner_id::text FROM erased_owners))

-- name: forget_late_alert_states
-- The same of what was found last.
DELETE FROM alert_states WHERE subject = ANY (ARRAY(SELECT owner_id::text FROM erased_owners))

-- name: forget_erased_owners
-- After so long nothing of theirs is on the way.
DELETE FROM erased_owners WHERE erased_at < now() - %(older_than)s
