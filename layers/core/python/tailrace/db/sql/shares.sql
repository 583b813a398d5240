-- name: lock_conversation
-- The conversation to share, and how many links it has; nothing joins it meanwhile.
SELECT title, active_leaf_id,
       (SELECT count(*) FROM shares WHERE conversation_id = conversations.id) AS shares
FROM conversations
WHERE id = %(conversation_id)s AND owner_id = %(owner_id)s AND deleted_at IS NULL
FOR UPDATE

-- name: find_message
-- A message by the id that its client knows it by, or its own.
SELECT id FROM messages
WHERE conversation_id = %(conversation_id)s
  AND (client_message_id = %(message_id)s OR id = %(message_uuid)s)
ORDER BY client_message_id IS NOT DISTINCT FROM %(message_id)s DESC
LIMIT 1

-- name: branch_ids
-- The messages from the root to one, and whether an answer among them is under way.
WITH RECURSIVE path AS (
    SELECT id, parent_id, sequence, status FROM messages
    WHERE id = %(message_id)s AND conversation_id = %(conversation_id)s
    UNION ALL
    SELECT messages.id, messages.parent_id, messages.sequence, messages.status
    FROM messages JOIN path ON messages.id = path.parent_id
)
SELECT array_agg(id ORDER BY sequence) AS message_ids, bool_or(status = 'streaming') AS under_way
FROM path

-- name: create_share
-- A link to these messages.
INSERT INTO shares
    (id, owner_id, conversation_id, token_hash, token_hint, title, message_ids, shown_name,
     expires_at)
VALUES (%(id)s, %(owner_id)s, %(conversation_id)s, %(token_hash)s, %(token_hint)s, %(title)s,
        %(message_ids)s, %(shown_name)s, %(expires_at)s)
RETURNING id, token_hint, title, cardinality(message_ids) AS messages, shown_name, created_at,
          expires_at

-- name: list_shares
-- A page of the links to a conversation, the newest first; those that ran out as well.
SELECT shares.id, token_hint, shares.title, cardinality(message_ids) AS messages, shown_name,
       shares.created_at, expires_at
FROM shares JOIN conversations ON conversations.id = conversation_id
WHERE conversation_id = %(conversation_id)s AND shares.owner_id = %(owner_id)s
  AND conversations.deleted_at IS NULL
  AND (%(before_time)s::timestamptz IS NULL
       OR (shares.created_at, shares.id) < (%(before_time)s, %(before_id)s))
ORDER BY shares.created_at DESC, shares.id DESC
LIMIT %(limit)s

-- name: revoke_share
-- One link is gone for good.
DELETE FROM shares
WHERE id = %(id)s AND conversation_id = %(conversation_id)s AND owner_id = %(owner_id)s

-- name: revoke_shares
-- All links to a conversation are gone for good.
DELETE FROM shares
WHERE conversation_id = %(conversation_id)s AND owner_id = %(owner_id)s

-- name: find_shared
-- What a link shows, a row for each message that is still there. Of its parts only what may be
-- seen is read: no signatures, and of a file its name, not its bytes.
SELECT shares.title, shown_name, shares.created_at, expires_at, expires_at <= now() AS has_expired,
       place, messages.role, status,
       metadata->>'model' AS model,
       (SELECT jsonb_agg(
           CASE part->>'type'
               WHEN 'file' THEN jsonb_build_object('type', 'file', 'mediaType', part->'mediaType',
                                                   'filename', part->'filename', 'number', number)
               ELSE jsonb_build_object('type', part->'type', 'text', part->'text')
           END ORDER BY number)
        FROM jsonb_array_elements(parts) WITH ORDINALITY AS of_message (part, number)
        WHERE part->>'type' IN ('text', 'reasoning', 'file')) AS parts
FROM shares
JOIN users ON users.id = shares.owner_id AND disabled_at IS NULL
JOIN conversations
    ON conversations.id = shares.conversation_id AND conversations.deleted_at IS NULL
CROSS JOIN LATERAL unnest(message_ids) WITH ORDINALITY AS shared (message_id, place)
JOIN messages
    ON messages.id = message_id AND messages.conversation_id = shares.conversation_id
WHERE token_hash = %(token_hash)s
ORDER BY place

-- name: find_shared_file
-- One file of a message that a link shows, and whose it is.
SELECT part, shares.owner_id
FROM shares
JOIN users ON users.id = shares.owner_id AND disabled_at IS NULL
JOIN conversations
    ON conversations.id = shares.conversation_id AND conversations.deleted_at IS NULL
CROSS JOIN LATERAL unnest(message_ids) WITH ORDINALITY AS shared (message_id, place)
JOIN messages
    ON messages.id = message_id AND messages.conversation_id = shares.conversation_id
CROSS JOIN LATERAL (SELECT parts->(%(number)s - 1) AS part) AS of_message
WHERE token_hash = %(token_hash)s AND (expires_at IS NULL OR expires_at > now())
  AND place = %(place)s AND part->>'type' = 'file'
