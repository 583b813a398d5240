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

-- A row lives from before a model is called until the call's event is safe: whatever is left here
-- by a process that died is found by maintain, so no call goes unrecorded.
-- A guest's call has no conversation row: owner_id and conversation_id are not references.
CREATE TABLE active_runs (
    id                  uuid PRIMARY KEY,
    kind                text NOT NULL,
    owner_id            uuid NOT NULL,
    conversation_id     uuid,
    provider_name       text NOT NULL,
    request_model       text NOT NULL,
    request_id          text,
    input_preview       text,
    started_at          timestamptz NOT NULL,
    cancel_requested_at timestamptz
);

CREATE INDEX active_runs_conversation_idx ON active_runs (conversation_id);
CREATE INDEX active_runs_started_at_idx ON active_runs (started_at);
