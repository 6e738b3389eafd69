-- How many sampled tokens did each source table cost, and from how many prompts?
SELECT 'responses' AS source, coalesce(sum(tokens), 0)::BIGINT AS tokens, count(DISTINCT prompt_id) AS prompts FROM responses
UNION ALL
SELECT 'tree_nodes', coalesce(sum(tokens), 0)::BIGINT, count(DISTINCT prompt_id) FROM tree_nodes WHERE method = 'best_first'
UNION ALL
SELECT 'thought_nodes', coalesce(sum(tokens), 0)::BIGINT, count(DISTINCT prompt_id) FROM tree_nodes WHERE method = 'tot'
UNION ALL
SELECT 'preference_lists', 0, count(DISTINCT prompt_id) FROM preference_lists -- made from trees: nothing is sampled
