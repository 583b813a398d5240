-- name: find_identity_user
-- The user whom an identity provider knows by this subject.
SELECT users.id, users.email, users.role, users.disabled_at
FROM identities JOIN users ON users.id = identities.user_id
WHERE identities.issuer = %(issuer)s AND identities.subject = %(subject)s

-- name: link_identity
-- From now on this subject signs in as this user.
INSERT INTO identities (issuer, subject, user_id) VALUES (%(issuer)s, %(subject)s, %(user_id)s)

-- name: unlink_identities_of
-- No identity provider signs in as this user any more.
DELETE FROM identities WHERE user_id = %(user_id)s
