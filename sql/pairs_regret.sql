-- Which of two steps under different parents of one tree served its parent better?
-- Regret (arXiv 2206.02231) of a step: its parent's value minus its own, values being shares of right rollouts; the step
-- of less regret is preferred. A parent's value is here the mean of its children's, which are draws below it: its own
-- share chose it to be expanded, and is too high for that (our choice). For siblings this would be the value gap.
-- A step that ends the response is in the mean and in no pair: its value is one verdict, not a share (our choice).
-- At most $per_prompt pairs a prompt, by hash: our choice.
WITH RECURSIVE nodes AS (
    SELECT * FROM tree_nodes WHERE method = $method AND kind <> 'rollout'
),
paths AS (
    SELECT node_id, [node_id] AS path FROM nodes WHERE kind = 'root'
    UNION ALL
    SELECT n.node_id, list_append(p.path, n.node_id) FROM nodes n JOIN paths p ON p.node_id = n.parent_id
),
steps AS (
    SELECT s.*, sum(s.value * s.merged) OVER siblings / sum(s.merged) OVER siblings - s.value AS regret, paths.path AS above
    FROM nodes s
    JOIN paths ON paths.node_id = s.parent_id
    WHERE s.kind = 'step' AND s.valuation IN ('rollouts', 'answer')
    WINDOW siblings AS (PARTITION BY s.parent_id)
    QUALIFY s.valuation = 'rollouts'
),
pairs AS (
    SELECT c.prompt_id, len(list_intersect(c.above, r.above)) - 1 AS depth, c.prefix, c.text AS chosen,
           r.text AS rejected, c.terminal AS chosen_ends, r.terminal AS rejected_ends, r.prefix AS rejected_prefix,
           c.node_id AS chosen_id, r.node_id AS rejected_id, r.regret - c.regret AS margin, c.policy_id
    FROM steps c
    JOIN steps r ON r.tree_id = c.tree_id AND r.parent_id <> c.parent_id AND r.regret - c.regret >= $margin - 1e-9
    QUALIFY row_number() OVER (PARTITION BY c.prompt_id ORDER BY md5(c.node_id || r.node_id)) <= $per_prompt
)
SELECT f.*, p.split, p.messages
FROM pairs f JOIN prompts p USING (prompt_id)
ORDER BY chosen_id, rejected_id
