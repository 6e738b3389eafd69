-- How many sampled tokens did each source table cost, and from how many prompts?
SELECT 'responses' AS source, coalesce(sum(tokens), 0)::BIGINT AS tokens, count(DISTINCT prompt_id) AS prompts FROM responses
UNION ALL
SELECT 'tree_nodes', coalesce(sum(tokens), 0)::BIGINT, count(DISTINCT prompt_id) FROM tree_nodes
UNION ALL
SELECT 'code_pairs', coalesce(sum(tokens), 0)::BIGINT, count(DISTINCT prompt_id) FROM code_pairs
