-- Conversations as their owner arranges them, and trees that grow other branches.

ALTER TABLE conversations
    ADD COLUMN system_prompt text,
    ADD COLUMN parameters jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}',
    ADD COLUMN pinned_at timestamptz,
    ADD COLUMN archived_at timestamptz,
    ADD COLUMN deleted_at timestamptz;

-- The order of the list: read backwards, the pinned ones come first, then the last used. Numbers,
-- since the planner makes of "(archived_at IS NOT NULL) = false" what no longer fits an index.
DROP INDEX conversations_owner_idx;
CREATE INDEX conversations_owner_idx ON conversations
    (owner_id, num_nonnulls(archived_at), num_nonnulls(pinned_at), updated_at, id);
CREATE INDEX conversations_deleted_list_idx ON conversations (owner_id, deleted_at, id)
    WHERE deleted_at IS NOT NULL;
CREATE INDEX conversations_deleted_at_idx ON conversations (deleted_at)
    WHERE deleted_at IS NOT NULL;
-- Without it, each message that is deleted would read every conversation.
CREATE INDEX conversations_active_leaf_idx ON conversations (active_leaf_id);

-- What its reader thought of an answer. The answer's id is its run's, and so its event's.
CREATE TABLE message_feedback (
    message_id uuid PRIMARY KEY REFERENCES messages ON DELETE CASCADE,
    rating     text NOT NULL CHECK (rating IN ('up', 'down')),
    note       text CHECK (char_length(note) <= 2000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- A turn in one round trip, since it stands before every first token: locks the conversation (or
-- makes it), finds out whether the user message was seen before, and writes the message, its empty
-- answer and the run. VOLATILE, so that what follows the lock sees what was committed before it.
--
-- A message is known by the id its client gave it, or by its own; those are the _uuid parameters,
-- where the text is one. With p_branches the message goes below p_parent (NULL: it is a root),
-- else below the active leaf. With p_known it must have been seen before.
--
-- Returns no row when there is no such conversation of this owner, and "refused" when there is no
-- such parent or message, or when the message's id is an answer's; nothing is written then. "seen"
-- tells that the message has an answer already (returned, nothing written); else "branch" holds
-- role and parts of the messages up to and with the user's, oldest first. The parameters with a
-- default came later: a function deployed before them calls without.
DROP FUNCTION begin_turn(
    uuid, uuid, text, text, text, jsonb, boolean, uuid, uuid, text, text, text, text, timestamptz);
CREATE FUNCTION begin_turn(
    p_owner_id uuid, p_conversation_id uuid, p_title text, p_model text,
    p_client_message_id text, p_parts jsonb, p_again boolean,
    p_user_message_id uuid, p_answer_id uuid,
    p_provider_name text, p_request_model text, p_request_id text, p_input_preview text,
    p_started_at timestamptz,
    p_message_uuid uuid DEFAULT NULL, p_known boolean DEFAULT false,
    p_branches boolean DEFAULT false, p_parent text DEFAULT NULL, p_parent_uuid uuid DEFAULT NULL
) RETURNS TABLE (
    refused text, seen boolean, is_first boolean, user_message_id uuid, answer_id uuid,
    status text, parts jsonb, metadata jsonb, branch jsonb, system_prompt text, parameters jsonb
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    conversation conversations;
    question messages;
    answer messages;
    parent uuid;
    next_sequence bigint;
    is_new boolean := false;
BEGIN
    -- Not "=", for which the planner may take the index of the owner's list and read all of it.
    SELECT * INTO conversation FROM conversations
    WHERE id = p_conversation_id AND owner_id IS NOT DISTINCT FROM p_owner_id FOR UPDATE;
    IF NOT FOUND THEN
        IF p_known OR p_parent IS NOT NULL THEN
            RETURN;
        END IF;
        -- With its first turn in it already, which saves the update of a row just made.
        INSERT INTO conversations
            (id, owner_id, title, title_source, model, active_leaf_id, last_sequence)
        VALUES (p_conversation_id, p_owner_id, p_title, 'prompt', p_model, p_answer_id, 2)
        ON CONFLICT (id) DO NOTHING;
        is_new := FOUND;
        IF NOT is_new THEN
            -- The id is in use: by a parallel first turn of this owner, or by somebody else.
            SELECT * INTO conversation FROM conversations
            WHERE id = p_conversation_id AND owner_id = p_owner_id FOR UPDATE;
            IF NOT FOUND THEN
                RETURN;
            END IF;
        END IF;
    END IF;
    IF conversation.deleted_at IS NOT NULL THEN
        RETURN;
    END IF;
    -- Of a new conversation nothing was selected: its columns here are NULL.
    is_first := coalesce(conversation.last_sequence, 0) = 0;
    next_sequence := coalesce(conversation.last_sequence, 0) + 1;
    system_prompt := conversation.system_prompt;
    parameters := coalesce(conversation.parameters, '{}');

    IF NOT is_new THEN
        SELECT * INTO question FROM messages
        WHERE conversation_id = p_conversation_id AND client_message_id = p_client_message_id;
        IF NOT FOUND AND p_message_uuid IS NOT NULL THEN
            SELECT * INTO question FROM messages
            WHERE id = p_message_uuid AND conversation_id = p_conversation_id;
        END IF;
    END IF;
    IF question.role = 'assistant' OR (p_known AND question.id IS NULL) THEN
        refused := 'message';
        RETURN NEXT;
        RETURN;
    END IF;
    IF question.id IS NOT NULL THEN
        SELECT * INTO answer FROM messages
        WHERE parent_id = question.id AND role = 'assistant' ORDER BY sequence DESC LIMIT 1;
        IF FOUND AND (answer.status = 'streaming' OR NOT p_again) THEN
            RETURN QUERY SELECT NULL, true, is_first, question.id, answer.id, answer.status,
                                answer.parts, answer.metadata, NULL::jsonb, system_prompt,
                                parameters;
            RETURN;
        END IF;
    ELSE
        parent := conversation.active_leaf_id;
        IF p_branches THEN
            SELECT id INTO parent FROM messages
            WHERE conversation_id = p_conversation_id AND client_message_id = p_parent;
            IF NOT FOUND AND p_parent IS NOT NULL THEN
                SELECT id INTO parent FROM messages
                WHERE id = p_parent_uuid AND conversation_id = p_conversation_id;
                IF NOT FOUND THEN
                    refused := 'parent';
                    RETURN NEXT;
                    RETURN;
                END IF;
            END IF;
        END IF;
        INSERT INTO messages
            (id, conversation_id, parent_id, sequence, role, status, parts, client_message_id)
        VALUES (p_user_message_id, p_conversation_id, parent, next_sequence,
                'user', 'complete', p_parts, p_client_message_id)
        RETURNING * INTO question;
        next_sequence := next_sequence + 1;
    END IF;
    INSERT INTO messages (id, conversation_id, parent_id, sequence, role, status, parts)
    VALUES (p_answer_id, p_conversation_id, question.id, next_sequence, 'assistant', 'streaming',
            '[]');
    IF NOT is_new THEN
        UPDATE conversations
        SET active_leaf_id = p_answer_id, last_sequence = next_sequence, model = p_model,
            updated_at = now()
        WHERE id = p_conversation_id;
    END IF;
    INSERT INTO runs
        (id, kind, owner_id, conversation_id, provider_name, request_model, request_id,
         input_preview, started_at)
    VALUES (p_answer_id, 'chat', p_owner_id, p_conversation_id, p_provider_name, p_request_model,
            p_request_id, p_input_preview, p_started_at);

    RETURN QUERY
    WITH RECURSIVE path AS (
        SELECT messages.* FROM messages WHERE id = question.id
        UNION ALL
        -- LIMIT makes it a look-up each, also in a plan that was made when the table was small.
        SELECT above.* FROM path
        CROSS JOIN LATERAL (SELECT * FROM messages WHERE id = path.parent_id LIMIT 1) AS above
    )
    SELECT NULL, false, is_first, question.id, p_answer_id, 'streaming', '[]'::jsonb, '{}'::jsonb,
           jsonb_agg(jsonb_build_object('role', path.role, 'parts', path.parts)
                     ORDER BY path.sequence),
           system_prompt, parameters
    FROM path;
END
$$;
