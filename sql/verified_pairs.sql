-- Which two responses to one prompt has a verifier told apart? (label: 1 where a is the right one, 0 where b is)
SELECT a.prompt_id, p.split, a.response_id AS a_id, b.response_id AS b_id, a.correct::INT::DOUBLE AS label
FROM responses a
JOIN responses b ON b.prompt_id = a.prompt_id AND a.response_id < b.response_id AND a.correct <> b.correct
JOIN prompts p ON p.prompt_id = a.prompt_id
ORDER BY a_id, b_id
