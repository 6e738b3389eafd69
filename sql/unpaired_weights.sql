-- How much does each bad text count, so that good and bad ones are of like prompts? (texts: a frame)
-- The weight of a bad text is the density ratio of its prompt, p(prompt | good) / p(prompt | bad), held in [0.5, 10] as in
-- the paper's code. Ours: it is the ratio of counts of texts, where the paper fits a classifier on prompts. So a prompt
-- without a good text has the least weight, and one without a bad text has none to weigh.
WITH counted AS (
    SELECT *, count(*) FILTER (desirable) OVER (PARTITION BY prompt_id) AS good,
           count(*) FILTER (NOT desirable) OVER (PARTITION BY prompt_id) AS bad,
           count(*) FILTER (desirable) OVER () AS all_good, count(*) FILTER (NOT desirable) OVER () AS all_bad
    FROM texts
)
SELECT * EXCLUDE (good, bad, all_good, all_bad),
       CASE WHEN desirable OR all_good = 0 THEN 1.0
            ELSE least(10.0, greatest(0.5, (good / all_good) / (bad / all_bad))) END::DOUBLE AS weight
FROM counted
ORDER BY response_id
