-- Which prompts may be learned from?
SELECT prompt_id FROM prompts WHERE split = 'train'
UNION SELECT prompt_id FROM code_pairs WHERE split = 'train'
UNION SELECT prompt_id FROM source_prompts WHERE split = 'train'
ORDER BY ALL
