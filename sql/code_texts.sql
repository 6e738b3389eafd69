-- Which programs are learned from ($side 'synthetic': both codes of each pair) or judged by ($side 'test': references)?
SELECT code_pair_id || '.naive' AS id, naive AS text FROM code_pairs WHERE $side = 'synthetic'
UNION ALL
SELECT code_pair_id || '.improved', improved FROM code_pairs WHERE $side = 'synthetic'
UNION ALL
SELECT prompt_id, answer FROM prompts WHERE $side = 'test' AND split = 'test' AND verifier = 'code' AND answer IS NOT NULL
ORDER BY 1
