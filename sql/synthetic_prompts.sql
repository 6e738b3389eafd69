-- What do the synthetic prompts of $table ask, with the id of each? Of a chat, the user's last turn.
SELECT synthesis_id AS id, list_filter(messages, lambda turn: turn.role = 'user')[-1].content AS text FROM instructions WHERE $table = 'instructions'
UNION ALL
SELECT synthesis_id || ' worse', list_filter(other_messages, lambda turn: turn.role = 'user')[-1].content FROM instructions
WHERE $table = 'instructions' AND kind = 'intra'
UNION ALL
SELECT code_pair_id, list_filter(messages, lambda turn: turn.role = 'user')[-1].content FROM code_pairs WHERE $table = 'code_pairs'
ORDER BY 1
