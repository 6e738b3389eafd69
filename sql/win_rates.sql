-- Which share of its comparisons does each response win, and where does it stand? (SPO's reward; Copeland: wins less losses)
WITH both_orders AS ( -- a pair whose orders disagree, or of which one is a tie, is half won by each side
    SELECT prompt_id, judge_id, criterion, a_id, b_id,
           CASE WHEN min(round(p - 0.5, 9)) > 0 OR max(round(p - 0.5, 9)) < 0 THEN avg(p) ELSE 0.5 END AS p
    FROM (
        SELECT *, least(first_id, second_id) AS a_id, greatest(first_id, second_id) AS b_id,
               CASE WHEN first_id < second_id THEN p_first ELSE 1 - p_first END AS p
        FROM votes
    ) GROUP BY ALL
),
sides AS (
    SELECT prompt_id, judge_id, criterion, a_id AS response_id, p FROM both_orders
    UNION ALL SELECT prompt_id, judge_id, criterion, b_id, 1 - p FROM both_orders
),
scored AS (
    SELECT prompt_id, judge_id, criterion, response_id, count(*) AS comparisons, avg(p) AS win_rate,
           sum(sign(round(p - 0.5, 12)))::INT AS copeland
    FROM sides GROUP BY ALL
)
SELECT *, rank() OVER (PARTITION BY prompt_id, judge_id, criterion ORDER BY copeland DESC) AS copeland_rank
FROM scored ORDER BY prompt_id, judge_id, criterion, copeland_rank, win_rate DESC, response_id
