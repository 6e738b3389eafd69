-- What is known about which side of a judged pair is better: by a verifier, or by the annotators of an imported file?
WITH texts AS (
    SELECT prompt_id, response_id, correct FROM responses
    UNION ALL SELECT prompt_id, response_id, correct FROM policy_responses
)
SELECT a.prompt_id, a.response_id AS a_id, b.response_id AS b_id, a.correct::INT::DOUBLE AS label
FROM texts a
JOIN texts b ON b.prompt_id = a.prompt_id AND a.response_id < b.response_id AND a.correct <> b.correct
UNION ALL
SELECT prompt_id, first_id, second_id, label FROM recorded_pairs WHERE label IS NOT NULL
