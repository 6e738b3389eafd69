-- Which continuations of one and the same step end right, and which wrong? (The control of Tree-PLV's pairs: the same
-- trees and verdicts, but no choice between steps.)
-- Our choices: of each verdict a step's first rollout that ends by itself; at most $per_prompt pairs a prompt, by hash.
WITH rests AS (
    SELECT parent_id, correct, arg_min(text, draw) AS text, arg_min(node_id, draw) AS node_id
    FROM tree_nodes WHERE method = $method AND kind = 'rollout' AND terminal AND text <> ''
    GROUP BY parent_id, correct
)
SELECT s.prompt_id, p.split, s.depth, p.messages, s.prefix || s.text AS prefix, c.text AS chosen, r.text AS rejected,
       true AS chosen_ends, true AS rejected_ends, c.node_id AS chosen_id, r.node_id AS rejected_id,
       1.0::DOUBLE AS strength, 1.0::DOUBLE AS margin, s.policy_id
FROM tree_nodes s
JOIN rests c ON c.parent_id = s.node_id AND c.correct
JOIN rests r ON r.parent_id = s.node_id AND NOT r.correct
JOIN prompts p ON p.prompt_id = s.prompt_id
WHERE s.method = $method AND s.kind = 'step'
QUALIFY row_number() OVER (PARTITION BY s.prompt_id ORDER BY md5(c.node_id || r.node_id)) <= $per_prompt
ORDER BY chosen_id, rejected_id
