-- Which responses are good or bad on their own, as their verifier says? (BCO)
WITH texts AS (
    SELECT prompt_id, correct, text, min(response_id) AS response_id, any_value(policy_id) AS policy_id,
           bool_or(finish_reason = 'stop') AS ends
    FROM responses WHERE correct IS NOT NULL
    GROUP BY prompt_id, correct, text
)
SELECT t.prompt_id, p.split, p.messages, t.text, t.ends, t.correct AS desirable, t.response_id, t.policy_id
FROM texts t JOIN prompts p USING (prompt_id)
ORDER BY t.response_id
