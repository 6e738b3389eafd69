-- Which labels of the voted pairs does a verifier know to be right (1) or wrong (0)?
SELECT s.chosen_id, s.rejected_id, (c.correct)::DOUBLE AS "right"
FROM pair_strengths AS s
JOIN responses AS c ON c.response_id = s.chosen_id
JOIN responses AS r ON r.response_id = s.rejected_id
WHERE c.correct IS NOT NULL AND r.correct IS NOT NULL AND c.correct <> r.correct
ORDER BY ALL
