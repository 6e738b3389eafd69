-- Which items of one list are ordered? All pairs whose values differ; equal values are never ordered.
WITH items AS (
    SELECT list_id, prompt_id, split, messages, policy_id, unnest(items) AS item FROM preference_lists WHERE variant = $lists
)
SELECT c.prompt_id, c.split, 0 AS depth, c.messages, '' AS prefix, c.item.text AS chosen, r.item.text AS rejected,
       c.item.ends AS chosen_ends, r.item.ends AS rejected_ends, c.item.item_id AS chosen_id, r.item.item_id AS rejected_id,
       c.item.value * (1 - r.item.value)
           / (c.item.value * (1 - r.item.value) + r.item.value * (1 - c.item.value)) AS strength,
       c.item.value - r.item.value AS margin, c.policy_id
FROM items c JOIN items r ON r.list_id = c.list_id AND c.item.rank < r.item.rank
ORDER BY chosen_id, rejected_id
