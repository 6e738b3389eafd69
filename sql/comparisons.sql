-- Who beats its control, and who beats whom: by how much, how surely, and how many prompts would it take?
SELECT family, variant, against, metric, printf('%+.3f [%+.3f, %+.3f]', gain, gain_low, gain_high) AS gain,
       round(effect_size, 2) AS d, round(p_holm, 4) AS "p, corrected", verdict, n_prompts AS prompts, prompts_needed AS "prompts needed"
FROM comparisons ORDER BY family, p_holm, variant, against
