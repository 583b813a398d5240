-- name: lock_user
-- One new key of a user at a time, so that their number is kept; no row for a disabled user.
SELECT id FROM users WHERE id = %(user_id)s AND disabled_at IS NULL FOR NO KEY UPDATE

-- name: count_keys
-- How many keys a user has.
SELECT count(*) AS count FROM api_keys WHERE user_id = %(user_id)s

-- name: create_key
-- Add a key.
INSERT INTO api_keys (id, user_id, name, prefix, key_hash, scopes, expires_at)
VALUES (%(id)s, %(user_id)s, %(name)s, %(prefix)s, %(key_hash)s, %(scopes)s, %(expires_at)s)
RETURNING id, name, prefix, scopes, created_at, last_used_at, expires_at

-- name: find_key_user
-- The user of a key that may be used; its use is noted once a minute.
WITH used AS (
    UPDATE api_keys SET last_used_at = now()
    WHERE key_hash = %(key_hash)s AND (expires_at IS NULL OR expires_at > now())
      AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
)
SELECT users.id, users.email, users.role, api_keys.id AS key_id, api_keys.scopes
FROM api_keys JOIN users ON users.id = api_keys.user_id
WHERE api_keys.key_hash = %(key_hash)s
  AND (api_keys.expires_at IS NULL OR api_keys.expires_at > now())
  AND users.disabled_at IS NULL

-- name: list_keys
-- A page of the keys of a user, the newest first.
SELECT id, name, prefix, scopes, created_at, last_used_at, expires_at
FROM api_keys
WHERE user_id = %(user_id)s
  AND (%(before_time)s::timestamptz IS NULL
       OR (created_at, id) < (%(before_time)s::timestamptz, %(before_id)s::uuid))
ORDER BY created_at DESC, id DESC
LIMIT %(limit)s

-- name: change_key
-- What its owner changes of a key.
UPDATE api_keys
SET name = coalesce(%(name)s, name),
    scopes = coalesce(%(scopes)s, scopes),
    expires_at = CASE WHEN %(set_expiry)s THEN %(expires_at)s::timestamptz ELSE expires_at END
WHERE id = %(id)s AND user_id = %(user_id)s
RETURNING id, name, prefix, scopes, created_at, last_used_at, expires_at

-- name: revoke_key
-- Nobody calls with this key any more.
DELETE FROM api_keys WHERE id = %(id)s AND user_id = %(user_id)s

-- name: revoke_keys_of
-- Nobody calls with any key of this user any more.
DELETE FROM api_keys WHERE user_id = %(user_id)s
