-- What do the synthetic prompts of $table ask, with the id of each? Of a chat, the last turn.
SELECT synthesis_id AS id, messages[-1].content AS text FROM instructions WHERE $table = 'instructions'
UNION ALL
SELECT synthesis_id || ' worse', other_messages[-1].content FROM instructions
WHERE $table = 'instructions' AND kind = 'intra'
UNION ALL
SELECT code_pair_id, messages[-1].content FROM code_pairs WHERE $table = 'code_pairs'
ORDER BY 1
