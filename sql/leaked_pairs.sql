-- Which pairs belong to a test prompt, or carry another split than their prompt?
SELECT f.pair_id, f.prompt_id, f.split, p.split AS prompt_split
FROM preferences f
LEFT JOIN (
    SELECT prompt_id, split FROM prompts
    UNION SELECT prompt_id, split FROM code_pairs
    UNION SELECT prompt_id, split FROM source_prompts
) p USING (prompt_id)
WHERE p.split IS DISTINCT FROM f.split OR f.split = 'test'
ORDER BY f.pair_id
