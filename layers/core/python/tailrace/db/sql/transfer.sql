-- name: begin_export
-- Everything is read as it is now, however long that takes.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY

-- name: limit_export_wait
-- Whoever stops reading must not hold a connection for ever.
SET LOCAL idle_in_transaction_session_timeout = '60s'

-- name: lock_export
-- One export of an account at a time; the lock ends with the transaction.
SELECT pg_try_advisory_xact_lock(hashtextextended(%(owner_id)s::text, 7463219874)) AS taken

-- name: plan_volume
-- How far one archive goes, and whether anything comes after: as many conversations as fit, at
-- least one. What they take on disk is close to what they take compressed.
WITH sizes AS (
    SELECT conversations.id,
           coalesce(sum(pg_column_size(parts)), 0) + coalesce((
               SELECT sum(attachments.size)
               FROM messages AS holder
               JOIN message_attachments ON message_id = holder.id
               JOIN attachments ON attachments.id = attachment_id
               WHERE holder.conversation_id = conversations.id
           ), 0) AS size
    FROM conversations LEFT JOIN messages ON conversation_id = conversations.id
    WHERE owner_id = %(owner_id)s AND deleted_at IS NULL
      AND (%(after_id)s::uuid IS NULL OR conversations.id > %(after_id)s)
    GROUP BY conversations.id
),
running AS (
    SELECT id, row_number() OVER in_order AS number, sum(size) OVER in_order AS total
    FROM sizes WINDOW in_order AS (ORDER BY id)
)
SELECT (array_agg(id ORDER BY id DESC) FILTER (WHERE fits))[1] AS last_id,
       bool_or(NOT fits) AS more
FROM (
    SELECT id, number = 1 OR (total <= %(bytes)s AND number <= %(conversations)s) AS fits
    FROM running
) AS weighed

-- name: export_messages
-- Conversations with all their messages, a row for each; the first of each conversation tells of it.
SELECT CASE WHEN row_number() OVER (PARTITION BY conversations.id ORDER BY sequence) = 1 THEN
           json_build_object(
               'format', 'tailrace.conversation/1', 'id', conversations.id, 'title', title,
               'title_source', title_source, 'model', model, 'system_prompt', system_prompt,
               'parameters', parameters, 'tags', tags, 'pinned_at', pinned_at,
               'archived_at', archived_at, 'created_at', conversations.created_at,
               'updated_at', updated_at, 'active_leaf_id', active_leaf_id)::text
       END AS conversation,
       CASE WHEN messages.id IS NOT NULL THEN
           json_build_object(
               'id', messages.id, 'parent_id', parent_id, 'role', role, 'status', status,
               'created_at', messages.created_at, 'parts', parts, 'metadata', metadata)::text
       END AS message
FROM conversations LEFT JOIN messages ON conversation_id = conversations.id
WHERE owner_id = %(owner_id)s AND deleted_at IS NULL
  AND (%(id)s::uuid IS NULL OR conversations.id = %(id)s)
  AND (%(after_id)s::uuid IS NULL OR conversations.id > %(after_id)s)
  AND (%(last_id)s::uuid IS NULL OR conversations.id <= %(last_id)s)
ORDER BY conversations.id, sequence

-- name: export_branches
-- Conversations with their active branch, a row for each message; of a file its name, not its bytes.
WITH RECURSIVE of_owner AS (
    SELECT id, title, model, created_at, active_leaf_id FROM conversations
    WHERE owner_id = %(owner_id)s AND deleted_at IS NULL
      AND (%(id)s::uuid IS NULL OR id = %(id)s)
      AND (%(after_id)s::uuid IS NULL OR id > %(after_id)s)
      AND (%(last_id)s::uuid IS NULL OR id <= %(last_id)s)
),
path AS (
    SELECT messages.id, parent_id, conversation_id
    FROM of_owner JOIN messages ON messages.id = active_leaf_id
    UNION ALL
    SELECT messages.id, messages.parent_id, messages.conversation_id
    FROM messages JOIN path ON messages.id = path.parent_id
)
SELECT of_owner.id, title, model, of_owner.created_at, messages.role,
       messages.metadata->>'model' AS answered_by,
       (SELECT jsonb_agg(part - 'url' - 'providerMetadata' ORDER BY number)
        FROM jsonb_array_elements(parts) WITH ORDINALITY AS of_message (part, number)) AS parts
FROM of_owner
LEFT JOIN path ON path.conversation_id = of_owner.id
LEFT JOIN messages ON messages.id = path.id
ORDER BY of_owner.id, sequence

-- name: export_attachments
-- The files that messages of these conversations name, each once.
SELECT attachments.id, attachments.filename FROM attachments
WHERE attachments.owner_id = %(owner_id)s AND EXISTS (
    SELECT FROM message_attachments
    JOIN messages ON messages.id = message_id
    JOIN conversations ON conversations.id = messages.conversation_id
    WHERE attachment_id = attachments.id AND conversations.owner_id = %(owner_id)s
      AND deleted_at IS NULL
      AND (%(id)s::uuid IS NULL OR conversations.id = %(id)s)
      AND (%(after_id)s::uuid IS NULL OR conversations.id > %(after_id)s)
      AND (%(last_id)s::uuid IS NULL OR conversations.id <= %(last_id)s))
ORDER BY attachments.id

-- name: known_conversations
-- What an import need not look at: imported and not deleted since, or exported from here.
SELECT source, source_id
FROM imports JOIN conversations ON conversations.id = conversation_id
WHERE imports.owner_id = %(owner_id)s AND deleted_at IS NULL
UNION ALL
SELECT 'tailrace', id::text FROM conversations
WHERE owner_id = %(owner_id)s AND deleted_at IS NULL

-- name: import_conversation
-- A conversation from elsewhere, unless it is here already. One that was imported and then deleted
-- may come back.
WITH taken AS (
    INSERT INTO imports (owner_id, source, source_id, conversation_id)
    SELECT %(owner_id)s, %(source)s, %(source_id)s, %(id)s
    WHERE NOT EXISTS (
        SELECT FROM conversations
        WHERE id = %(own_id)s::uuid AND owner_id = %(owner_id)s AND deleted_at IS NULL)
    ON CONFLICT (owner_id, source, source_id) DO UPDATE
    SET conversation_id = excluded.conversation_id, imported_at = now()
    WHERE EXISTS (
        SELECT FROM conversations
        WHERE id = imports.conversation_id AND deleted_at IS NOT NULL)
    RETURNING conversation_id
)
INSERT INTO conversations
    (id, owner_id, title, title_source, model, system_prompt, parameters, tags, pinned_at,
     archived_at, active_leaf_id, last_sequence, created_at, updated_at)
SELECT conversation_id, %(owner_id)s, %(title)s, %(title_source)s, %(model)s, %(system_prompt)s,
       %(parameters)s, %(tags)s, %(pinned_at)s, %(archived_at)s, %(active_leaf_id)s,
       %(last_sequence)s, %(created_at)s, %(updated_at)s
FROM taken
RETURNING id

-- name: import_messages
-- The messages of a conversation that was made in this transaction; of none if it was not.
INSERT INTO messages
    (id, conversation_id, parent_id, sequence, role, status, parts, metadata, created_at)
SELECT message.id, conversations.id, message.parent_id, message.sequence, message.role,
       message.status, message.parts, message.metadata, message.created_at
FROM conversations
CROSS JOIN jsonb_to_recordset(%(messages)s) AS message (
    id uuid, parent_id uuid, sequence bigint, role text, status text, parts jsonb,
    metadata jsonb, created_at timestamptz)
WHERE conversations.id = %(id)s AND owner_id = %(owner_id)s
ORDER BY message.sequence
