-- How well does each loss rank clean pairs when this share of its training labels was flipped?
SELECT loss, flipped_share, count(*) AS seeds, avg(accuracy) AS accuracy, min(accuracy_low) AS low, max(accuracy_high) AS high,
       avg(margin) AS margin, avg(train_accuracy) AS train_accuracy, any_value(n_pairs) AS pairs, any_value(n_held_out) AS held_out
FROM noise_sweep GROUP BY loss, flipped_share ORDER BY loss, flipped_share
