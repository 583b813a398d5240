-- What ends whoever tries it is counted before it is tried; a dead letter is kept once.

ALTER TABLE telemetry_outbox
    -- Tries that nobody has been heard of since.
    ADD COLUMN claims integer NOT NULL DEFAULT 0;

ALTER TABLE inference_dead_letters
    -- The same, of tries since a replay was asked for.
    ADD COLUMN claims   integer NOT NULL DEFAULT 0,
    -- Of what was never read: the id that it begins with. With a call of that id it has landed.
    ADD COLUMN event_id uuid,
    -- The same event may come by queue and outbox, and by each of them twice.
    ADD COLUMN digest   bytea NOT NULL GENERATED ALWAYS AS (sha256(payload)) STORED;

WITH merged AS (
    SELECT min(id) AS id, digest, sum(attempts) AS attempts, min(first_seen_at) AS first_seen_at,
           max(last_seen_at) AS last_seen_at, max(replay_requested_at) AS replay_requested_at
    FROM inference_dead_letters
    GROUP BY digest
    HAVING count(*) > 1
), forgotten AS (
    DELETE FROM inference_dead_letters AS letter USING merged
    WHERE letter.digest = merged.digest AND letter.id <> merged.id
)
UPDATE inference_dead_letters AS letter
SET attempts = merged.attempts,
    first_seen_at = merged.first_seen_at,
    last_seen_at = merged.last_seen_at,
    replay_requested_at = merged.replay_requested_at
FROM merged
WHERE letter.id = merged.id;

ALTER TABLE inference_dead_letters
    DROP CONSTRAINT inference_dead_letters_source_source_id_key,
    ADD CONSTRAINT inference_dead_letters_digest_key UNIQUE (digest);

CREATE INDEX inference_dead_letters_event_idx ON inference_dead_letters (event_id)
    WHERE event_id IS NOT NULL;
