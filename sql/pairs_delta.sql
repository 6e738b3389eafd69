-- Which response of one policy can be set against which of another to the same prompt? (better, worse: frames, rows of responses)
-- Equal texts count once, and a text that both gave makes no pair; the i-th of one goes with the i-th of the other by hash,
-- at most $per_prompt pairs a prompt: our choice. How sure it is that the better policy's response is better is unknown.
WITH said AS (
    SELECT 'better' AS side, * FROM better UNION ALL BY NAME SELECT 'worse' AS side, * FROM worse
),
texts AS (
    SELECT side, prompt_id, text, min(response_id) AS response_id, bool_or(finish_reason = 'stop') AS ends
    FROM said GROUP BY side, prompt_id, text
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY prompt_id, side ORDER BY response_id) AS place
    FROM (FROM texts QUALIFY count(*) OVER (PARTITION BY prompt_id, text) = 1)
)
SELECT c.prompt_id, p.split, 0 AS depth, p.messages, '' AS prefix, c.text AS chosen, r.text AS rejected,
       c.ends AS chosen_ends, r.ends AS rejected_ends, c.response_id AS chosen_id, r.response_id AS rejected_id,
       NULL::DOUBLE AS strength, NULL::DOUBLE AS margin
FROM ranked c
JOIN ranked r ON r.prompt_id = c.prompt_id AND r.place = c.place AND c.side = 'better' AND r.side = 'worse'
JOIN prompts p ON p.prompt_id = c.prompt_id
WHERE c.place <= $per_prompt
ORDER BY chosen_id, rejected_id
