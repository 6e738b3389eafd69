-- Which right response stands against which wrong answer? (CHASE-SQL: pairs across clusters of equal answers only.)
-- Our choices: whole responses are a tree's finished steps and rollouts; one of each wrong answer, by hash, the commonest
-- first, at most $per_prompt a prompt; a wrong answer given n times weighs n, scaled to mean 1 within the prompt.
WITH whole AS (
    SELECT prompt_id, answer, correct, prefix || text AS text, node_id, policy_id, terminal AS ends
    FROM tree_nodes WHERE method = $method AND answer IS NOT NULL AND correct IS NOT NULL
),
right_ones AS (
    SELECT *, row_number() OVER (PARTITION BY prompt_id ORDER BY node_id) - 1 AS place,
           count(*) OVER (PARTITION BY prompt_id) AS n
    FROM (SELECT prompt_id, text, min(node_id) AS node_id, arg_min(ends, node_id) AS ends,
                 any_value(policy_id) AS policy_id FROM whole WHERE correct GROUP BY prompt_id, text)
),
wrong_answers AS (
    SELECT prompt_id, answer, count(*) AS size, min(node_id) AS node_id, arg_min(text, node_id) AS text,
           arg_min(ends, node_id) AS ends
    FROM whole WHERE NOT correct GROUP BY prompt_id, answer
),
taken AS (
    SELECT *, row_number() OVER (PARTITION BY prompt_id ORDER BY size DESC, node_id) - 1 AS place FROM wrong_answers
    QUALIFY place < $per_prompt
)
SELECT c.prompt_id, p.split, 0 AS depth, p.messages, '' AS prefix, c.text AS chosen, r.text AS rejected,
       c.ends AS chosen_ends, r.ends AS rejected_ends, c.node_id AS chosen_id, r.node_id AS rejected_id,
       1.0::DOUBLE AS strength, 1.0::DOUBLE AS margin, c.policy_id,
       r.size / avg(r.size) OVER (PARTITION BY r.prompt_id) AS weight
FROM taken r
JOIN right_ones c ON c.prompt_id = r.prompt_id AND c.place = r.place % c.n
JOIN prompts p ON p.prompt_id = r.prompt_id
ORDER BY chosen_id, rejected_id
