-- Conversations, their trees of messages, and the model calls that are under way.

CREATE TABLE conversations (
    id             uuid PRIMARY KEY,
    owner_id       uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    title          text NOT NULL,
    title_source   text NOT NULL CHECK (title_source IN ('prompt', 'model', 'user')),
    model          text NOT NULL,
    active_leaf_id uuid,
    last_sequence  bigint NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX conversations_owner_idx ON conversations (owner_id, updated_at DESC, id DESC);

CREATE TABLE messages (
    id                uuid PRIMARY KEY,
    conversation_id   uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    parent_id         uuid REFERENCES messages ON DELETE CASCADE,
    sequence          bigint NOT NULL,
    role              text NOT NULL CHECK (role IN ('user', 'assistant')),
    status            text NOT NULL
                      CHECK (status IN ('complete', 'streaming', 'error', 'cancelled', 'interrupted')),
    parts             jsonb NOT NULL,
    metadata          jsonb NOT NULL DEFAULT '{}',
    client_message_id text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (conversation_id, sequence),
    UNIQUE (conversation_id, client_message_id)
);

CREATE INDEX messages_parent_id_idx ON messages (parent_id);

ALTER TABLE conversations
    ADD FOREIGN KEY (active_leaf_id) REFERENCES messages DEFERRABLE INITIALLY DEFERRED;

-- A row lives from before a model is called until the call's event is in inference_log. It is open
-- until the call has ended; what a process that died left open, maintain closes. Closed, it holds
-- the event until ingestion has it: what the queue lost, maintain sends again.
-- A guest's call has no conversation row: owner_id and conversation_id are not references.
CREATE TABLE runs (
    id                  uuid PRIMARY KEY,
    kind                text NOT NULL,
    owner_id            uuid NOT NULL,
    conversation_id     uuid,
    provider_name       text NOT NULL,
    request_model       text NOT NULL,
    request_id          text,
    input_preview       text,
    started_at          timestamptz NOT NULL,
    cancel_requested_at timestamptz,
    closed_at           timestamptz,
    event               bytea
);

CREATE INDEX runs_conversation_idx ON runs (conversation_id) WHERE closed_at IS NULL;
CREATE INDEX runs_started_at_idx ON runs (started_at) WHERE closed_at IS NULL;
CREATE INDEX runs_closed_at_idx ON runs (closed_at) WHERE closed_at IS NOT NULL;

-- A turn in one round trip, since it stands before every first token: locks the conversation (or
-- makes it), finds out whether the user message was seen before, and writes the message, its empty
-- answer and the run. VOLATILE, so that what follows the lock sees what was committed before it.
--
-- Returns no row when the conversation is somebody else's. "seen" tells that the message has an
-- answer already (returned, nothing written); else "branch" holds role and parts of the messages
-- up to and with the user's, oldest first.
CREATE FUNCTION begin_turn(
    p_owner_id uuid, p_conversation_id uuid, p_title text, p_model text,
    p_client_message_id text, p_parts jsonb, p_again boolean,
    p_user_message_id uuid, p_answer_id uuid,
    p_provider_name text, p_request_model text, p_request_id text, p_input_preview text,
    p_started_at timestamptz
) RETURNS TABLE (
    seen boolean, is_first boolean, user_message_id uuid, answer_id uuid,
    status text, parts jsonb, metadata jsonb, branch jsonb
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    conversation conversations;
    question messages;
    answer messages;
    next_sequence bigint;
BEGIN
    SELECT * INTO conversation FROM conversations
    WHERE id = p_conversation_id AND owner_id = p_owner_id FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO conversations (id, owner_id, title, title_source, model)
        VALUES (p_conversation_id, p_owner_id, p_title, 'prompt', p_model)
        ON CONFLICT (id) DO NOTHING
        RETURNING * INTO conversation;
        IF NOT FOUND THEN
            -- The id is in use: by a parallel first turn of this owner, or by somebody else.
            SELECT * INTO conversation FROM conversations
            WHERE id = p_conversation_id AND owner_id = p_owner_id FOR UPDATE;
            IF NOT FOUND THEN
                RETURN;
            END IF;
        END IF;
    END IF;
    is_first := conversation.last_sequence = 0;
    next_sequence := conversation.last_sequence + 1;

    SELECT * INTO question FROM messages
    WHERE conversation_id = p_conversation_id AND client_message_id = p_client_message_id;
    IF FOUND THEN
        SELECT * INTO answer FROM messages
        WHERE parent_id = question.id ORDER BY sequence DESC LIMIT 1;
        IF answer.status = 'streaming' OR NOT p_again THEN
            RETURN QUERY SELECT true, is_first, question.id, answer.id,
                                answer.status, answer.parts, answer.metadata, NULL::jsonb;
            RETURN;
        END IF;
    ELSE
        INSERT INTO messages
            (id, conversation_id, parent_id, sequence, role, status, parts, client_message_id)
        VALUES (p_user_message_id, p_conversation_id, conversation.active_leaf_id, next_sequence,
                'user', 'complete', p_parts, p_client_message_id)
        RETURNING * INTO question;
        next_sequence := next_sequence + 1;
    END IF;
    INSERT INTO messages (id, conversation_id, parent_id, sequence, role, status, parts)
    VALUES (p_answer_id, p_conversation_id, question.id, next_sequence, 'assistant', 'streaming',
            '[]');
    UPDATE conversations
    SET active_leaf_id = p_answer_id, last_sequence = next_sequence, model = p_model,
        updated_at = now()
    WHERE id = p_conversation_id;
    INSERT INTO runs
        (id, kind, owner_id, conversation_id, provider_name, request_model, request_id,
         input_preview, started_at)
    VALUES (p_answer_id, 'chat', p_owner_id, p_conversation_id, p_provider_name, p_request_model,
            p_request_id, p_input_preview, p_started_at);

    RETURN QUERY
    WITH RECURSIVE path AS (
        SELECT messages.* FROM messages WHERE id = question.id
        UNION ALL
        SELECT messages.* FROM messages JOIN path ON messages.id = path.parent_id
    )
    SELECT false, is_first, question.id, p_answer_id, 'streaming', '[]'::jsonb, '{}'::jsonb,
           jsonb_agg(jsonb_build_object('role', path.role, 'parts', path.parts)
                     ORDER BY path.sequence)
    FROM path;
END
$$;
