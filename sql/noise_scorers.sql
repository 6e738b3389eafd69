-- Which score finds labels that were flipped on purpose? (k = how many were; 95 % intervals)
SELECT printf('%.0f %%', 100 * flipped_share) AS flipped, name AS scorer,
       max(printf('%.3f [%.3f, %.3f]', value, low, high)) FILTER (metric = 'auroc') AS AUROC,
       max(printf('%.3f [%.3f, %.3f]', value, low, high)) FILTER (metric = 'precision_at_k') AS "precision at k"
FROM noise_tests WHERE kind = 'scorer'
GROUP BY flipped_share, name
ORDER BY flipped_share, max(value) FILTER (metric = 'auroc') DESC, name
