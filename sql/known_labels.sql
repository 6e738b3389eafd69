-- Which side of a pair is known to be better? (right: P(chosen is better), by its verifier, else by annotators; verified: by its verifier; pairs: a frame)
WITH known AS (
    SELECT pairs.pair_id, (c.correct)::INT::DOUBLE AS "right", 0 AS place
    FROM pairs
    JOIN responses AS c ON c.response_id = pairs.chosen_id
    JOIN responses AS r ON r.response_id = pairs.rejected_id
    WHERE c.correct <> r.correct
    UNION ALL
    SELECT pairs.pair_id, k.label, 1
    FROM pairs JOIN recorded_pairs AS k ON k.first_id = pairs.chosen_id AND k.second_id = pairs.rejected_id
    WHERE k.label IS NOT NULL
    UNION ALL
    SELECT pairs.pair_id, 1 - k.label, 1
    FROM pairs JOIN recorded_pairs AS k ON k.second_id = pairs.chosen_id AND k.first_id = pairs.rejected_id
    WHERE k.label IS NOT NULL
)
SELECT pair_id, avg("right") AS "right", bool_and(place = 0) AS verified
FROM (SELECT *, min(place) OVER (PARTITION BY pair_id) AS best FROM known)
WHERE place = best
GROUP BY pair_id
ORDER BY pair_id
