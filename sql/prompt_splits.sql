-- Which split is each prompt in, wherever it comes from?
SELECT prompt_id, split FROM prompts
UNION SELECT prompt_id, split FROM code_pairs
UNION SELECT prompt_id, split FROM source_prompts
ORDER BY ALL
