-- How much longer are the chosen texts of each variant than the rejected ones?
SELECT variant, count(*) AS pairs, round(avg(chosen_tokens), 1) AS chosen_tokens, round(avg(rejected_tokens), 1) AS rejected_tokens,
       sum(chosen_tokens) / nullif(sum(rejected_tokens), 0) AS ratio,
       round(avg(CASE WHEN chosen_tokens > rejected_tokens THEN 1.0 WHEN chosen_tokens = rejected_tokens THEN 0.5 ELSE 0 END), 3) AS chosen_is_longer
FROM preferences WHERE chosen_tokens IS NOT NULL AND rejected_tokens IS NOT NULL GROUP BY variant ORDER BY variant
