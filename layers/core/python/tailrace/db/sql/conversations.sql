-- name: begin_turn
-- A user message, its empty answer and the run, or what the message got before.
SELECT * FROM begin_turn(
    %(owner_id)s, %(conversation_id)s, %(title)s, %(model)s, %(client_message_id)s, %(parts)s,
    %(again)s, %(user_message_id)s, %(answer_id)s, %(provider_name)s, %(request_model)s,
    %(request_id)s, %(input_preview)s, %(started_at)s)

-- name: branch
-- The messages from the root to a leaf, oldest first, each under the id its client knows it by.
WITH RECURSIVE path AS (
    SELECT messages.* FROM messages
    WHERE id = %(leaf_id)s AND conversation_id = %(conversation_id)s
    UNION ALL
    SELECT messages.* FROM messages JOIN path ON messages.id = path.parent_id
)
SELECT coalesce(client_message_id, id::text) AS id, role, status, parts, metadata, created_at
FROM path ORDER BY sequence

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
    SELECT id FROM runs
    WHERE conversation_id = conversations.id AND closed_at IS NULL AND kind = 'chat'
    ORDER BY id DESC LIMIT 1
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
    SELECT id FROM runs
    WHERE conversation_id = conversations.id AND closed_at IS NULL AND kind = 'chat'
    ORDER BY id DESC LIMIT 1
) AS run ON true
WHERE conversations.id = %(id)s AND owner_id = %(owner_id)s
