-- How often is a judged pair's chosen side the one that a verifier calls right, by strength? (Only pairs that it tells apart.)
SELECT f.variant, floor(least(f.strength, 0.999) * 10 + 1e-9) / 10 AS strength_from, count(*) AS pairs,
       round(avg(f.strength), 3) AS mean_strength, round(avg(c.correct::INT), 3) AS share_right
FROM preferences f
JOIN responses c ON c.response_id = f.chosen_id
JOIN responses r ON r.response_id = f.rejected_id AND c.correct <> r.correct
WHERE f.variant LIKE 'osp%'
GROUP BY ALL ORDER BY ALL
