-- Dead letters that can be tried again, and events of a newer release that wait for it.

ALTER TABLE inference_dead_letters
    -- Of a parked event: whole and perhaps sound, but of a shape that this release cannot read.
    ADD COLUMN schema_version      integer,
    -- Ingestion takes it at its next turn.
    ADD COLUMN replay_requested_at timestamptz;

CREATE INDEX inference_dead_letters_replay_idx ON inference_dead_letters (id)
    WHERE replay_requested_at IS NOT NULL;
CREATE INDEX inference_dead_letters_parked_idx ON inference_dead_letters (schema_version)
    WHERE schema_version IS NOT NULL;
