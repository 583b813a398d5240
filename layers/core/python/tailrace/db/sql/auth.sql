-- name: lock_users
-- One change of who may do what at a time: of two first users one is second, and of two admins who
-- step down at once one stays.
SELECT pg_advisory_xact_lock(hashtext('tailrace.users'))

-- name: has_users
-- Whether anybody has an account.
SELECT EXISTS (SELECT FROM users) AS "any"

-- name: create_user
-- Add a user, the very first as admin; no row when the email is taken.
INSERT INTO users (id, email, password_hash, email_verified_at, role)
VALUES (%(id)s, %(email)s, %(password_hash)s, CASE WHEN %(verified)s THEN now() END,
        CASE WHEN EXISTS (SELECT FROM users) THEN 'user' ELSE 'admin' END)
ON CONFLICT (lower(email)) DO NOTHING
RETURNING id, email, role

-- name: find_user_by_email
-- The user who signs in with this email.
SELECT id, email, role, password_hash, email_verified_at, disabled_at
FROM users WHERE lower(email) = lower(%(email)s)

-- name: find_password_hash
-- What a user's password is checked against before it is changed.
SELECT password_hash FROM users WHERE id = %(id)s

-- name: renew_password_hash
-- Keep the hash of the same password under today's parameters, unless it was changed meanwhile.
UPDATE users SET password_hash = %(password_hash)s WHERE id = %(id)s AND password_hash = %(old)s

-- name: set_password_hash
-- A new password.
UPDATE users SET password_hash = %(password_hash)s WHERE id = %(id)s

-- name: verify_email
-- The user proved to own the address; no row when that was known.
UPDATE users SET email_verified_at = now() WHERE id = %(id)s AND email_verified_at IS NULL
RETURNING id

-- name: create_session
-- Start a session.
INSERT INTO sessions (id, id_hash, user_id, expires_at, user_agent)
SELECT %(id)s, %(id_hash)s, id, now() + %(ttl)s, %(user_agent)s
FROM users WHERE id = %(user_id)s AND disabled_at IS NULL

-- name: find_session_user
-- The user of a session that has not ended; its use is noted once a minute.
WITH used AS (
    UPDATE sessions SET last_used_at = now()
    WHERE id_hash = %(id_hash)s AND expires_at > now()
      AND last_used_at < now() - interval '1 minute'
)
SELECT users.id, users.email, users.role, sessions.id AS session_id
FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.id_hash = %(id_hash)s AND sessions.expires_at > now()
  AND users.disabled_at IS NULL

-- name: list_sessions
-- A page of the sessions of a user, the newest first.
SELECT id, created_at, last_used_at, expires_at, user_agent
FROM sessions
WHERE user_id = %(user_id)s AND expires_at > now()
  AND (%(before_time)s::timestamptz IS NULL
       OR (created_at, id) < (%(before_time)s::timestamptz, %(before_id)s::uuid))
ORDER BY created_at DESC, id DESC
LIMIT %(limit)s

-- name: end_session
-- End the session of a cookie.
DELETE FROM sessions WHERE id_hash = %(id_hash)s

-- name: end_session_of
-- End a session that its user names.
DELETE FROM sessions WHERE id = %(id)s AND user_id = %(user_id)s

-- name: end_sessions_of
-- End every session of a user, except one that may stay.
DELETE FROM sessions
WHERE user_id = %(user_id)s AND id IS DISTINCT FROM %(except_id)s::uuid

-- name: list_users
-- A page of all users, the newest first; for admins alone.
SELECT id, email, role, created_at, email_verified_at, disabled_at
FROM users
WHERE %(before_time)s::timestamptz IS NULL
   OR (created_at, id) < (%(before_time)s::timestamptz, %(before_id)s::uuid)
ORDER BY created_at DESC, id DESC
LIMIT %(limit)s

-- name: change_user
-- What an admin changes of a user.
UPDATE users
SET role = coalesce(%(role)s, role),
    disabled_at = CASE %(disabled)s::boolean
        WHEN true THEN coalesce(disabled_at, now())
        WHEN false THEN NULL
        ELSE disabled_at
    END
WHERE id = %(id)s
RETURNING id, email, role, created_at, email_verified_at, disabled_at

-- name: count_admins
-- How many admins can still sign in.
SELECT count(*) AS count FROM users WHERE role = 'admin' AND disabled_at IS NULL
