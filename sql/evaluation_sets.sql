-- How does each variant do on each evaluation set, beside the base model and, on pairs, length alone: by how much, and how surely?
SELECT c.metric, c.variant, round(m.value, 3) AS value, round(m.base, 3) AS base, round(l.value, 3) AS length,
       printf('%+.3f [%+.3f, %+.3f]', c.gain, c.gain_low, c.gain_high) AS gain, round(c.p_holm, 4) AS "p, corrected", c.verdict, c.n_prompts AS prompts
FROM comparisons c
LEFT JOIN metrics m ON m.variant = c.variant AND m.metric = c.metric AND m.category = 'all'
LEFT JOIN metrics l ON l.variant = 'base' AND l.metric = replace(c.metric, 'ranking_accuracy', 'longer_right') AND c.metric LIKE 'ranking_accuracy%' AND l.category = 'all'
WHERE c.family IN ('sets', 'brought_sets') ORDER BY c.metric, m.value DESC, c.variant
