-- Which is the best and which the worst item of each list, where they are at least $margin apart?
-- At most $per_prompt pairs a prompt, by hash: our choice. (A prompt has one list unless its tree was grown anew.)
WITH lists AS (
    SELECT *, items[1] AS c, items[-1] AS r,
           list_filter(orders, o -> o.better = 0 AND o.worse = len(items) - 1)[1].strength AS strength
    FROM preference_lists WHERE variant = $lists
)
SELECT prompt_id, split, 0 AS depth, messages, '' AS prefix, c.text AS chosen, r.text AS rejected,
       c.ends AS chosen_ends, r.ends AS rejected_ends, c.item_id AS chosen_id, r.item_id AS rejected_id,
       strength, c.value - r.value AS margin, policy_id
FROM lists WHERE c.rank < r.rank AND c.value - r.value >= $margin - 1e-9
QUALIFY row_number() OVER (PARTITION BY prompt_id ORDER BY md5(c.item_id || r.item_id)) <= $per_prompt
ORDER BY chosen_id, rejected_id
