-- What do the synthetic prompts ask, with the id of each? Of a chat, the last turn.
SELECT synthesis_id, messages[-1].content AS text FROM instructions
UNION ALL
SELECT synthesis_id || ' worse', other_messages[-1].content FROM instructions WHERE kind = 'intra'
ORDER BY 1
