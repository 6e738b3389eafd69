-- Which pairs of several sets are worth learning from? One a prompt, of the better rated half of prompts, on whose order reward models agree with the label; of each
-- kind of task the harder ones, at most a quarter of all. (UltraMix-like, second-hand; all thresholds are our choice: copy the file and set yours.)
-- For a profile's `variants: [{name: ultramix, sql: .../ultramix.sql, source: sets}]`, with `noise: {source: sets}`: see all_sources.sql.
WITH tasks AS (
    SELECT prompt_id, any_value(task) AS task
    FROM (SELECT prompt_id, task FROM source_prompts UNION ALL SELECT prompt_id, task FROM prompts)
    GROUP BY prompt_id
),
rated AS (
    SELECT prompt_id, avg(quality) AS quality, avg(difficulty) AS difficulty FROM prompt_ratings GROUP BY prompt_id
),
best AS (
    SELECT source.*, tasks.task, rated.difficulty
    FROM source
    JOIN pair_strengths AS voted USING (pair_id)
    JOIN rated ON rated.prompt_id = source.prompt_id
    LEFT JOIN tasks ON tasks.prompt_id = source.prompt_id
    -- ratings of a judge order prompts, and say nothing by themselves
    WHERE voted.mean > 0 AND rated.quality >= (SELECT median(quality) FROM rated WHERE prompt_id IN (SELECT prompt_id FROM source))
    QUALIFY row_number() OVER (PARTITION BY source.prompt_id ORDER BY voted.mean DESC, pair_id) = 1
),
placed AS (
    SELECT *, row_number() OVER (PARTITION BY split, task ORDER BY difficulty DESC, pair_id) AS place,
           count(*) OVER (PARTITION BY split) AS whole
    FROM best
)
SELECT * EXCLUDE (task, difficulty, place, whole) FROM placed WHERE place <= ceil(whole / 4) ORDER BY pair_id
