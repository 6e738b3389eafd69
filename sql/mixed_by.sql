-- What do people mix pairs by? Of each pair its task, the quality and difficulty of its prompt, the margins of its scores and of reward models, its length.
SELECT pairs.variant, pairs.pair_id, pairs.prompt_id, pairs.split, any_value(prompts.task) AS task,
       avg(rated.quality) AS quality, avg(rated.difficulty) AS difficulty,
       any_value(pairs.margin) AS margin, any_value(voted.mean) AS reward_margin, any_value(voted.noise_score) AS noise_score,
       any_value(length(pairs.chosen)) AS chosen_chars, any_value(length(pairs.rejected)) AS rejected_chars
FROM preferences AS pairs
LEFT JOIN (SELECT prompt_id, task FROM source_prompts UNION ALL SELECT prompt_id, task FROM prompts) AS prompts USING (prompt_id)
LEFT JOIN prompt_ratings AS rated USING (prompt_id)
LEFT JOIN pair_strengths AS voted USING (pair_id)
GROUP BY ALL
ORDER BY pairs.variant, pairs.pair_id
