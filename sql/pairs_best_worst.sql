-- Which is the best and which the worst path of each list, where they are at least $margin apart?
SELECT prompt_id, split, 0 AS depth, messages, '' AS prefix, c.text AS chosen, r.text AS rejected,
       c.ends AS chosen_ends, r.ends AS rejected_ends, c.item_id AS chosen_id, r.item_id AS rejected_id,
       c.value * (1 - r.value) / (c.value * (1 - r.value) + r.value * (1 - c.value)) AS strength,
       c.value - r.value AS margin, policy_id
FROM (SELECT *, items[1] AS c, items[-1] AS r FROM preference_lists WHERE variant = $lists)
WHERE c.rank < r.rank AND c.value - r.value >= $margin - 1e-9
ORDER BY chosen_id, rejected_id
