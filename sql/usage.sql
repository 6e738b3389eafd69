-- What has each step cost so far, over all runs: tokens, cache hits, seconds, and how full the batch was?
SELECT step, count(*) AS runs, sum(requests)::BIGINT AS requests, sum(cache_hits)::BIGINT AS cache_hits,
       sum(prompt_tokens)::BIGINT AS prompt_tokens, sum(sampled_tokens)::BIGINT AS sampled_tokens,
       sum(saved_tokens)::BIGINT AS saved_tokens, round(sum(seconds), 1) AS seconds,
       round(sum(occupancy * engine_seconds) / nullif(sum(engine_seconds), 0), 3) AS occupancy,
       round(sum(price), 6) AS price
FROM usage GROUP BY step ORDER BY sampled_tokens DESC, step
