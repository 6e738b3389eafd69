-- How many tokens a second has the engine sampled so far, over all steps?
SELECT sum(sampled_tokens) / nullif(sum(engine_seconds), 0) AS tokens_per_second FROM usage WHERE sampled_tokens > 0
