-- Which right response can be set against which wrong one to the same prompt?
-- Equal texts count once; the i-th right goes with the i-th wrong by hash, at most $per_prompt pairs a prompt: our choice.
WITH texts AS (
    SELECT prompt_id, correct, text, min(response_id) AS response_id, any_value(policy_id) AS policy_id,
           bool_or(finish_reason = 'stop') AS ends
    FROM responses WHERE correct IS NOT NULL
    GROUP BY prompt_id, correct, text
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY prompt_id, correct ORDER BY response_id) AS place FROM texts
)
SELECT c.prompt_id, p.split, 0 AS depth, p.messages, '' AS prefix, c.text AS chosen, r.text AS rejected,
       c.ends AS chosen_ends, r.ends AS rejected_ends, c.response_id AS chosen_id, r.response_id AS rejected_id,
       1.0::DOUBLE AS strength, 1.0::DOUBLE AS margin, c.policy_id
FROM ranked c
JOIN ranked r ON r.prompt_id = c.prompt_id AND r.place = c.place AND c.correct AND NOT r.correct
JOIN prompts p ON p.prompt_id = c.prompt_id
WHERE c.place <= $per_prompt
ORDER BY chosen_id, rejected_id
