-- name: request_reset
-- Somebody asks for a link; whether the address is anybody's is not looked at.
INSERT INTO password_reset_requests (id, email) VALUES (%(id)s, %(email)s)

-- name: take_due_request
-- The request that waits longest, which no other maintenance has; it comes again later unless it is
-- deleted.
UPDATE password_reset_requests
SET attempts = attempts + 1, due_at = now() + make_interval(secs => 30 * 2 ^ attempts)
WHERE id = (
    SELECT id FROM password_reset_requests WHERE due_at <= now()
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, email, attempts

-- name: delete_request
-- Answered, or given up.
DELETE FROM password_reset_requests WHERE id = %(id)s

-- name: create_reset
-- A link for whoever signs in with this email; no row when nobody does.
INSERT INTO password_resets (token_hash, user_id, expires_at)
SELECT %(token_hash)s, id, now() + %(ttl)s
FROM users WHERE lower(email) = lower(%(email)s) AND disabled_at IS NULL
RETURNING (SELECT email FROM users WHERE users.id = user_id) AS email

-- name: use_reset
-- The user of a link that has not expired; all of the user's links end with it.
WITH used AS (
    SELECT user_id FROM password_resets
    WHERE token_hash = %(token_hash)s AND expires_at > now()
    FOR UPDATE
)
DELETE FROM password_resets WHERE user_id = (SELECT user_id FROM used)
RETURNING user_id

-- name: delete_resets_of
-- No link of this user can be used any more.
DELETE FROM password_resets WHERE user_id = %(user_id)s

-- name: delete_old_requests
-- Nobody waits for these any more.
DELETE FROM password_reset_requests WHERE requested_at < now() - interval '1 day'

-- name: delete_expired_resets
-- Nobody can use these any more.
DELETE FROM password_resets WHERE expires_at <= now()
