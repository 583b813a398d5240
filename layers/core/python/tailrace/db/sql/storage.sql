-- name: find_partitions
-- The partitions of the inference log that are of a time, the oldest first. The session's time zone
-- is UTC.
SELECT relname AS name, bounds[1]::timestamptz AS starts_at, bounds[2]::timestamptz AS ends_at
FROM pg_inherits
JOIN pg_class ON pg_class.oid = inhrelid
CROSS JOIN LATERAL regexp_match(
    pg_get_expr(relpartbound, pg_class.oid), 'FROM \(''([^'']+)''\) TO \(''([^'']+)''\)'
) AS bounds
WHERE inhparent = 'inference_log'::regclass AND bounds IS NOT NULL
ORDER BY starts_at

-- name: find_days_in_default_partition
-- The days (UTC) whose events are in the default partition, found by a look at the index for each.
WITH RECURSIVE days AS (
    (SELECT date_bin('24 hours', started_at, 'epoch') AS day FROM inference_log_default
     WHERE started_at < %(before)s ORDER BY started_at LIMIT 1)
    UNION ALL
    SELECT (
        SELECT date_bin('24 hours', started_at, 'epoch') FROM inference_log_default
        WHERE started_at >= days.day + interval '24 hours' AND started_at < %(before)s
        ORDER BY started_at LIMIT 1
    )
    FROM days WHERE days.day IS NOT NULL
)
SELECT day FROM days WHERE day IS NOT NULL LIMIT %(limit)s

-- name: lock_partitions
-- One at a time changes the partitions; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(%(key)s)

-- name: limit_lock_wait
-- A report that reads for long must not make everybody else wait behind us; a batch of ingestion is
-- through by then, and autovacuum has given way, which it does after a second (deadlock_timeout).
SET LOCAL lock_timeout = '1500ms'

-- name: create_partition
-- The table of a span of time, not attached as yet.
CREATE TABLE {name} (LIKE inference_log INCLUDING DEFAULTS)

-- name: hold_writers
-- Whoever changes rows comes before or after us: one that was let in already, and waited for the
-- default partition alone, would not know of the new one and miss what was moved there.
LOCK TABLE ONLY inference_log IN SHARE ROW EXCLUSIVE MODE

-- name: lock_default_partition
-- Nothing of the span may arrive in the default partition once its rows have been moved.
LOCK TABLE inference_log_default IN ACCESS EXCLUSIVE MODE

-- name: find_piece
-- Where the newest events of a span begin, of so many as one transaction moves.
SELECT started_at FROM inference_log_default
WHERE started_at >= %(start)s AND started_at < %(end)s
ORDER BY started_at DESC OFFSET %(rows)s - 1 LIMIT 1

-- name: move_from_default_partition
-- Triggers are the log's, and no row comes to the log: what was counted is not counted again.
WITH moved AS (
    DELETE FROM inference_log_default
    WHERE started_at >= {start} AND started_at < {end}
    RETURNING *
)
INSERT INTO {name} SELECT * FROM moved

-- name: attach_partition
-- From here on the span has its own home, with every index of the log.
ALTER TABLE inference_log ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})

-- name: keep_late_events_out
-- Until the transaction ends, nothing arrives in the partition.
LOCK TABLE {name} IN SHARE MODE

-- name: count_partition
-- Its rows, to be held against those of its archive.
SELECT count(*) AS count FROM {name}

-- name: is_partition_empty
-- Nothing needs to be kept of it.
SELECT NOT EXISTS (SELECT FROM {name}) AS empty

-- name: drop_partition
-- Gives its space back at once. With a default partition there is no DETACH CONCURRENTLY; this
-- waits for the log as long as limit_lock_wait says, and takes an instant.
DROP TABLE {name}

-- name: lock_archives
-- One at a time writes archives, until it says otherwise or its connection ends.
SELECT pg_try_advisory_lock(%(key)s) AS locked

-- name: unlock_archives
-- Others may write archives.
SELECT pg_advisory_unlock(%(key)s)

-- name: stay_idle
-- A database that sleeps ends no session that waits for an archive to be kept or read.
SET idle_session_timeout = 0

-- name: stay_idle_no_longer
-- As it was when the session began.
RESET idle_session_timeout

-- name: begin_archive
-- The archive of a partition: anew, or the one that was begun and may have been written.
INSERT INTO inference_archives (id, partition_name, starts_at, ends_at, location)
VALUES (%(id)s, %(name)s, %(starts_at)s, %(ends_at)s, %(location)s)
ON CONFLICT (partition_name) WHERE dropped_at IS NULL DO UPDATE
SET verified_at = CASE WHEN inference_archives.location = excluded.location
                       THEN inference_archives.verified_at END,
    location = excluded.location
RETURNING id, verified_at

-- name: finish_archive
-- What was written, and read back.
UPDATE inference_archives
SET row_count = %(row_count)s, byte_count = %(byte_count)s, sha256 = %(sha256)s,
    verified_at = now()
WHERE id = %(id)s

-- name: find_archive
-- What is known of an archive.
SELECT row_count, dropped_at FROM inference_archives WHERE id = %(id)s

-- name: reopen_archive
-- Events came late, after it was written.
UPDATE inference_archives SET verified_at = NULL WHERE id = %(id)s

-- name: close_archive
-- The partition went: a later one of the same name gets an archive of its own.
UPDATE inference_archives SET dropped_at = now() WHERE id = %(id)s

-- name: lock_preview_retention
-- One at a time empties previews; no row when somebody else does.
SELECT emptied_before, late_checked_at FROM preview_retention FOR UPDATE SKIP LOCKED

-- name: find_previews
-- The oldest calls of a span of time that have previews.
SELECT id, started_at FROM inference_log
WHERE started_at >= %(start)s AND started_at < %(end)s
  AND (input_preview IS NOT NULL OR output_preview IS NOT NULL)
ORDER BY started_at
LIMIT %(limit)s

-- name: find_late_previews
-- Calls that came into the log after the previews of their time were emptied.
SELECT id, started_at FROM inference_log
WHERE started_at < %(end)s AND ingested_at >= %(since)s
  AND (input_preview IS NOT NULL OR output_preview IS NOT NULL)
LIMIT %(limit)s

-- name: empty_previews
-- The numbers stay. The span lets all partitions but those concerned be passed over.
UPDATE inference_log SET input_preview = NULL, output_preview = NULL
FROM unnest(%(ids)s::uuid[], %(times)s::timestamptz[]) AS batch (id, started_at)
WHERE inference_log.id = batch.id AND inference_log.started_at = batch.started_at
  AND inference_log.started_at >= %(first)s AND inference_log.started_at <= %(last)s

-- name: note_preview_retention
-- How far previews are emptied.
UPDATE preview_retention SET
    emptied_before = coalesce(%(emptied_before)s, emptied_before),
    late_checked_at = coalesce(%(late_checked_at)s, late_checked_at)

-- name: delete_rollups
-- The oldest rollups of a tier, whose rows are nobody's alone. What somebody adds to just now waits.
DELETE FROM {table} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM {table}
    WHERE tier = %(tier)s AND owner_id = '00000000-0000-0000-0000-000000000000'
      AND starts_at < %(before)s
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))

-- name: delete_owner_rollups
-- The oldest days of users.
DELETE FROM rollups_owner_day WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM rollups_owner_day WHERE starts_at < %(before)s
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))

-- name: delete_rollup_reasons
-- The oldest counts of why calls ended.
DELETE FROM rollup_reasons WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM rollup_reasons WHERE tier = %(tier)s AND starts_at < %(before)s
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))

-- name: delete_dead_letters
-- Letters that nobody replayed in time. Parked events are none: they wait for their release.
DELETE FROM inference_dead_letters WHERE id = ANY (ARRAY(
    SELECT id FROM inference_dead_letters
    WHERE last_seen_at < %(before)s AND schema_version IS NULL AND replay_requested_at IS NULL
    ORDER BY id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))
