-- What is known about which side of a judged pair is better: by a verifier, or by the annotators of an imported file?
SELECT a.prompt_id, a.response_id AS a_id, b.response_id AS b_id, a.correct::INT::DOUBLE AS label
FROM responses a
JOIN responses b ON b.prompt_id = a.prompt_id AND a.response_id < b.response_id AND a.correct <> b.correct
UNION ALL
SELECT prompt_id, first_id, second_id, label FROM recorded_pairs WHERE label IS NOT NULL
