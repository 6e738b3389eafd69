-- How long is every response that a judge may have seen, and who wrote it?
SELECT response_id, length(text) AS chars, policy_id FROM responses
UNION ALL SELECT response_id, length(text), policy_id FROM policy_responses
UNION ALL SELECT first_id, length("first"), first_policy FROM recorded_pairs
UNION ALL SELECT second_id, length("second"), second_policy FROM recorded_pairs
