-- What do the prompts to learn from ask? Of a chat, the last turn.
SELECT prompt_id, messages[-1].content AS text FROM prompts WHERE split <> 'test' ORDER BY prompt_id
