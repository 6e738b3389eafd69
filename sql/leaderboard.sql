-- Which variant made the better model, by which metric, by how much, how surely, and at what cost?
SELECT concat(variant, CASE WHEN brought_from IS NOT NULL THEN ' (elsewhere)' END) AS variant, coalesce(metric, 'accuracy') AS "ranked by", round(coalesce(value, accuracy), 3) AS value, printf('%+.3f [%+.3f, %+.3f]', gain, gain_low, gain_high) AS gain,
       verdict, n_prompts AS prompts, n_pairs AS pairs, n_tokens AS "trained tokens", n_steps AS steps, data_tokens AS "data tokens", round(length_ratio, 2) AS "length ratio",
       round(train_seconds)::INT AS "train s"
FROM leaderboard ORDER BY coalesce(leaderboard.value, accuracy) DESC, variant
