-- Which of two steps under different parents of one tree served its parent better?
-- Regret (arXiv 2206.02231) of a step: its parent's value minus its own, values being shares of right rollouts; the step
-- of less regret is preferred, P = sigmoid($scale * difference of regrets). For siblings this would be the value gap.
-- The root's value, where it has no rollouts of its own, is the mean of its children's, which are draws below it.
-- At most $per_prompt pairs a prompt, by hash: our choice.
WITH RECURSIVE nodes AS (
    SELECT * FROM tree_nodes WHERE method = $method AND kind <> 'rollout'
),
paths AS (
    SELECT node_id, [node_id] AS path FROM nodes WHERE kind = 'root'
    UNION ALL
    SELECT n.node_id, list_append(p.path, n.node_id) FROM nodes n JOIN paths p ON p.node_id = n.parent_id
),
roots AS (
    SELECT parent_id AS node_id, sum(value * merged) / sum(merged) AS value FROM nodes
    WHERE kind = 'step' AND depth = 1 AND value IS NOT NULL GROUP BY parent_id
),
steps AS (
    SELECT s.*, coalesce(p.value, r.value) - s.value AS regret, paths.path AS above
    FROM nodes s
    JOIN nodes p ON p.node_id = s.parent_id
    JOIN paths ON paths.node_id = s.parent_id
    LEFT JOIN roots r ON r.node_id = s.parent_id
    WHERE s.kind = 'step' AND s.valuation IN ('rollouts', 'answer')
),
pairs AS (
    SELECT c.prompt_id, len(list_intersect(c.above, r.above)) - 1 AS depth, c.prefix, c.text AS chosen,
           r.text AS rejected, c.terminal AS chosen_ends, r.terminal AS rejected_ends, r.prefix AS rejected_prefix,
           c.node_id AS chosen_id, r.node_id AS rejected_id, r.regret - c.regret AS margin, c.policy_id
    FROM steps c
    JOIN steps r ON r.tree_id = c.tree_id AND r.parent_id <> c.parent_id AND r.regret - c.regret >= $margin - 1e-9
    QUALIFY row_number() OVER (PARTITION BY c.prompt_id ORDER BY md5(c.node_id || r.node_id)) <= $per_prompt
)
SELECT f.* EXCLUDE (margin), p.split, p.messages, 1 / (1 + exp(-$scale * margin)) AS strength, margin
FROM pairs f JOIN prompts p USING (prompt_id)
ORDER BY chosen_id, rejected_id
