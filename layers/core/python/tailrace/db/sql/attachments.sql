-- name: begin
-- A file that is about to be written, unless its owner has these bytes already: then that one, kept
-- for as long as a new one. No row when the owner has no room left.
INSERT INTO attachments
    (id, owner_id, sha256, media_type, filename, size, state, writable_until, purge_at)
SELECT %(id)s, %(owner_id)s, %(sha256)s, %(media_type)s, %(filename)s, %(size)s, 'pending',
       now() + make_interval(secs => %(writable_for)s), now() + make_interval(secs => %(kept_for)s)
WHERE EXISTS (SELECT FROM attachments WHERE owner_id = %(owner_id)s AND sha256 = %(sha256)s)
   OR (SELECT coalesce(sum(size), 0) FROM attachments WHERE owner_id = %(owner_id)s) + %(size)s
      <= %(room)s
ON CONFLICT (owner_id, sha256) DO UPDATE SET
    media_type = CASE attachments.state WHEN 'ready' THEN attachments.media_type
                 ELSE excluded.media_type END,
    filename = CASE attachments.state WHEN 'ready' THEN attachments.filename
               ELSE excluded.filename END,
    size = CASE attachments.state WHEN 'ready' THEN attachments.size ELSE excluded.size END,
    writable_until = CASE attachments.state WHEN 'ready' THEN attachments.writable_until
                     ELSE excluded.writable_until END,
    purge_at = excluded.purge_at
RETURNING id, state, media_type, filename, size, sha256, text_problem, created_at

-- name: find
-- One file of the owner, its bytes there or not.
SELECT id, state, media_type, filename, size, sha256, text_problem, created_at
FROM attachments WHERE id = %(id)s AND owner_id = %(owner_id)s

-- name: finish
-- The bytes are there and are what they should be.
UPDATE attachments
SET state = 'ready', media_type = %(media_type)s, extracted_text = %(text)s,
    text_problem = %(problem)s
WHERE id = %(id)s AND owner_id = %(owner_id)s AND state = 'pending'

-- name: discard
-- The bytes are not what they should be; they follow the row.
DELETE FROM attachments WHERE id = %(id)s AND owner_id = %(owner_id)s AND state = 'pending'

-- name: lock
-- No message begins to use it until the transaction ends.
SELECT id FROM attachments WHERE id = %(id)s AND owner_id = %(owner_id)s FOR UPDATE

-- name: delete_unused
-- One that no message uses; its bytes follow the row.
DELETE FROM attachments
WHERE id = %(id)s AND owner_id = %(owner_id)s
  AND NOT EXISTS (SELECT FROM message_attachments WHERE attachment_id = attachments.id)

-- name: describe
-- Those of these files that the owner has.
SELECT id, media_type, size FROM attachments
WHERE id = ANY (%(ids)s) AND owner_id = %(owner_id)s AND state = 'ready'

-- name: texts
-- What is known of the text of PDFs.
SELECT id, size, extracted_text, text_problem FROM attachments
WHERE id = ANY (%(ids)s) AND owner_id = %(owner_id)s AND state = 'ready'

-- name: keep_text
-- A PDF's text, or why it has none, for the next time.
UPDATE attachments SET extracted_text = %(text)s, text_problem = %(problem)s
WHERE id = %(id)s AND owner_id = %(owner_id)s

-- name: take_purgeable
-- Files that it is time to look at; nobody begins to use one meanwhile.
SELECT id FROM attachments WHERE purge_at <= now()
ORDER BY purge_at
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED

-- name: purge_unused
-- Those of them that no message uses.
DELETE FROM attachments
WHERE id = ANY (%(ids)s)
  AND NOT EXISTS (SELECT FROM message_attachments WHERE attachment_id = attachments.id)

-- name: leave_used
-- The others need not be looked at again.
UPDATE attachments SET purge_at = NULL WHERE id = ANY (%(ids)s)

-- name: take_deleted
-- Files whose bytes are to be deleted.
SELECT id FROM deleted_attachments WHERE next_at <= now()
ORDER BY next_at
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED

-- name: forget_deleted
-- Their bytes are gone, and nobody can write them again.
DELETE FROM deleted_attachments WHERE id = ANY (%(ids)s) AND until <= now()

-- name: delete_again
-- Their bytes are gone, unless somebody is still writing them.
UPDATE deleted_attachments SET next_at = until WHERE id = ANY (%(ids)s)

-- name: delete_later
-- The store did not take it.
UPDATE deleted_attachments SET next_at = now() + make_interval(secs => %(pause)s)
WHERE id = ANY (%(ids)s)
