-- How many sampled tokens does each source table cost made alone, completions shared through the cache included, and from how many prompts?
SELECT 'responses' AS source, coalesce(sum(tokens), 0)::BIGINT AS tokens, count(DISTINCT prompt_id) AS prompts FROM responses
UNION ALL
SELECT 'tree_nodes', coalesce(sum(tokens), 0)::BIGINT, count(DISTINCT prompt_id) FROM tree_nodes WHERE method = 'best_first'
UNION ALL
SELECT 'thought_nodes', coalesce(sum(tokens), 0)::BIGINT, count(DISTINCT prompt_id) FROM tree_nodes WHERE method = 'tot'
UNION ALL
SELECT 'preference_lists', 0, count(DISTINCT prompt_id) FROM preference_lists -- made from trees: nothing is sampled
UNION ALL
SELECT 'votes', coalesce(sum(tokens), 0)::BIGINT, count(DISTINCT prompt_id) FROM votes WHERE origin = 'responses'
UNION ALL
SELECT 'rationales', coalesce(sum(tokens), 0)::BIGINT, count(DISTINCT prompt_id) FROM (
    SELECT tokens, prompt_id FROM rationales
    UNION ALL -- what was written in vain is paid for too
    SELECT ("row"->>'tokens')::BIGINT, "row"->>'prompt_id' FROM rejects WHERE "table" = 'rationales'
)
UNION ALL
SELECT 'principles', coalesce(sum(tokens), 0)::BIGINT, count(DISTINCT prompt_id) FROM (
    SELECT tokens, prompt_id FROM principles
    UNION ALL -- feedback that led to no principle is paid for too
    SELECT ("row"->>'tokens')::BIGINT, "row"->>'prompt_id' FROM rejects WHERE "table" = 'principles'
)
UNION ALL
SELECT 'pair_strengths', 0, 0 -- reward heads read texts and sample none
UNION ALL
SELECT 'instructions', coalesce(sum(tokens), 0)::BIGINT, count(DISTINCT prompt_id) FROM instructions -- of rewording only
UNION ALL
SELECT 'code_pairs', coalesce(sum(tokens), 0)::BIGINT, count(DISTINCT prompt_id) FROM (
    SELECT tokens, prompt_id FROM code_pairs
    UNION ALL -- drafts, revisions and chats that came to nothing
    SELECT ("row"->>'tokens')::BIGINT, NULL FROM rejects WHERE "table" = 'code_pairs'
)
UNION ALL
SELECT 'unpaired', 0, count(DISTINCT prompt_id) FROM unpaired -- made from responses: nothing is sampled
