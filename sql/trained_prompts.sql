-- Which prompts does training read, both sides' contexts, with an id of one row that has each? Of a chat, the user's last turn.
WITH contexts AS (
    SELECT pair_id AS id, messages FROM preferences
    UNION ALL SELECT pair_id || ' worse', rejected_messages FROM preferences WHERE rejected_messages IS NOT NULL
    UNION ALL SELECT list_id, messages FROM preference_lists
    UNION ALL SELECT unpaired_id, messages FROM unpaired
)
SELECT min(id) AS id, list_filter(messages, lambda turn: turn.role = 'user')[-1].content AS text FROM contexts GROUP BY text ORDER BY id
