-- name: read_usage
-- What a user has used, what is under way, and what an admin gave them; no row for nobody.
SELECT
    coalesce(sum(tokens) FILTER (WHERE day = %(today)s), 0) AS tokens_of_day,
    coalesce(sum(tokens), 0) AS tokens_of_month,
    coalesce(sum(cost_usd) FILTER (WHERE day = %(today)s), 0) AS usd_of_day,
    coalesce(sum(cost_usd), 0) AS usd_of_month,
    pending_tokens(users.id, NULL, %(reserve)s) AS pending_tokens,
    unpriced.of_day AS unpriced_of_day, unpriced.of_month AS unpriced_of_month,
    user_quotas.tokens_per_day, user_quotas.tokens_per_month,
    user_quotas.usd_per_day, user_quotas.usd_per_month
FROM users
LEFT JOIN user_quotas ON user_quotas.user_id = users.id
LEFT JOIN user_usage ON user_usage.user_id = users.id
                    AND day >= %(this_month)s AND day < %(next_month)s
CROSS JOIN LATERAL (
    SELECT coalesce(sum(unpriced_requests) FILTER (WHERE starts_at >= %(today)s), 0) AS of_day,
           coalesce(sum(unpriced_requests), 0) AS of_month
    FROM rollups_owner_day
    WHERE tier = 'owner_day' AND owner_id = users.id
      AND starts_at >= %(this_month)s AND starts_at < %(next_month)s
) AS unpriced
WHERE users.id = %(user_id)s
GROUP BY users.id, user_quotas.user_id, unpriced.of_day, unpriced.of_month

-- name: put_quota
-- What an admin gives a user in place of the settings; nothing happens when there is no such user.
INSERT INTO user_quotas (user_id, tokens_per_day, tokens_per_month, usd_per_day, usd_per_month)
SELECT id, %(tokens_per_day)s, %(tokens_per_month)s, %(usd_per_day)s, %(usd_per_month)s
FROM users WHERE id = %(user_id)s
ON CONFLICT (user_id) DO UPDATE
SET tokens_per_day = excluded.tokens_per_day, tokens_per_month = excluded.tokens_per_month,
    usd_per_day = excluded.usd_per_day, usd_per_month = excluded.usd_per_month,
    updated_at = now()
