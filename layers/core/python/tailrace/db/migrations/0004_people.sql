-- People: addresses that were proven, accounts that are disabled, sessions that can be told apart,
-- API keys, accounts at identity providers, and lost passwords.

ALTER TABLE users
    -- Somebody who signs in through an identity provider has none.
    ALTER COLUMN password_hash DROP NOT NULL,
    -- When the person proved to own the address; before, anybody may have typed it.
    ADD COLUMN email_verified_at timestamptz,
    ADD COLUMN disabled_at timestamptz;

CREATE INDEX users_created_at_idx ON users (created_at, id);

-- The default serves functions of the version before, which know no id.
ALTER TABLE sessions
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN last_used_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN user_agent text;

CREATE UNIQUE INDEX sessions_id_key ON sessions (id);

-- Only the SHA-256 of a key is kept; it is random enough to need no salt.
CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name         text NOT NULL,
    prefix       text NOT NULL,
    key_hash     bytea NOT NULL,
    scopes       text[] NOT NULL
                 CHECK (cardinality(scopes) > 0
                        AND scopes <@ ARRAY['chat', 'read', 'write', 'metrics', 'admin']),
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    expires_at   timestamptz
);

CREATE UNIQUE INDEX api_keys_key_hash_key ON api_keys (key_hash);
CREATE INDEX api_keys_user_id_idx ON api_keys (user_id, created_at, id);

-- A person as an identity provider knows them.
CREATE TABLE identities (
    issuer     text NOT NULL,
    subject    text NOT NULL,
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject)
);

CREATE INDEX identities_user_id_idx ON identities (user_id);

-- Requests for a reset link, whether or not anybody has the address: who asks is answered before
-- that is looked up, and so learns nothing. `maintain` sends the links.
CREATE TABLE password_reset_requests (
    id           uuid PRIMARY KEY,
    email        text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    due_at       timestamptz NOT NULL DEFAULT now(),
    attempts     smallint NOT NULL DEFAULT 0
);

CREATE INDEX password_reset_requests_due_at_idx ON password_reset_requests (due_at);

-- Links that were sent, by the SHA-256 of their token; using one deletes it.
CREATE TABLE password_resets (
    token_hash bytea PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

CREATE INDEX password_resets_user_id_idx ON password_resets (user_id);
CREATE INDEX password_resets_expires_at_idx ON password_resets (expires_at);
