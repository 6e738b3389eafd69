-- Which pairs are easy, medium and hard? (Curry-DPO: the best of a group against the others, the widest gap first.)
-- Our choices: the groups are the steps below one parent; stage 0, 1, 2 is the third of the split's pairs that the gap
-- falls in, counted from the widest, and equal gaps share a stage. (Three ranks of every group, as in the paper, would
-- need groups of four different values: of 212 groups of the quick profile, 10 had even three.)
WITH steps AS (
    SELECT * FROM tree_nodes WHERE method = $method AND kind = 'step' AND value IS NOT NULL
),
best AS (
    SELECT * FROM steps QUALIFY row_number() OVER (PARTITION BY parent_id ORDER BY value DESC, draw, node_id) = 1
),
pairs AS (
    SELECT c.prompt_id, p.split, c.depth - 1 AS depth, p.messages, c.prefix, c.text AS chosen, r.text AS rejected,
           c.terminal AS chosen_ends, r.terminal AS rejected_ends, c.node_id AS chosen_id, r.node_id AS rejected_id,
           c.value * (1 - r.value) / (c.value * (1 - r.value) + r.value * (1 - c.value)) AS strength,
           c.value - r.value AS margin, c.policy_id
    FROM best c
    JOIN steps r ON r.parent_id = c.parent_id AND c.value - r.value > 1e-9
    JOIN prompts p ON p.prompt_id = c.prompt_id
)
SELECT *, 3 * (rank() OVER (PARTITION BY split ORDER BY round(margin, 9) DESC) - 1)
              // count(*) OVER (PARTITION BY split) AS stage
FROM pairs ORDER BY stage, chosen_id, rejected_id
