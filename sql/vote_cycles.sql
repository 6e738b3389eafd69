-- Which three responses beat each other in a circle, and by which criteria? (More than one: the circle may only come from switching.)
WITH both_orders AS (
    SELECT prompt_id, judge_id, criterion, least(first_id, second_id) AS a_id, greatest(first_id, second_id) AS b_id,
           avg(CASE WHEN first_id < second_id THEN p_first ELSE 1 - p_first END) AS p
    FROM votes GROUP BY ALL
),
beats AS (
    SELECT prompt_id, judge_id, criterion, a_id AS winner, b_id AS loser FROM both_orders WHERE round(p - 0.5, 12) > 0
    UNION ALL SELECT prompt_id, judge_id, criterion, b_id, a_id FROM both_orders WHERE round(p - 0.5, 12) < 0
)
SELECT x.prompt_id, x.judge_id, x.winner AS first_id, y.winner AS second_id, z.winner AS third_id,
       list_sort(list_distinct([x.criterion, y.criterion, z.criterion])) AS criteria
FROM beats x
JOIN beats y ON y.prompt_id = x.prompt_id AND y.judge_id = x.judge_id AND y.winner = x.loser
JOIN beats z ON z.prompt_id = y.prompt_id AND z.judge_id = y.judge_id AND z.winner = y.loser AND z.loser = x.winner
WHERE x.winner < y.winner AND x.winner < z.winner
ORDER BY ALL
