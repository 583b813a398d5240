-- Files that people attach to messages: a row for each, its bytes in a store outside the database.

-- The same bytes of one owner are one row. 'pending' until the bytes are there and were looked at.
-- purge_at tells when to look whether a message still uses it; NULL while one is known to.
-- writable_until tells for how long somebody may still be writing the bytes. Of a PDF that was read
-- there is its text, or the class of why there is none.
CREATE TABLE attachments (
    id             uuid PRIMARY KEY,
    owner_id       uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    sha256         bytea NOT NULL CHECK (octet_length(sha256) = 32),
    media_type     text NOT NULL,
    filename       text,
    size           bigint NOT NULL CHECK (size > 0),
    state          text NOT NULL CHECK (state IN ('pending', 'ready')),
    extracted_text text,
    text_problem   text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    writable_until timestamptz NOT NULL,
    purge_at       timestamptz,
    UNIQUE (owner_id, sha256)
);

CREATE INDEX attachments_purge_at_idx ON attachments (purge_at) WHERE purge_at IS NOT NULL;

-- Which message uses which file. Deferred, since an account takes both with it, in whichever order.
CREATE TABLE message_attachments (
    message_id    uuid NOT NULL REFERENCES messages ON DELETE CASCADE,
    attachment_id uuid NOT NULL REFERENCES attachments DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (message_id, attachment_id)
);

CREATE INDEX message_attachments_attachment_idx ON message_attachments (attachment_id);

-- Rows that went: their bytes are still to be deleted from the store, and once more after `until`,
-- when nobody can write them any longer.
CREATE TABLE deleted_attachments (
    id      uuid PRIMARY KEY,
    until   timestamptz NOT NULL,
    next_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX deleted_attachments_next_at_idx ON deleted_attachments (next_at);

-- Whatever writes a message links the files it names, each of which its owner must have. Parts of
-- answers that are written later name none: no model sends files of ours.
CREATE FUNCTION link_attachments() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    named uuid[];
    found bigint;
BEGIN
    SELECT array_agg(DISTINCT match[1]::uuid) INTO named
    FROM jsonb_array_elements(NEW.parts) AS part
    CROSS JOIN LATERAL regexp_match(
        part->>'url', '^/api/attachments/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/content$'
    ) AS match
    WHERE part->>'type' = 'file' AND match IS NOT NULL;
    IF named IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE attachments SET purge_at = NULL
    WHERE id = ANY (named) AND state = 'ready'
      AND owner_id = (SELECT owner_id FROM conversations WHERE id = NEW.conversation_id);
    GET DIAGNOSTICS found = ROW_COUNT;
    IF found < cardinality(named) THEN
        RAISE EXCEPTION 'a file of the message is not there' USING ERRCODE = 'TR404';
    END IF;
    INSERT INTO message_attachments (message_id, attachment_id) SELECT NEW.id, unnest(named);
    RETURN NULL;
END
$$;

CREATE TRIGGER messages_link_attachments AFTER INSERT ON messages
    FOR EACH ROW WHEN (NEW.parts @> '[{"type": "file"}]') EXECUTE FUNCTION link_attachments();

-- One that was offered to be used anew since keeps the time it was given.
CREATE FUNCTION unlink_attachment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE attachments SET purge_at = coalesce(purge_at, now()) WHERE id = OLD.attachment_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER message_attachments_unlink AFTER DELETE ON message_attachments
    FOR EACH ROW EXECUTE FUNCTION unlink_attachment();

-- However a row goes, its bytes follow.
CREATE FUNCTION forget_attachment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deleted_attachments (id, until)
    VALUES (OLD.id, greatest(OLD.writable_until, now()));
    RETURN NULL;
END
$$;

CREATE TRIGGER attachments_forget AFTER DELETE ON attachments
    FOR EACH ROW EXECUTE FUNCTION forget_attachment();
