-- name: lock_users
-- One registration at a time: of two first users, one is second.
SELECT pg_advisory_xact_lock(hashtext('tailrace.users'))

-- name: create_user
-- Add a user, the very first as admin; no row when the email is taken.
INSERT INTO users (id, email, password_hash, role)
VALUES (%(id)s, %(email)s, %(password_hash)s,
        CASE WHEN EXISTS (SELECT FROM users) THEN 'user' ELSE 'admin' END)
ON CONFLICT (lower(email)) DO NOTHING
RETURNING id, email, role

-- name: find_user_by_email
-- The user who signs in with this email.
SELECT id, email, role, password_hash FROM users WHERE lower(email) = lower(%(email)s)

-- name: renew_password_hash
-- Keep the hash of the same password under today's parameters.
UPDATE users SET password_hash = %(password_hash)s WHERE id = %(id)s

-- name: create_session
-- Start a session.
INSERT INTO sessions (id_hash, user_id, expires_at)
VALUES (%(id_hash)s, %(user_id)s, now() + %(ttl)s)

-- name: find_session_user
-- The user of a session that has not ended.
SELECT users.id, users.email, users.role
FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.id_hash = %(id_hash)s AND sessions.expires_at > now()

-- name: end_session
-- End a session.
DELETE FROM sessions WHERE id_hash = %(id_hash)s
