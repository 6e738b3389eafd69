-- Which pairs are easy, medium and hard? (Curry-DPO: the best path against the worst, a middle one and the next best.)
-- Our choices: one path of each value, so that the three gaps differ; a list of one lower value has no order of
-- difficulty and gives no pair; one of two gives an easy and a hard pair.
WITH lower AS (
    SELECT list_id, prompt_id, split, messages, policy_id, items[1] AS c, unnest(items) AS r
    FROM preference_lists WHERE variant = $lists
),
one_each AS (
    SELECT *, max(r.rank) OVER (PARTITION BY list_id) AS worst FROM lower
    WHERE r.rank > 0
    QUALIFY row_number() OVER (PARTITION BY list_id, r.rank ORDER BY r.item_id) = 1
),
staged AS (
    SELECT *, CASE WHEN r.rank = worst THEN 0 WHEN r.rank = 1 THEN 2 WHEN r.rank = (1 + worst) // 2 THEN 1 END AS stage
    FROM one_each WHERE worst > 1
)
SELECT prompt_id, split, 0 AS depth, messages, '' AS prefix, c.text AS chosen, r.text AS rejected,
       c.ends AS chosen_ends, r.ends AS rejected_ends, c.item_id AS chosen_id, r.item_id AS rejected_id,
       c.value * (1 - r.value) / (c.value * (1 - r.value) + r.value * (1 - c.value)) AS strength,
       c.value - r.value AS margin, stage, policy_id
FROM staged WHERE stage IS NOT NULL
ORDER BY stage, chosen_id, rejected_id
