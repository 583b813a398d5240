-- name: open_run
-- Note a model call that is about to be made.
INSERT INTO runs
    (id, kind, owner_id, conversation_id, provider_name, request_model, request_id,
     input_preview, started_at)
VALUES (%(id)s, %(kind)s, %(owner_id)s, %(conversation_id)s, %(provider_name)s,
        %(request_model)s, %(request_id)s, %(input_preview)s, %(started_at)s)

-- name: open_run_in_budget
-- The same, unless a quota or the budget is used up.
WITH opened AS (
    INSERT INTO runs
        (id, kind, owner_id, conversation_id, provider_name, request_model, request_id,
         input_preview, started_at)
    VALUES (%(id)s, %(kind)s, %(owner_id)s, %(conversation_id)s, %(provider_name)s,
            %(request_model)s, %(request_id)s, %(input_preview)s, %(started_at)s)
    RETURNING id
)
SELECT require_quota(
    true, %(quota_user_id)s, id, %(reserve)s, %(tokens_per_day)s, %(tokens_per_month)s,
    %(usd_per_day)s, %(usd_per_month)s, %(budget_usd_per_day)s, %(budget_usd_per_month)s)
FROM opened

-- name: close_run
-- The call has ended, and the queue has its event; ingestion deletes the row.
UPDATE runs SET closed_at = now(), event = %(event)s, tokens = %(tokens)s WHERE id = %(id)s

-- name: forget_run
-- The call has ended, and its event is in the outbox.
DELETE FROM runs WHERE id = %(id)s

-- name: find_active_run
-- The newest answer under way in a conversation of this owner, or whether one is that is named.
SELECT id FROM runs
WHERE conversation_id = %(conversation_id)s AND owner_id = %(owner_id)s
  AND closed_at IS NULL AND kind IN ('chat', 'guest')
  AND (%(run_id)s::uuid IS NULL OR id = %(run_id)s)
  AND NOT EXISTS (
      SELECT FROM conversations WHERE id = %(conversation_id)s AND deleted_at IS NOT NULL)
ORDER BY id DESC
LIMIT 1

-- name: request_cancel
-- Ask one run to stop, or, if none is named, all of a conversation.
UPDATE runs SET cancel_requested_at = coalesce(cancel_requested_at, now())
WHERE (%(id)s::uuid IS NULL OR id = %(id)s)
  AND conversation_id = %(conversation_id)s AND owner_id = %(owner_id)s
  AND closed_at IS NULL AND kind IN ('chat', 'guest')
RETURNING id

-- name: is_cancel_requested
-- Asked by a run when Valkey cannot tell it.
SELECT cancel_requested_at IS NOT NULL AS cancelled FROM runs WHERE id = %(id)s
