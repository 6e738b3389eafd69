-- How many pairs does each variant have at each depth, and how far apart are their sides?
SELECT variant, split, depth, count(*) AS pairs, round(avg(margin), 3) AS mean_margin, round(avg(strength), 3) AS mean_strength
FROM preferences GROUP BY variant, split, depth ORDER BY variant, split, depth
