-- Which steps of one parent differ clearly in value? (Tree-PLV: siblings whose rewards are at least $margin apart.)
-- With $continuation = 'rollout' a side goes on with its first right (chosen) or wrong (rejected) rollout.
-- At most $per_prompt pairs a prompt, by hash: our choice.
WITH steps AS (
    SELECT * FROM tree_nodes WHERE method = $method AND kind = 'step' AND value IS NOT NULL
),
rests AS (
    SELECT parent_id, correct, arg_min(text, draw) AS text, arg_min(terminal, draw) AS terminal,
           arg_min(node_id, draw) AS node_id
    FROM tree_nodes WHERE kind = 'rollout' AND $continuation = 'rollout'
    GROUP BY parent_id, correct
)
SELECT c.prompt_id, p.split, c.depth - 1 AS depth, p.messages, c.prefix,
       c.text || coalesce(cr.text, '') AS chosen, r.text || coalesce(rr.text, '') AS rejected,
       coalesce(cr.terminal, c.terminal) AS chosen_ends, coalesce(rr.terminal, r.terminal) AS rejected_ends,
       c.node_id AS chosen_id, r.node_id AS rejected_id, c.value - r.value AS margin, c.policy_id
FROM steps c
JOIN steps r ON r.parent_id = c.parent_id AND c.value - r.value >= $margin - 1e-9
JOIN prompts p ON p.prompt_id = c.prompt_id
LEFT JOIN rests cr ON cr.parent_id = c.node_id AND cr.correct
LEFT JOIN rests rr ON rr.parent_id = r.node_id AND NOT rr.correct
QUALIFY row_number() OVER (PARTITION BY c.prompt_id ORDER BY md5(c.node_id || r.node_id)) <= $per_prompt
ORDER BY chosen_id, rejected_id
