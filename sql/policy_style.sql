-- How long are each policy's responses, how many end by themselves and are right, and how many have lists, headings or code blocks?
-- Tokens are those of each policy's own tokenizer; shares that no verifier knows are null.
WITH texts AS (
    SELECT 'base' AS policy, policy_id, text, tokens, finish_reason, correct FROM responses
    UNION ALL
    SELECT policy, policy_id, text, tokens, finish_reason, correct FROM policy_responses
)
SELECT policy, policy_id, count(*) AS responses, round(avg((finish_reason = 'stop')::INT), 3) AS share_finished,
       round(avg(tokens), 1) AS mean_tokens, round(avg(length(text)), 1) AS mean_characters,
       round(avg(correct::INT), 3) AS share_right,
       round(avg(regexp_matches(text, '(?m)^\s*([-*+]|\d+[.)])\s')::INT), 3) AS share_with_lists,
       round(avg(regexp_matches(text, '(?m)^#{1,6}\s')::INT), 3) AS share_with_headings,
       round(avg(contains(text, '```')::INT), 3) AS share_with_code_blocks
FROM texts GROUP BY policy, policy_id ORDER BY policy <> 'base', policy, policy_id
