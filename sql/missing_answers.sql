-- How many responses and tree texts of each pool have no answer, or an ambiguous one? (Both count as wrong.)
WITH texts AS (
    SELECT 'responses' AS place, prompt_id, answer FROM responses WHERE correct IS NOT NULL
    UNION ALL
    SELECT 'tree_nodes, ' || method, prompt_id, answer FROM tree_nodes WHERE correct IS NOT NULL
)
SELECT pool, place, count(*) AS texts, count(*) FILTER (texts.answer IS NULL) AS without_an_answer,
       round(count(*) FILTER (texts.answer IS NULL) / count(*), 4) AS share
FROM texts JOIN prompts USING (prompt_id) GROUP BY pool, place ORDER BY pool, place
