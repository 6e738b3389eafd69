-- Which share of each pool's trees learned nothing, because every step was valued 0, or every step 1?
-- A tree without steps, of which only a probe's rollouts are kept, counts by its root's value.
WITH valued AS (
    SELECT * FROM tree_nodes WHERE kind <> 'rollout' AND value IS NOT NULL
    QUALIFY kind = 'step' OR NOT bool_or(kind = 'step') OVER (PARTITION BY tree_id)
),
trees AS (
    SELECT prompt_id, tree_id, method, min(value) AS low, max(value) AS high FROM valued
    GROUP BY prompt_id, tree_id, method
)
SELECT pool, method, count(*) AS trees, count(*) FILTER (high = 0) AS all_wrong, count(*) FILTER (low = 1) AS all_right,
       round(count(*) FILTER (high = 0 OR low = 1) / count(*), 4) AS flat
FROM trees JOIN prompts USING (prompt_id) GROUP BY pool, method ORDER BY pool, method
