-- name: lock_conversation
-- The owner's conversation, locked until the transaction ends, so that turns queue up.
SELECT id, title, model, active_leaf_id, last_sequence
FROM conversations
WHERE id = %(id)s AND owner_id = %(owner_id)s
FOR UPDATE

-- name: create_conversation
-- A new conversation; no row when the id is in use, by anyone.
INSERT INTO conversations (id, owner_id, title, title_source, model)
VALUES (%(id)s, %(owner_id)s, %(title)s, 'prompt', %(model)s)
ON CONFLICT (id) DO NOTHING
RETURNING id, title, model, active_leaf_id, last_sequence

-- name: find_turn
-- The user message with this client id, and its newest answer.
SELECT question.id AS user_message_id, question.parent_id,
       answer.id, answer.status, answer.parts, answer.metadata
FROM messages AS question
LEFT JOIN LATERAL (
    SELECT id, status, parts, metadata FROM messages
    WHERE parent_id = question.id ORDER BY sequence DESC LIMIT 1
) AS answer ON true
WHERE question.conversation_id = %(conversation_id)s
  AND question.client_message_id = %(client_message_id)s

-- name: insert_user_message
-- The user's side of a turn.
INSERT INTO messages
    (id, conversation_id, parent_id, sequence, role, status, parts, client_message_id)
VALUES (%(id)s, %(conversation_id)s, %(parent_id)s, %(sequence)s, 'user', 'complete',
        %(parts)s, %(client_message_id)s)

-- name: insert_assistant_message
-- The answer of a turn, empty as yet; it becomes the conversation's active leaf.
WITH answer AS (
    INSERT INTO messages (id, conversation_id, parent_id, sequence, role, status, parts)
    VALUES (%(id)s, %(conversation_id)s, %(parent_id)s, %(sequence)s, 'assistant', 'streaming',
            '[]')
)
UPDATE conversations
SET active_leaf_id = %(id)s, last_sequence = %(sequence)s, model = %(model)s, updated_at = now()
WHERE id = %(conversation_id)s

-- name: branch
-- The messages from the root to a leaf, oldest first.
WITH RECURSIVE path AS (
    SELECT messages.* FROM messages
    WHERE id = %(leaf_id)s AND conversation_id = %(conversation_id)s
    UNION ALL
    SELECT messages.* FROM messages JOIN path ON messages.id = path.parent_id
)
SELECT id, role, status, parts, metadata, created_at FROM path ORDER BY sequence

-- name: finish_message
-- The answer's final state; a run that was given up for dead may still set the record straight.
UPDATE messages SET status = %(status)s, parts = %(parts)s, metadata = %(metadata)s
WHERE id = %(id)s AND status IN ('streaming', 'interrupted')

-- name: set_model_title
-- A title made by a model never replaces a person's.
UPDATE conversations SET title = %(title)s, title_source = 'model'
WHERE id = %(id)s AND title_source = 'prompt'

-- name: list_conversations
-- A page of the owner's conversations, the last used first.
SELECT conversations.id, title, model, created_at, updated_at, run.id AS active_run_id
FROM conversations
LEFT JOIN LATERAL (
    SELECT id FROM active_runs
    WHERE conversation_id = conversations.id AND kind = 'chat' ORDER BY id DESC LIMIT 1
) AS run ON true
WHERE owner_id = %(owner_id)s
  AND (%(before_time)s::timestamptz IS NULL
       OR (updated_at, conversations.id) < (%(before_time)s, %(before_id)s))
ORDER BY updated_at DESC, conversations.id DESC
LIMIT %(limit)s

-- name: find_conversation
-- One conversation of the owner.
SELECT conversations.id, title, model, created_at, updated_at, active_leaf_id,
       run.id AS active_run_id
FROM conversations
LEFT JOIN LATERAL (
    SELECT id FROM active_runs
    WHERE conversation_id = conversations.id AND kind = 'chat' ORDER BY id DESC LIMIT 1
) AS run ON true
WHERE conversations.id = %(id)s AND owner_id = %(owner_id)s
