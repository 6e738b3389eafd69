-- To which category does each unit of an evaluation belong: a prompt to its pool and task, a pair to its variant?
SELECT prompt_id AS unit_id, concat(pool, ' / ', task) AS category FROM prompts WHERE split = 'test'
UNION ALL
SELECT pair_id, concat('pairs of ', variant) FROM preferences WHERE split = 'validation'
