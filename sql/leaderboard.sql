-- Which variant made the better model, by how much, how surely, and at what cost?
SELECT variant, round(accuracy, 3) AS accuracy, printf('%+.3f', gain) AS gain,
       printf('%+.3f to %+.3f', gain_low, gain_high) AS "interval", verdict,
       round(reward_accuracy, 2) AS reward_accuracy, n_pairs AS pairs, n_tokens AS trained_tokens,
       data_tokens, round(length_ratio, 2) AS length_ratio, round(train_seconds) AS train_s
FROM leaderboard ORDER BY leaderboard.accuracy DESC, variant
