-- name: make_conversation
-- A guest's conversation under the id that it had in the browser, unless the id is in use.
INSERT INTO conversations (id, owner_id, title, title_source, model, created_at, updated_at)
VALUES (%(id)s, %(owner_id)s, %(title)s, %(title_source)s, %(model)s, %(created_at)s,
        %(updated_at)s)
ON CONFLICT (id) DO NOTHING
RETURNING id

-- name: lock_conversation
-- One at a time adds to a conversation; no row for somebody else's, or a deleted one.
SELECT last_sequence FROM conversations
WHERE id = %(id)s AND owner_id = %(owner_id)s AND deleted_at IS NULL
FOR UPDATE

-- name: find_known_messages
-- The messages that a conversation has, under every name that a browser knows them by.
SELECT messages.id, client_message_id
FROM messages JOIN conversations ON conversations.id = conversation_id
WHERE conversation_id = %(id)s AND owner_id = %(owner_id)s

-- name: add_messages
-- What the browser had and the conversation had not.
INSERT INTO messages
    (id, conversation_id, parent_id, sequence, role, status, parts, metadata, client_message_id,
     created_at)
SELECT message.id, conversations.id, message.parent_id, message.sequence, message.role,
       message.status, message.parts, message.metadata, message.client_message_id,
       message.created_at
FROM conversations
CROSS JOIN jsonb_to_recordset(%(messages)s) AS message (
    id uuid, parent_id uuid, sequence bigint, role text, status text, parts jsonb,
    metadata jsonb, client_message_id text, created_at timestamptz)
WHERE conversations.id = %(id)s AND owner_id = %(owner_id)s
ORDER BY message.sequence

-- name: move_on
-- The conversation goes on after its newest message, which is a leaf.
UPDATE conversations
SET last_sequence = %(last_sequence)s, active_leaf_id = %(leaf_id)s,
    updated_at = greatest(updated_at, %(updated_at)s)
WHERE id = %(id)s AND owner_id = %(owner_id)s
