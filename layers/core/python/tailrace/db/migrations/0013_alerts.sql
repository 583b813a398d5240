-- Alerts: rules, what each of them found last, what became of it, and who is still to be told.

-- Rules of the settings are copied here by maintenance; an admin changes only the others. A rule
-- that was deleted stays until maintenance has ended what it had set off.
CREATE TABLE alert_rules (
    id                uuid PRIMARY KEY,
    source            text NOT NULL CHECK (source IN ('settings', 'api')),
    name              text NOT NULL,
    kind              text NOT NULL,
    threshold         double precision NOT NULL,
    resolve_threshold double precision,
    window_seconds    integer NOT NULL,
    for_seconds       integer NOT NULL,
    minimum_calls     integer NOT NULL,
    severity          text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    provider_name     text,
    request_model     text,
    enabled           boolean NOT NULL,
    silenced_until    timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    deleted_at        timestamptz,
    evaluated_at      timestamptz,
    -- Why its numbers could not be read the last time.
    problem           text
);

CREATE UNIQUE INDEX alert_rules_name_key ON alert_rules (source, name) WHERE deleted_at IS NULL;

-- What a rule found about a subject: '' for what it is about, 'numbers' for whether these can be
-- read at all, or a user's id. Users that are well have no row. There is no reference to users,
-- since whoever goes and whoever evaluates would wait for each other.
CREATE TABLE alert_states (
    rule_id    uuid NOT NULL REFERENCES alert_rules ON DELETE CASCADE,
    subject    text NOT NULL,
    state      text NOT NULL CHECK (state IN ('ok', 'pending', 'firing', 'resolved')),
    since      timestamptz NOT NULL,
    value      double precision,
    -- What tells one alert from the next of the same rule, while it is pending, fires and ends.
    alert_id   uuid,
    -- Somebody was to be told that it fires.
    is_told    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (rule_id, subject)
);

-- Every change of a state, told by the rule as it was.
CREATE TABLE alert_events (
    id          uuid PRIMARY KEY,
    at          timestamptz NOT NULL,
    rule_id     uuid NOT NULL,
    alert_id    uuid NOT NULL,
    rule_name   text NOT NULL,
    kind        text NOT NULL,
    severity    text NOT NULL,
    subject     text NOT NULL,
    state       text NOT NULL CHECK (state IN ('ok', 'pending', 'firing', 'resolved')),
    value       double precision,
    threshold   double precision NOT NULL,
    window_seconds integer NOT NULL,
    problem     text,
    is_silenced boolean NOT NULL
);

CREATE INDEX alert_events_at_idx ON alert_events (at DESC, id DESC);
CREATE INDEX alert_events_rule_idx ON alert_events (rule_id, at DESC, id DESC);

-- An event on its way to a target of the settings. The id is the same at every attempt.
CREATE TABLE alert_deliveries (
    id           uuid PRIMARY KEY,
    event_id     uuid NOT NULL REFERENCES alert_events ON DELETE CASCADE,
    target       text NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    due_at       timestamptz,
    expires_at   timestamptz NOT NULL,
    delivered_at timestamptz,
    last_error   text
);

CREATE INDEX alert_deliveries_due_at_idx ON alert_deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX alert_deliveries_event_idx ON alert_deliveries (event_id);

-- A user who is deleted is no longer told of.
CREATE FUNCTION forget_alerts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM alert_states WHERE subject = OLD.id::text;
    UPDATE alert_events SET subject = 'deleted' WHERE subject = OLD.id::text;
    RETURN NULL;
END
$$;

CREATE TRIGGER users_forget_alerts
AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION forget_alerts();

CREATE INDEX alert_events_subject_idx ON alert_events (subject) WHERE length(subject) = 36;
