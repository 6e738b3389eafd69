-- Which prompt is each unit of an evaluation of: a test prompt, with a verifier or without, of which pool, a held-out pair, or a pair of which source?
SELECT prompt_id AS unit_id, prompt_id, verifier IS NOT NULL AS verified, pool FROM prompts WHERE split = 'test'
UNION
SELECT prompt_id, prompt_id, false, NULL FROM source_prompts
WHERE split = 'test' AND prompt_id NOT IN (SELECT prompt_id FROM prompts)
UNION
SELECT pair_id, prompt_id, false, NULL FROM preferences WHERE split = 'validation'
UNION
SELECT r.pair_id, p.prompt_id, false, r.origin
FROM recorded_pairs r JOIN source_prompts p ON p.origin = r.origin AND p.recorded_id = r.prompt_id WHERE p.split = 'test'
ORDER BY ALL
