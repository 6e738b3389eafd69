-- Where do pairs come from: the prompt's pool, and of each side its response or tree node with what was known of it?
WITH sides AS (
    SELECT response_id AS id, concat('response ', response_id, ', draw ', draw,
           CASE WHEN correct THEN ', right' WHEN NOT correct THEN ', wrong' ELSE '' END) AS said, policy_id FROM responses
    UNION ALL
    SELECT response_id, concat('response ', response_id, ' of ', policy, ', draw ', draw,
           CASE WHEN correct THEN ', right' WHEN NOT correct THEN ', wrong' ELSE '' END), policy_id FROM policy_responses
    UNION ALL
    SELECT node_id, concat(kind, ' ', node_id, ' of tree ', tree_id, ', depth ', depth,
           CASE WHEN value IS NULL THEN '' ELSE printf(', value %.2f (%d/%d rollouts right)', value, n_correct, n_rollouts) END), policy_id
    FROM tree_nodes
)
SELECT p.pair_id, p.variant, p.prompt_id, prompts.pool, prompts.task, p.split, p.method,
       coalesce(p.policy_id, one.policy_id || ' and ' || other.policy_id) AS policy_id, p.messages, p.prefix, p.chosen, p.rejected,
       p.flipped, p.strength, p.margin, p.noise_score, p.weight,
       coalesce(one.said, p.chosen_id) AS chosen_side, coalesce(other.said, p.rejected_id) AS rejected_side
FROM preferences p LEFT JOIN prompts USING (prompt_id)
LEFT JOIN sides one ON one.id = p.chosen_id LEFT JOIN sides other ON other.id = p.rejected_id
QUALIFY row_number() OVER (PARTITION BY p.variant ORDER BY p.pair_id) <= $shown
ORDER BY p.variant, p.pair_id
