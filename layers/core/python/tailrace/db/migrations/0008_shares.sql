-- Conversations that others may read, conversations that came from elsewhere, and accounts that are
-- gone.

-- A link to one branch as it was: the messages from the root to the one that was shared. Whatever
-- is deleted later is no longer seen, whatever is written later never is. Only the SHA-256 of the
-- token is kept; it is random enough to need no salt. The hint is its beginning, for its owner to
-- tell links apart.
CREATE TABLE shares (
    id              uuid PRIMARY KEY,
    owner_id        uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    token_hash      bytea NOT NULL,
    token_hint      text NOT NULL,
    title           text NOT NULL,
    message_ids     uuid[] NOT NULL CHECK (cardinality(message_ids) > 0),
    shown_name      text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz
);

CREATE UNIQUE INDEX shares_token_hash_key ON shares (token_hash);
CREATE INDEX shares_conversation_idx ON shares (conversation_id, created_at, id);
CREATE INDEX shares_owner_id_idx ON shares (owner_id);

-- What was imported, under the name that it has where it came from: importing it again makes
-- nothing. Deferred, since the row decides whether its conversation is made at all.
CREATE TABLE imports (
    owner_id        uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    source          text NOT NULL,
    source_id       text NOT NULL,
    conversation_id uuid NOT NULL
                    REFERENCES conversations ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    imported_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner_id, source, source_id)
);

CREATE INDEX imports_conversation_id_idx ON imports (conversation_id);

-- Owners whose account was deleted. Their events may still be on the way: maintain takes the person
-- out of those as they arrive.
CREATE TABLE erased_owners (
    owner_id  uuid PRIMARY KEY,
    erased_at timestamptz NOT NULL DEFAULT now()
);
