-- How well does a reward model rank held-out pairs after each treatment of flipped labels, beside its control?
SELECT printf('%.0f %%', 100 * flipped_share) AS flipped, name AS treatment,
       printf('%.3f [%.3f, %.3f]', value, low, high) AS "held-out accuracy",
       printf('%+.3f [%+.3f, %+.3f]', gain, gain_low, gain_high) AS "gain over none", n AS pairs
FROM noise_tests WHERE metric = 'accuracy'
ORDER BY flipped_share, value DESC, name
