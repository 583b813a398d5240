-- Inference events: where they wait, where they rest, and where the unusable ones are kept.

-- Events that the queue could not take; ingestion drains them like the queue.
CREATE TABLE telemetry_outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payload    bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Columns carry the names of tailrace.telemetry.event.InferenceEvent.
CREATE TABLE inference_log (
    id                       uuid NOT NULL,
    started_at               timestamptz NOT NULL,
    ingested_at              timestamptz NOT NULL DEFAULT now(),
    kind                     text NOT NULL,
    status                   text NOT NULL,
    owner_id                 uuid,
    conversation_id          uuid,
    request_id               text,
    operation_name           text NOT NULL,
    provider_name            text NOT NULL,
    request_model            text NOT NULL,
    response_model           text,
    response_id              text,
    finish_reasons           text[] NOT NULL DEFAULT '{}',
    error_type               text,
    error_message            text,
    duration                 double precision NOT NULL,
    time_to_first_chunk      double precision,
    time_per_output_chunk    double precision,
    input_tokens             bigint,
    cache_read_input_tokens  bigint,
    cache_write_input_tokens bigint,
    output_tokens            bigint,
    reasoning_output_tokens  bigint,
    usage_estimated          boolean NOT NULL DEFAULT false,
    cost_usd                 numeric(20, 12),
    unpriced                 boolean NOT NULL DEFAULT false,
    price_version            text,
    attempts                 integer NOT NULL DEFAULT 1,
    fallback_from            text,
    cold_start               boolean NOT NULL DEFAULT false,
    input_preview            text,
    output_preview           text,
    metadata                 jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (id, started_at)
) PARTITION BY RANGE (started_at);

CREATE INDEX inference_log_started_at_idx ON inference_log (started_at DESC, id DESC);
CREATE INDEX inference_log_owner_idx ON inference_log (owner_id, started_at DESC, id DESC);
CREATE INDEX inference_log_conversation_idx ON inference_log (conversation_id);

-- The home of events whose day has no partition: late, or dated in the future.
CREATE TABLE inference_log_default PARTITION OF inference_log DEFAULT;

CREATE TABLE inference_dead_letters (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source        text NOT NULL,
    source_id     text NOT NULL,
    reason        text NOT NULL,
    payload       bytea NOT NULL,
    attempts      integer NOT NULL DEFAULT 1,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (source, source_id)
);
