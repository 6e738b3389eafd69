-- Which items of one list are ordered? All pairs whose values differ; equal values are never ordered.
-- At most $per_prompt pairs a prompt, by hash: our choice.
WITH ordered AS (
    SELECT prompt_id, split, messages, policy_id, items[o.better + 1] AS c, items[o.worse + 1] AS r, o.strength
    FROM (SELECT *, unnest(orders) AS o FROM preference_lists WHERE variant = $lists)
)
SELECT prompt_id, split, 0 AS depth, messages, '' AS prefix, c.text AS chosen, r.text AS rejected,
       c.ends AS chosen_ends, r.ends AS rejected_ends, c.item_id AS chosen_id, r.item_id AS rejected_id,
       strength, c.value - r.value AS margin, policy_id
FROM ordered
QUALIFY row_number() OVER (PARTITION BY prompt_id ORDER BY md5(c.item_id || r.item_id)) <= $per_prompt
ORDER BY chosen_id, rejected_id
