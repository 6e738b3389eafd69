-- Which pairs of responses does the lake know, whatever variant they are of or file they came from?
SELECT pair_id, any_value(chosen_id) AS chosen_id, any_value(rejected_id) AS rejected_id
FROM (
    SELECT pair_id, chosen_id, rejected_id FROM preferences
    UNION ALL
    SELECT pair_id, first_id, second_id FROM recorded_pairs
)
GROUP BY pair_id
ORDER BY pair_id
