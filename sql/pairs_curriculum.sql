-- Which pairs of siblings does a curriculum order? (Curry-DPO: the best of a group against the others.)
-- Our choices: the groups are the steps below one parent; the two are at least $margin apart, since a smaller gap is
-- mostly chance; at most $per_prompt pairs a prompt, by hash.
WITH steps AS (
    SELECT * FROM tree_nodes WHERE method = $method AND kind = 'step' AND value IS NOT NULL
),
best AS (
    SELECT * FROM steps QUALIFY row_number() OVER (PARTITION BY parent_id ORDER BY value DESC, draw, node_id) = 1
)
SELECT c.prompt_id, p.split, c.depth - 1 AS depth, p.messages, c.prefix, c.text AS chosen, r.text AS rejected,
       c.terminal AS chosen_ends, r.terminal AS rejected_ends, c.node_id AS chosen_id, r.node_id AS rejected_id,
       c.value - r.value AS margin, c.policy_id
FROM best c
JOIN steps r ON r.parent_id = c.parent_id AND c.value - r.value >= $margin - 1e-9
JOIN prompts p ON p.prompt_id = c.prompt_id
QUALIFY row_number() OVER (PARTITION BY c.prompt_id ORDER BY md5(c.node_id || r.node_id)) <= $per_prompt
ORDER BY chosen_id, rejected_id
