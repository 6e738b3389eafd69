-- Which responses are good or bad on their own, and how much does a bad one count? (BCO)
-- The weight of a bad text is the density ratio of its prompt, p(prompt | good) / p(prompt | bad), from counts of
-- verified responses: our choice, the paper fits a classifier. A prompt without a good response says nothing of quality.
WITH texts AS (
    SELECT prompt_id, correct, text, min(response_id) AS response_id, any_value(policy_id) AS policy_id,
           bool_or(finish_reason = 'stop') AS ends
    FROM responses WHERE correct IS NOT NULL
    GROUP BY prompt_id, correct, text
),
counted AS (
    SELECT *, count(*) FILTER (correct) OVER (PARTITION BY prompt_id) AS good,
           count(*) FILTER (NOT correct) OVER (PARTITION BY prompt_id) AS bad,
           count(*) FILTER (correct) OVER () AS all_good, count(*) FILTER (NOT correct) OVER () AS all_bad
    FROM texts
)
SELECT c.prompt_id, p.split, p.messages, c.text, c.ends, c.correct AS desirable, c.response_id, c.policy_id,
       CASE WHEN c.correct THEN 1.0 ELSE (c.good / c.all_good) / (c.bad / c.all_bad) END::DOUBLE AS weight
FROM counted c JOIN prompts p USING (prompt_id)
WHERE c.good > 0 AND c.bad > 0
ORDER BY c.response_id
