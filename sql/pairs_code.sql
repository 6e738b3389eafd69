-- Which code is better than which, for pairs made by $methods: as execution says, and of those that have no tests, as the
-- critic says; with $tests only as execution says? Pairs that ran and are alike, or both fail, are left out.
-- A side is shown in a fenced block, as a model answers.
WITH directed AS (
    SELECT *, CASE WHEN $tests OR naive_passed IS NOT NULL THEN improved_is_better ELSE true END AS better,
           CASE decided_by WHEN 'correctness' THEN correctness_margin WHEN 'speed' THEN speed_margin
                           WHEN 'security' THEN security_margin END AS decided_margin
    FROM code_pairs WHERE list_contains($methods, method) AND split <> 'test'
)
SELECT prompt_id, split, 0 AS depth, messages, '' AS prefix, instruction, criteria, feedback,
       printf('```python%s%s%s```', chr(10), CASE WHEN better THEN improved ELSE naive END, chr(10)) AS chosen,
       printf('```python%s%s%s```', chr(10), CASE WHEN better THEN naive ELSE improved END, chr(10)) AS rejected,
       true AS chosen_ends, true AS rejected_ends,
       code_pair_id || CASE WHEN better THEN '.improved' ELSE '.naive' END AS chosen_id,
       code_pair_id || CASE WHEN better THEN '.naive' ELSE '.improved' END AS rejected_id,
       CASE WHEN $tests THEN 1.0::DOUBLE END AS strength,
       CASE WHEN $tests THEN abs(decided_margin) END AS margin, policy_id
FROM directed WHERE better IS NOT NULL
ORDER BY chosen_id, rejected_id
