-- What does the evaluation ask? Of a chat, the user's last turn.
SELECT prompt_id, list_filter(messages, lambda turn: turn.role = 'user')[-1].content AS text FROM prompts WHERE split = 'test' ORDER BY prompt_id
