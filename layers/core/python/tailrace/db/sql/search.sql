-- name: configure
-- For this transaction: a plan for each owner, since one for all would suit few, and bitmaps that
-- stay exact for an owner with very many messages.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('jit', 'off', true),
       set_config('work_mem', '32MB', true)

-- name: read_query
-- The query in each language of the owner's texts, where it says something in that language.
WITH RECURSIVE spoken AS (
    (SELECT language FROM search_messages WHERE owner_id = %(owner_id)s ORDER BY language LIMIT 1)
    UNION ALL
    SELECT (SELECT language FROM search_messages
            WHERE owner_id = %(owner_id)s AND language > spoken.language
            ORDER BY language LIMIT 1)
    FROM spoken WHERE language IS NOT NULL
), titled AS (
    (SELECT language FROM search_titles WHERE owner_id = %(owner_id)s ORDER BY language LIMIT 1)
    UNION ALL
    SELECT (SELECT language FROM search_titles
            WHERE owner_id = %(owner_id)s AND language > titled.language
            ORDER BY language LIMIT 1)
    FROM titled WHERE language IS NOT NULL
)
SELECT language, query::text
FROM (SELECT language FROM spoken UNION SELECT language FROM titled) AS used,
     websearch_to_tsquery(language::regconfig, %(text)s) AS query
WHERE language IS NOT NULL AND numnode(query) > 0

-- name: find_titles
-- The newest conversations of the owner whose titles match, ranked.
WITH asked AS (
    SELECT array_agg(language) AS languages, query
    FROM unnest(%(languages)s::text[], %(queries)s::text[]::tsquery[]) AS asked (language, query)
    GROUP BY query
)
SELECT conversation_id AS id, found.created_at, ts_rank(lexemes, query, 1) AS rank
FROM asked JOIN search_titles AS found
    ON found.language = ANY (languages) AND lexemes @@ query
JOIN conversations ON conversations.id = conversation_id
WHERE found.owner_id = %(owner_id)s AND conversations.owner_id = %(owner_id)s
  AND deleted_at IS NULL
  AND (%(tag)s::text IS NULL OR tags @> ARRAY[%(tag)s::text])
  AND (%(model)s::text IS NULL OR model = %(model)s)
  AND found.created_at >= %(start)s AND found.created_at < %(end)s
  AND (found.created_at, conversation_id) < (%(before_time)s, %(before_id)s)
ORDER BY found.created_at DESC, conversation_id DESC
LIMIT %(window)s

-- name: find_recent_messages
-- The newest messages of the owner that match, ranked, as far as they are among the newest that
-- there are: how a word that stands in many of them is found.
WITH asked AS (
    SELECT array_agg(language) AS languages, query
    FROM unnest(%(languages)s::text[], %(queries)s::text[]::tsquery[]) AS asked (language, query)
    GROUP BY query
)
SELECT message_id AS id, recent.created_at, ts_rank(lexemes, query, 1) AS rank
FROM (
    SELECT message_id, conversation_id, language, created_at, lexemes
    FROM search_messages
    WHERE owner_id = %(owner_id)s
      AND created_at >= %(start)s AND created_at < %(end)s
      AND (created_at, message_id) < (%(before_time)s, %(before_id)s)
    ORDER BY created_at DESC, message_id DESC
    LIMIT %(recent)s
) AS recent
JOIN asked ON recent.language = ANY (languages) AND lexemes @@ query
JOIN conversations ON conversations.id = conversation_id
WHERE owner_id = %(owner_id)s AND deleted_at IS NULL
  AND (%(tag)s::text IS NULL OR tags @> ARRAY[%(tag)s::text])
  AND (%(model)s::text IS NULL OR model = %(model)s)
ORDER BY recent.created_at DESC, message_id DESC
LIMIT %(window)s

-- name: find_messages
-- The newest messages of the owner that match, ranked, from all there are: how a word that stands
-- in few of them is found.
WITH asked AS (
    SELECT array_agg(language) AS languages, query
    FROM unnest(%(languages)s::text[], %(queries)s::text[]::tsquery[]) AS asked (language, query)
    GROUP BY query
), found AS MATERIALIZED (
    SELECT message_id, conversation_id, created_at
    FROM asked JOIN search_messages ON language = ANY (languages) AND lexemes @@ query
    WHERE owner_id = %(owner_id)s
      AND created_at >= %(start)s AND created_at < %(end)s
      AND (created_at, message_id) < (%(before_time)s, %(before_id)s)
), newest AS (
    SELECT message_id
    FROM found JOIN conversations ON conversations.id = conversation_id
    WHERE owner_id = %(owner_id)s AND deleted_at IS NULL
      AND (%(tag)s::text IS NULL OR tags @> ARRAY[%(tag)s::text])
      AND (%(model)s::text IS NULL OR model = %(model)s)
    ORDER BY found.created_at DESC, message_id DESC
    LIMIT %(window)s
)
SELECT message_id AS id, created_at, ts_rank(lexemes, query, 1) AS rank
FROM newest JOIN search_messages USING (message_id)
JOIN asked ON language = ANY (languages)
WHERE owner_id = %(owner_id)s
ORDER BY created_at DESC, message_id DESC

-- name: find_conversations
-- The owner's conversations with a tag, of a model, as far as they are few.
SELECT id FROM conversations
WHERE owner_id = %(owner_id)s AND deleted_at IS NULL
  AND (%(tag)s::text IS NULL OR tags @> ARRAY[%(tag)s::text])
  AND (%(model)s::text IS NULL OR model = %(model)s)
LIMIT %(few)s

-- name: find_messages_within
-- The newest messages of a few conversations that match, ranked.
WITH asked AS (
    SELECT array_agg(language) AS languages, query
    FROM unnest(%(languages)s::text[], %(queries)s::text[]::tsquery[]) AS asked (language, query)
    GROUP BY query
)
SELECT message_id AS id, created_at, ts_rank(lexemes, query, 1) AS rank
FROM asked JOIN search_messages ON language = ANY (languages) AND lexemes @@ query
WHERE owner_id = %(owner_id)s AND conversation_id = ANY (%(ids)s)
  AND created_at >= %(start)s AND created_at < %(end)s
  AND (created_at, message_id) < (%(before_time)s, %(before_id)s)
ORDER BY created_at DESC, message_id DESC
LIMIT %(window)s

-- name: show_titles
-- Titles that were found, with their matches between U+0002 and U+0003.
SELECT conversation_id AS id, conversation_id, title, NULL AS message_id, NULL AS role,
       conversations.created_at,
       ts_headline(search_titles.language::regconfig, search_text(title), query,
                   E'HighlightAll=true, StartSel="\x02", StopSel="\x03"') AS snippet
FROM search_titles
JOIN conversations ON conversations.id = conversation_id
JOIN unnest(%(languages)s::text[], %(queries)s::text[]::tsquery[]) AS asked (language, query)
    ON search_titles.language = asked.language
WHERE conversation_id = ANY (%(ids)s) AND conversations.owner_id = %(owner_id)s

-- name: show_messages
-- Messages that were found, each under the id its client knows it by, with its best passages, their
-- matches between U+0002 and U+0003.
SELECT message_id AS id, messages.conversation_id, title,
       coalesce(client_message_id, messages.id::text) AS message_id, role, messages.created_at,
       ts_headline(search_messages.language::regconfig, search_text(parts), query,
                   E'MaxFragments=2, MinWords=8, MaxWords=20, ShortWord=0, FragmentDelimiter=" … ", '
                   'StartSel="\x02", StopSel="\x03"') AS snippet
FROM search_messages
JOIN messages ON messages.id = message_id
JOIN conversations ON conversations.id = messages.conversation_id
JOIN unnest(%(languages)s::text[], %(queries)s::text[]::tsquery[]) AS asked (language, query)
    ON search_messages.language = asked.language
WHERE message_id = ANY (%(ids)s) AND conversations.owner_id = %(owner_id)s

-- name: unknown_words
-- Those of these words that no text of the owner holds.
SELECT lexeme FROM unnest(%(lexemes)s::text[]) AS lexeme
WHERE NOT EXISTS (
    SELECT FROM search_words WHERE owner_id = %(owner_id)s AND word = lexeme COLLATE "C"
)

-- name: begun_or_swapped_words
-- For each of these, words of the owner's texts that begin with it, or are it with two letters
-- swapped: of a short word that leaves too little for trigrams to tell.
SELECT lexeme, word
FROM unnest(%(lexemes)s::text[]) AS lexeme CROSS JOIN LATERAL (
    SELECT word FROM search_words
    WHERE owner_id = %(owner_id)s AND word > lexeme AND word < lexeme || chr(1114111)
    ORDER BY word LIMIT 5
) AS begun
UNION
SELECT lexeme, word
FROM unnest(%(typed)s::text[], %(swapped)s::text[]) AS other (lexeme, swapped)
JOIN search_words ON owner_id = %(owner_id)s AND word = swapped COLLATE "C"
ORDER BY lexeme, word

-- name: set_likeness
-- What counts as similar in this transaction.
SELECT set_config('pg_trgm.similarity_threshold', %(likeness)s, true)

-- name: similar_words
-- For each of these, the words of the owner's texts that are most like it.
SELECT lexeme, word
FROM unnest(%(lexemes)s::text[]) AS lexeme CROSS JOIN LATERAL (
    SELECT word, similarity(search_plain(word), search_plain(lexeme)) AS likeness
    FROM search_words
    WHERE owner_id = %(owner_id)s AND search_plain(word) %% search_plain(lexeme)
    ORDER BY likeness DESC, word LIMIT 20
) AS near
ORDER BY lexeme, likeness DESC, word

-- name: lock_words
-- One at a time brings the words up to date.
SELECT pg_try_advisory_xact_lock(hashtext('tailrace.search_words')) AS locked

-- name: take_changes
-- Learn the words that came with texts, and return those that went with others.
WITH taken AS (
    DELETE FROM search_changes
    WHERE id IN (SELECT id FROM search_changes ORDER BY id LIMIT %(limit)s)
    RETURNING owner_id, removed, words
), changed AS (
    SELECT owner_id, word, bool_or(NOT removed) AS added, bool_or(removed) AS removed
    FROM taken, unnest(words) AS word
    GROUP BY owner_id, word
), owners AS (
    SELECT id FROM users WHERE id IN (SELECT owner_id FROM taken) FOR KEY SHARE
), learnt AS (
    INSERT INTO search_words (owner_id, word)
    SELECT owner_id, word FROM changed JOIN owners ON owners.id = owner_id WHERE added
    ON CONFLICT DO NOTHING
)
SELECT (SELECT count(*) FROM taken) AS taken, owner_id, array_agg(word) AS words
FROM (SELECT NULL::uuid AS owner_id, NULL::text AS word
      UNION ALL SELECT owner_id, word FROM changed WHERE removed) AS gone
GROUP BY owner_id

-- name: forget_words
-- Forget the words that no text of their owner holds any more. Those of the newest texts are told
-- apart first: to look for a word that stands everywhere takes the longest.
WITH recent AS (
    SELECT lexemes FROM search_messages WHERE owner_id = %(owner_id)s
    ORDER BY created_at DESC, message_id DESC LIMIT 200
), gone AS MATERIALIZED (
    SELECT word, (quote_literal(word))::tsquery AS query
    FROM unnest(%(words)s::text[]) AS word
    WHERE word NOT IN (SELECT unnest(tsvector_to_array(lexemes)) FROM recent)
)
DELETE FROM search_words
USING gone
WHERE owner_id = %(owner_id)s AND search_words.word = gone.word
  AND NOT EXISTS (
      SELECT FROM search_messages WHERE owner_id = %(owner_id)s AND lexemes @@ gone.query)
  AND NOT EXISTS (
      SELECT FROM search_titles WHERE owner_id = %(owner_id)s AND lexemes @@ gone.query)

-- name: index_rest
-- Questions are found with their answers; those that have none are found from here on.
SELECT search_index_rest(id) FROM conversations WHERE id = %(id)s AND owner_id = %(owner_id)s
