-- Which responses are good or bad on their own, and how much does a bad one count? (BCO)
-- The weight of a bad text is the density ratio of its prompt, p(prompt | good) / p(prompt | bad), held in [0.5, 10] as in
-- the paper's code. Ours: it is the ratio of counts of verified responses, where the paper fits a classifier on prompts. So
-- a prompt without a good response has the least weight, and one without a bad response has no text to weigh.
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
       CASE WHEN c.correct OR c.all_good = 0 THEN 1.0
            ELSE least(10.0, greatest(0.5, (c.good / c.all_good) / (c.bad / c.all_bad))) END::DOUBLE AS weight
FROM counted c JOIN prompts p USING (prompt_id)
ORDER BY c.response_id
