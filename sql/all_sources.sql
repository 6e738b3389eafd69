-- Which pairs do all imported sets hold together? Those whose better side is known, once each, and none that two sets order differently.
-- For a profile's `variants: [{name: sets, sql: .../all_sources.sql}]`: what a mixture such as ultramix.sql starts from.
WITH sided AS (
    SELECT sent.prompt_id, pairs.messages, pairs.pair_id,
           CASE WHEN label > 0.5 THEN "first" ELSE "second" END AS chosen,
           CASE WHEN label > 0.5 THEN "second" ELSE "first" END AS rejected,
           CASE WHEN label > 0.5 THEN first_id ELSE second_id END AS chosen_id,
           CASE WHEN label > 0.5 THEN second_id ELSE first_id END AS rejected_id,
           CASE WHEN label > 0.5 THEN first_score - second_score ELSE second_score - first_score END AS margin
    FROM recorded_pairs AS pairs
    JOIN source_prompts AS sent ON sent.origin = pairs.origin AND sent.recorded_id = pairs.prompt_id
    WHERE label <> 0.5 AND sent.split <> 'test' AND trim("first") <> trim("second") AND length("first") > 0 AND length("second") > 0
)
SELECT * EXCLUDE (pair_id) FROM sided
WINDOW same AS (PARTITION BY prompt_id, least(chosen, rejected), greatest(chosen, rejected))
QUALIFY row_number() OVER (PARTITION BY prompt_id, chosen, rejected ORDER BY pair_id) = 1
    AND min(chosen) OVER same = max(chosen) OVER same
ORDER BY chosen_id, rejected_id
