-- name: begin_turn
-- A user message, its empty answer and the run, or what the message got before.
SELECT turn.* FROM begin_turn(
    %(owner_id)s, %(conversation_id)s, %(title)s, %(model)s, %(client_message_id)s, %(parts)s,
    %(again)s, %(user_message_id)s, %(answer_id)s, %(provider_name)s, %(request_model)s,
    %(request_id)s, %(input_preview)s, %(started_at)s, %(message_uuid)s, %(known)s, %(branches)s,
    %(parent)s, %(parent_uuid)s) AS turn
CROSS JOIN LATERAL require_quota(
    NOT turn.seen, %(quota_user_id)s, turn.answer_id, %(reserve)s, %(tokens_per_day)s,
    %(tokens_per_month)s, %(usd_per_day)s, %(usd_per_month)s, %(budget_usd_per_day)s,
    %(budget_usd_per_month)s)

-- name: find_question
-- The user message that a message is, or answers.
SELECT question.id, question.parts
FROM messages AS named
JOIN conversations ON conversations.id = named.conversation_id
JOIN messages AS question
  ON question.id = CASE named.role WHEN 'user' THEN named.id ELSE named.parent_id END
WHERE named.conversation_id = %(conversation_id)s
  AND owner_id = %(owner_id)s AND deleted_at IS NULL
  AND (named.client_message_id = %(message)s OR named.id = %(message_uuid)s)
  AND question.role = 'user'
ORDER BY named.client_message_id IS NOT DISTINCT FROM %(message)s DESC
LIMIT 1

-- name: find_model
-- The model that a conversation is held with.
SELECT model FROM conversations
WHERE id = %(id)s AND owner_id = %(owner_id)s AND deleted_at IS NULL

-- name: branch
-- The messages from the root to a leaf, oldest first, each under the id its client knows it by, with
-- the ids of all that stand in its place.
WITH RECURSIVE path AS (
    SELECT messages.* FROM messages
    WHERE id = %(leaf_id)s AND conversation_id = %(conversation_id)s
    UNION ALL
    -- LIMIT makes it a look-up each, also in a plan that was made when the table was small.
    SELECT above.* FROM path
    CROSS JOIN LATERAL (SELECT * FROM messages WHERE id = path.parent_id LIMIT 1) AS above
)
SELECT
    coalesce(client_message_id, id::text) AS id,
    lag(coalesce(client_message_id, id::text)) OVER (ORDER BY sequence) AS parent_id,
    CASE WHEN parent_id IS NULL THEN (
        SELECT array_agg(coalesce(root.client_message_id, root.id::text) ORDER BY root.sequence)
        FROM messages AS root
        WHERE root.conversation_id = path.conversation_id AND root.parent_id IS NULL
    ) ELSE (
        SELECT array_agg(coalesce(child.client_message_id, child.id::text) ORDER BY child.sequence)
        FROM messages AS child
        WHERE child.parent_id = path.parent_id
    ) END AS siblings,
    role, status, parts, metadata, path.created_at,
    CASE WHEN rating IS NOT NULL THEN jsonb_build_object('rating', rating, 'note', note) END
        AS feedback
FROM path LEFT JOIN message_feedback ON message_id = id
ORDER BY sequence

-- name: finish_message
-- The answer's final state; a run that was given up for dead may still set the record straight.
UPDATE messages SET status = %(status)s, parts = %(parts)s, metadata = %(metadata)s
WHERE id = %(id)s AND status IN ('streaming', 'interrupted')

-- name: set_model_title
-- A title made by a model never replaces a person's.
UPDATE conversations SET title = %(title)s, title_source = 'model'
WHERE id = %(id)s AND title_source = 'prompt'
RETURNING id

-- name: list_conversations
-- A page of the owner's conversations: the pinned ones, then the last used, each the newest first.
SELECT conversations.id, title, model, tags, pinned_at IS NOT NULL AS pinned,
       archived_at IS NOT NULL AS archived, created_at, updated_at, deleted_at,
       run.id AS active_run_id
FROM conversations
LEFT JOIN LATERAL (
    SELECT id FROM runs
    WHERE conversation_id = conversations.id AND closed_at IS NULL AND kind = 'chat'
    ORDER BY id DESC LIMIT 1
) AS run ON true
WHERE owner_id = %(owner_id)s AND deleted_at IS NULL
  AND num_nonnulls(archived_at) = %(archived)s::boolean::integer
  AND (%(tag)s::text IS NULL OR %(tag)s = ANY (tags))
  AND (%(before_time)s::timestamptz IS NULL
       OR (num_nonnulls(pinned_at), updated_at, conversations.id)
          < (%(before_pinned)s::boolean::integer, %(before_time)s, %(before_id)s))
ORDER BY num_nonnulls(pinned_at) DESC, updated_at DESC, conversations.id DESC
LIMIT %(limit)s

-- name: list_deleted_conversations
-- A page of the owner's conversations that can be restored, the last deleted first.
SELECT id, title, model, tags, pinned_at IS NOT NULL AS pinned,
       archived_at IS NOT NULL AS archived, created_at, updated_at, deleted_at,
       NULL AS active_run_id
FROM conversations
WHERE owner_id = %(owner_id)s AND deleted_at > now() - make_interval(secs => %(kept_for)s)
  AND (%(tag)s::text IS NULL OR %(tag)s = ANY (tags))
  AND (%(before_time)s::timestamptz IS NULL
       OR (deleted_at, id) < (%(before_time)s, %(before_id)s))
ORDER BY deleted_at DESC, id DESC
LIMIT %(limit)s

-- name: list_tags
-- A page of the tags of the owner's conversations, by name, with how many have each.
SELECT tag, count(*) AS conversations
FROM conversations CROSS JOIN unnest(tags) AS tag
WHERE owner_id = %(owner_id)s AND deleted_at IS NULL AND tags <> '{}'
  AND (%(after)s::text IS NULL OR tag COLLATE "C" > %(after)s::text)
GROUP BY tag
ORDER BY tag COLLATE "C"
LIMIT %(limit)s

-- name: find_conversation
-- One conversation of the owner.
SELECT conversations.id, title, model, tags, system_prompt, parameters,
       pinned_at IS NOT NULL AS pinned, archived_at IS NOT NULL AS archived,
       created_at, updated_at, deleted_at, active_leaf_id, run.id AS active_run_id
FROM conversations
LEFT JOIN LATERAL (
    SELECT id FROM runs
    WHERE conversation_id = conversations.id AND closed_at IS NULL AND kind = 'chat'
    ORDER BY id DESC LIMIT 1
) AS run ON true
WHERE conversations.id = %(id)s AND owner_id = %(owner_id)s AND deleted_at IS NULL

-- name: change_conversation
-- What a person sets; NULL leaves a field, except where a flag says that it was named.
UPDATE conversations SET
    title = coalesce(%(title)s::text, title),
    title_source = CASE WHEN %(title)s::text IS NULL THEN title_source ELSE 'user' END,
    model = coalesce(%(model)s::text, model),
    tags = coalesce(%(tags)s::text[], tags),
    system_prompt = CASE WHEN %(sets_system_prompt)s THEN %(system_prompt)s::text
                    ELSE system_prompt END,
    parameters = coalesce(%(parameters)s::jsonb, parameters),
    pinned_at = CASE WHEN %(pinned)s::boolean IS NULL THEN pinned_at
                WHEN %(pinned)s THEN coalesce(pinned_at, now()) END,
    archived_at = CASE WHEN %(archived)s::boolean IS NULL THEN archived_at
                  WHEN %(archived)s THEN coalesce(archived_at, now()) END
WHERE id = %(id)s AND owner_id = %(owner_id)s AND deleted_at IS NULL

-- name: delete_conversation
-- From here on it is hidden; maintain purges it later.
UPDATE conversations SET deleted_at = now()
WHERE id = %(id)s AND owner_id = %(owner_id)s AND deleted_at IS NULL
RETURNING id

-- name: restore_conversation
-- It comes back as it was.
UPDATE conversations SET deleted_at = NULL
WHERE id = %(id)s AND owner_id = %(owner_id)s
  AND deleted_at > now() - make_interval(secs => %(kept_for)s)

-- name: lock_conversation
-- One at a time changes a tree.
SELECT id, active_leaf_id FROM conversations
WHERE id = %(id)s AND owner_id = %(owner_id)s AND deleted_at IS NULL
FOR UPDATE

-- name: list_tree
-- What stands below what in a conversation, the oldest first, so that a parent comes before what is
-- below it. Read whole rather than walked: a walk is only as fast as the planner's idea of it.
SELECT messages.id, parent_id, client_message_id
FROM messages JOIN conversations ON conversations.id = conversation_id
WHERE conversation_id = %(id)s AND owner_id = %(owner_id)s
ORDER BY sequence

-- name: find_head
-- Where the branch that is shown ends.
SELECT coalesce(leaf.client_message_id, leaf.id::text) AS active_leaf_id, leaf.status,
       (SELECT runs.id FROM runs
        WHERE runs.conversation_id = conversations.id AND closed_at IS NULL AND kind = 'chat'
        ORDER BY runs.id DESC LIMIT 1) AS active_run_id
FROM conversations LEFT JOIN messages AS leaf ON leaf.id = active_leaf_id
WHERE conversations.id = %(id)s AND owner_id = %(owner_id)s AND deleted_at IS NULL

-- name: set_active_leaf
-- The branch that is shown, and continued.
UPDATE conversations SET active_leaf_id = %(leaf_id)s
WHERE id = %(id)s AND owner_id = %(owner_id)s

-- name: is_under_way
-- Whether one of these answers is.
SELECT EXISTS (SELECT FROM runs WHERE id = ANY (%(ids)s) AND closed_at IS NULL) AS found

-- name: delete_messages
-- A branch in one go: the cascade of a long one would be as deep.
DELETE FROM messages USING conversations
WHERE conversations.id = conversation_id AND owner_id = %(owner_id)s
  AND conversation_id = %(id)s AND messages.id = ANY (%(ids)s)

-- name: put_feedback
-- What the owner thinks of an answer; the lock waits for one who is deleting it.
INSERT INTO message_feedback (message_id, rating, note)
SELECT messages.id, %(rating)s, %(note)s
FROM messages JOIN conversations ON conversations.id = conversation_id
WHERE conversation_id = %(conversation_id)s AND owner_id = %(owner_id)s AND deleted_at IS NULL
  AND messages.id = %(message_id)s AND role = 'assistant'
FOR KEY SHARE OF messages
ON CONFLICT (message_id) DO UPDATE
SET rating = excluded.rating, note = excluded.note, updated_at = now()
RETURNING rating, note

-- name: delete_feedback
-- The owner takes it back.
DELETE FROM message_feedback USING messages, conversations
WHERE message_id = messages.id AND conversation_id = conversations.id
  AND conversation_id = %(conversation_id)s AND owner_id = %(owner_id)s AND deleted_at IS NULL
  AND messages.id = %(message_id)s
