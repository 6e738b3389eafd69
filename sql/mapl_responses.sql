-- Which different responses are there to each prompt, with the prompt's turns, answer, and instructions of its own?
SELECT r.prompt_id, any_value(p.split) AS split, any_value(p.messages) AS messages, min(r.response_id) AS response_id,
       any_value(CASE WHEN p.verifier IS DISTINCT FROM 'instructions' THEN p.answer END) AS answer,
       any_value(CASE WHEN p.verifier = 'instructions' THEN p.metadata END) AS own, r.text
FROM responses r JOIN prompts p USING (prompt_id)
WHERE p.split <> 'test'
GROUP BY r.prompt_id, r.text
ORDER BY response_id
