-- Which prompt is each unit of an evaluation of: a test prompt, with a verifier or without, of which pool, or a held-out pair?
SELECT prompt_id AS unit_id, prompt_id, verifier IS NOT NULL AS verified, pool FROM prompts WHERE split = 'test'
UNION
SELECT prompt_id, prompt_id, false, NULL FROM source_prompts
WHERE split = 'test' AND prompt_id NOT IN (SELECT prompt_id FROM prompts)
UNION
SELECT pair_id, prompt_id, false, NULL FROM preferences WHERE split = 'validation'
ORDER BY ALL
