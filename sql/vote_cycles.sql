-- Which three responses beat each other in a circle, by which criteria, and by which of them alone? (None alone: the circle comes from switching.)
WITH both_orders AS ( -- a pair whose orders disagree, or of which one is a tie, is half won by each side
    SELECT prompt_id, judge_id, criterion, a_id, b_id,
           CASE WHEN min(round(p - 0.5, 9)) > 0 OR max(round(p - 0.5, 9)) < 0 THEN avg(p) ELSE 0.5 END AS p
    FROM (
        SELECT *, least(first_id, second_id) AS a_id, greatest(first_id, second_id) AS b_id,
               CASE WHEN first_id < second_id THEN p_first ELSE 1 - p_first END AS p
        FROM votes
    ) GROUP BY ALL
),
beats AS (
    SELECT prompt_id, judge_id, criterion, a_id AS winner, b_id AS loser FROM both_orders WHERE p > 0.5
    UNION ALL SELECT prompt_id, judge_id, criterion, b_id, a_id FROM both_orders WHERE p < 0.5
),
circles AS (
    SELECT x.prompt_id, x.judge_id, x.winner AS first_id, y.winner AS second_id, z.winner AS third_id,
           list_distinct([x.criterion, y.criterion, z.criterion]) AS used
    FROM beats x
    JOIN beats y ON y.prompt_id = x.prompt_id AND y.judge_id = x.judge_id AND y.winner = x.loser
    JOIN beats z ON z.prompt_id = y.prompt_id AND z.judge_id = y.judge_id AND z.winner = y.loser AND z.loser = x.winner
    WHERE x.winner < y.winner AND x.winner < z.winner
)
SELECT prompt_id, judge_id, first_id, second_id, third_id,
       list_sort(list_distinct(flatten(list(used)))) AS criteria,
       coalesce(list_sort(list_distinct(flatten(list(used) FILTER (len(used) = 1)))), []) AS alone
FROM circles GROUP BY ALL ORDER BY ALL
