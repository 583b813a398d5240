-- Search: the words of titles and messages, in tables of their own beside them.
--
-- Each text is indexed in one language, told by its function words; a query is read in every
-- language that its owner's texts are in, each time for the texts of that language. So an owner may
-- mix languages without naming one, and no word is stemmed by another language's rules. Triggers
-- keep the tables, so that whatever writes a message (a chat, an import, a recovery) has it found.

CREATE EXTENSION IF NOT EXISTS btree_gin;
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- Languages are text, not regconfig: pg_upgrade refuses tables that hold a regconfig.
CREATE TABLE search_titles (
    conversation_id uuid PRIMARY KEY REFERENCES conversations ON DELETE CASCADE,
    owner_id        uuid NOT NULL,
    language        text NOT NULL,
    created_at      timestamptz NOT NULL,
    lexemes         tsvector NOT NULL
);

CREATE TABLE search_messages (
    message_id      uuid PRIMARY KEY REFERENCES messages ON DELETE CASCADE,
    conversation_id uuid NOT NULL,
    owner_id        uuid NOT NULL,
    language        text NOT NULL,
    created_at      timestamptz NOT NULL,
    lexemes         tsvector NOT NULL
);

-- What a misspelt word of a query is compared with: every word of an owner's texts, stemmed.
-- Plain is the word in the letters that pg_trgm knows in any locale.
CREATE TABLE search_words (
    owner_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    word     text COLLATE "C" NOT NULL,
    PRIMARY KEY (owner_id, word)
);

-- Words that came with a text or went with it, until maintain has brought search_words up to date:
-- inside a chat's transaction, two chats of one owner could wait for each other's new words.
CREATE TABLE search_changes (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_id uuid NOT NULL,
    removed  boolean NOT NULL,
    words    text[] NOT NULL
);

-- A text as it is searched. Without the characters that mark highlights; with U+0001 for "<", since
-- the parser would pass over all that looks like a tag; and with U+001F around each letter of a
-- script that puts no space between words (Chinese, Japanese, Thai and others; Korean adds its
-- particles without one). Each letter is then a word, and a word of theirs a phrase.
CREATE FUNCTION search_text(said text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN octet_length(said) = length(said) THEN translate(said, E'<\x01\x02\x03\x1f', E'\x01')
    ELSE regexp_replace(
        translate(said, E'<\x01\x02\x03\x1f', E'\x01'),
        '[\u0E00-\u0EFF\u1000-\u109F\u1780-\u17FF\u3040-\u30FF\u3400-\u9FFF\uAC00-\uD7A3\uF900-\uFAFF]',
        E'\x1f\\&\x1f', 'g')
END;

-- The text of a message's parts, as far as it is searched: a tsvector holds at most 1 MB.
CREATE FUNCTION search_text(parts jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT search_text(left(string_agg(part ->> 'text', E'\n' ORDER BY place), 50000))
    FROM jsonb_array_elements(parts) WITH ORDINALITY AS list (part, place)
    WHERE part ->> 'type' = 'text'
);

-- The language whose function words a text uses most. A stemmer makes nothing of those, so its
-- dictionary tells them; a single one may be a word of another language. Without any, the script
-- tells, or else the text is taken for fallback.
CREATE FUNCTION search_language(said text, fallback text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(
    (SELECT language
     FROM unnest(tsvector_to_array(to_tsvector('simple', left(said, 500)))) AS word,
          unnest(ARRAY['english', 'german', 'french', 'spanish', 'italian', 'portuguese', 'dutch',
                       'russian', 'swedish', 'danish', 'norwegian', 'finnish', 'hungarian',
                       'turkish']) WITH ORDINALITY AS list (language, place)
     WHERE length(word) <= 6 AND ts_lexize((language || '_stem')::regdictionary, word) = '{}'
     GROUP BY language
     HAVING count(*) > 1 OR language = fallback
     ORDER BY count(*) DESC, language = fallback DESC, min(place)
     LIMIT 1),
    CASE
        WHEN octet_length(said) = length(said) THEN fallback
        WHEN said ~ '[\u0370-\u03FF]' THEN 'greek'
        WHEN said ~ '[\u0400-\u04FF]' THEN 'russian'
        WHEN said ~ '[\u0530-\u058F]' THEN 'armenian'
        WHEN said ~ '[\u0600-\u06FF]' THEN 'arabic'
        WHEN said ~ '[\u0900-\u097F]' THEN 'hindi'
        WHEN said ~ '[\u0B80-\u0BFF]' THEN 'tamil'
        ELSE fallback
    END);

-- Letters of a word as pg_trgm can tell them apart in a database whose LC_CTYPE is C.
CREATE FUNCTION search_plain(word text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN translate(
    word,
    'àáâãäåāăąæçćčďđèéêëēėęěğíîïìīıłñńňòóôõöøōőœŕřśšşșßťţțùúûüūůűýÿźżž'
    'абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґ'
    'αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώ',
    'aaaaaaaaaacccddeeeeeeeegiiiiiilnnnooooooooorrssssstttuuuuuuuyyzzz'
    'abvgdeejziiklmnoprstufxccwwqyqeuaiieg'
    'abgdezhqiklmnxoprsstufxcwaehiouw');

CREATE FUNCTION search_index_message(message messages) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    said text := search_text(message.parts);
    spoken text;
BEGIN
    IF said IS NULL OR said = '' THEN
        DELETE FROM search_messages WHERE message_id = message.id;
        RETURN;
    END IF;
    spoken := search_language(said, coalesce(
        (SELECT language FROM search_messages WHERE message_id = message.parent_id),
        (SELECT language FROM search_titles WHERE conversation_id = message.conversation_id),
        'english'));
    INSERT INTO search_messages
        (message_id, conversation_id, owner_id, language, created_at, lexemes)
    SELECT message.id, message.conversation_id, owner_id, spoken, message.created_at,
           to_tsvector(spoken::regconfig, said)
    FROM conversations WHERE id = message.conversation_id
    ON CONFLICT (message_id) DO UPDATE
    SET language = excluded.language, lexemes = excluded.lexemes;
END
$$;

CREATE FUNCTION search_index_title(conversation conversations) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    said text := search_text(conversation.title);
    spoken text := search_language(said, coalesce(
        (SELECT language FROM search_messages
         WHERE message_id = (SELECT id FROM messages WHERE conversation_id = conversation.id
                             ORDER BY sequence LIMIT 1)),
        'english'));
BEGIN
    INSERT INTO search_titles (conversation_id, owner_id, language, created_at, lexemes)
    VALUES (conversation.id, conversation.owner_id, spoken, conversation.created_at,
            to_tsvector(spoken::regconfig, said))
    ON CONFLICT (conversation_id) DO UPDATE
    SET language = excluded.language, lexemes = excluded.lexemes;
END
$$;

CREATE FUNCTION search_index_missing_title(p_conversation_id uuid) RETURNS void
LANGUAGE sql AS $$
    SELECT search_index_title(conversations)
    FROM conversations
    WHERE id = p_conversation_id
      AND NOT EXISTS (SELECT FROM search_titles WHERE conversation_id = conversations.id);
$$;

-- For whoever writes questions without answers: what of a conversation is not indexed yet.
CREATE FUNCTION search_index_rest(p_conversation_id uuid) RETURNS void
LANGUAGE sql AS $$
    SELECT search_index_message(messages)
    FROM messages
    WHERE conversation_id = p_conversation_id AND role = 'user' AND status <> 'streaming'
      AND NOT EXISTS (SELECT FROM search_messages WHERE message_id = messages.id)
    ORDER BY sequence;
    SELECT search_index_missing_title(p_conversation_id);
$$;

CREATE FUNCTION search_title_changed() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_index_title(NEW);
    RETURN NULL;
END
$$;

-- An answer has its question indexed with it, and the title that the question gave: before the
-- first token, nobody shall wait for that.
CREATE FUNCTION search_message_changed() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_index_message(messages)
    FROM messages
    WHERE id = NEW.parent_id AND role = 'user'
      AND NOT EXISTS (SELECT FROM search_messages WHERE message_id = messages.id);
    PERFORM search_index_missing_title(NEW.conversation_id);
    PERFORM search_index_message(NEW);
    RETURN NULL;
END
$$;

-- What counts as a word that may be misspelt.
CREATE FUNCTION search_is_word(lexeme text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lexeme ~ '^[[:alpha:]]{4,24}$';

CREATE FUNCTION search_words_of(lexemes tsvector) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(
    SELECT word FROM unnest(tsvector_to_array(lexemes)) AS word WHERE search_is_word(word)
);

CREATE FUNCTION search_note_words() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        -- With their owner, the words go anyhow.
        INSERT INTO search_changes (owner_id, removed, words)
        SELECT OLD.owner_id, true, search_words_of(OLD.lexemes)
        FROM users WHERE id = OLD.owner_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO search_changes (owner_id, removed, words)
        VALUES (NEW.owner_id, false, search_words_of(NEW.lexemes));
    END IF;
    RETURN NULL;
END
$$;

-- What is there already; what is being written waits, so that the triggers miss nothing.
LOCK TABLE conversations, messages IN SHARE ROW EXCLUSIVE MODE;

INSERT INTO search_messages (message_id, conversation_id, owner_id, language, created_at, lexemes)
SELECT messages.id, conversation_id, owner_id, spoken, messages.created_at,
       to_tsvector(spoken::regconfig, said)
FROM messages JOIN conversations ON conversations.id = conversation_id,
     LATERAL (SELECT search_text(parts) AS said OFFSET 0) AS text,
     LATERAL (SELECT search_language(said, 'english') AS spoken OFFSET 0) AS told
WHERE status <> 'streaming' AND said <> '';

INSERT INTO search_titles (conversation_id, owner_id, language, created_at, lexemes)
SELECT id, owner_id, spoken, created_at, to_tsvector(spoken::regconfig, search_text(title))
FROM conversations,
     LATERAL (SELECT search_language(search_text(title), coalesce(
         (SELECT language FROM search_messages
          WHERE message_id = (SELECT id FROM messages WHERE conversation_id = conversations.id
                              ORDER BY sequence LIMIT 1)),
         'english')) AS spoken OFFSET 0) AS told;

INSERT INTO search_words (owner_id, word)
SELECT owner_id, word
FROM (SELECT owner_id, unnest(tsvector_to_array(lexemes)) AS word FROM search_messages
      UNION
      SELECT owner_id, unnest(tsvector_to_array(lexemes)) FROM search_titles) AS used
WHERE search_is_word(word);

-- The owner stands in the index beside the words: what is read is one owner's part of each list.
-- Without a list of pending entries, no chat has to empty it for all, and no search to read it.
CREATE INDEX search_messages_lexemes_idx ON search_messages
    USING gin (owner_id, lexemes) WITH (fastupdate = off);
CREATE INDEX search_messages_newest_idx ON search_messages (owner_id, created_at, message_id);
CREATE INDEX search_messages_language_idx ON search_messages (owner_id, language);
CREATE INDEX search_messages_conversation_idx ON search_messages (conversation_id);
CREATE INDEX search_titles_lexemes_idx ON search_titles
    USING gin (owner_id, lexemes) WITH (fastupdate = off);
CREATE INDEX search_titles_language_idx ON search_titles (owner_id, language);
CREATE INDEX search_words_plain_idx ON search_words
    USING gin (owner_id, search_plain(word) gin_trgm_ops) WITH (fastupdate = off);

-- A tag leaves few of many conversations.
CREATE INDEX conversations_tags_idx ON conversations USING gin (owner_id, tags)
    WITH (fastupdate = off) WHERE tags <> '{}';

CREATE TRIGGER search_title AFTER UPDATE OF title ON conversations
    FOR EACH ROW EXECUTE FUNCTION search_title_changed();
CREATE TRIGGER search_answer AFTER INSERT ON messages
    FOR EACH ROW WHEN (NEW.role = 'assistant' AND NEW.status <> 'streaming')
    EXECUTE FUNCTION search_message_changed();
CREATE TRIGGER search_message AFTER UPDATE OF parts, status ON messages
    FOR EACH ROW WHEN (NEW.status <> 'streaming') EXECUTE FUNCTION search_message_changed();
CREATE TRIGGER search_words AFTER INSERT OR UPDATE OF lexemes OR DELETE ON search_messages
    FOR EACH ROW EXECUTE FUNCTION search_note_words();
CREATE TRIGGER search_words AFTER INSERT OR UPDATE OF lexemes OR DELETE ON search_titles
    FOR EACH ROW EXECUTE FUNCTION search_note_words();
