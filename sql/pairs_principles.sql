-- Which two responses to one prompt differ in a principle: all annotators find it satisfied in one, and in the other not?
-- Strength: sigmoid of the difference of the judges' mean log-odds of "yes" (our choice); the label is the consensus.
-- A pair that differs in several principles counts once, by hash; at most $per_prompt pairs a prompt: our choice.
WITH sides AS (
    SELECT prompt_id, response_id, group_id, any_value(group_name) AS principle, bool_and(satisfied) AS satisfied,
           avg(log_odds) AS log_odds
    FROM principles WHERE group_id IS NOT NULL
    GROUP BY prompt_id, response_id, group_id HAVING bool_and(satisfied) = bool_or(satisfied)
),
texts AS (
    SELECT s.*, r.text, r.finish_reason = 'stop' AS ends, r.policy_id FROM sides s JOIN responses r USING (response_id)
),
pairs AS (
    SELECT c.prompt_id, c.group_id AS principle_id, c.principle, c.text AS chosen, r.text AS rejected,
           c.ends AS chosen_ends, r.ends AS rejected_ends, c.response_id AS chosen_id, r.response_id AS rejected_id,
           c.log_odds - r.log_odds AS margin, c.policy_id
    FROM texts c JOIN texts r ON r.group_id = c.group_id AND c.satisfied AND NOT r.satisfied AND c.text <> r.text
    QUALIFY row_number() OVER (PARTITION BY c.response_id, r.response_id ORDER BY md5(c.group_id)) = 1
),
few AS (
    SELECT * FROM pairs
    QUALIFY row_number() OVER (PARTITION BY prompt_id ORDER BY md5(chosen_id || rejected_id)) <= $per_prompt
)
SELECT f.*, p.split, p.messages, 0 AS depth, '' AS prefix, 1 / (1 + exp(-f.margin)) AS strength
FROM few f JOIN prompts p USING (prompt_id)
ORDER BY chosen_id, rejected_id
