-- To which category does each unit of an evaluation belong: a prompt to its pool and task, a pair to its variant, or to its source and the subset that the file names?
SELECT prompt_id AS unit_id, concat(pool, ' / ', task) AS category FROM prompts WHERE split = 'test'
UNION ALL
SELECT pair_id, concat('pairs of ', variant) FROM preferences WHERE split = 'validation'
UNION ALL
SELECT r.pair_id, concat('pairs of ', r.origin, CASE WHEN r.subset <> '' THEN concat(' / ', r.subset) END)
FROM (SELECT pair_id, origin, prompt_id, coalesce(metadata->>'subset', metadata->>'category', metadata->>'source', '') AS subset FROM recorded_pairs) r
JOIN source_prompts p ON p.origin = r.origin AND p.recorded_id = r.prompt_id WHERE p.split = 'test'
