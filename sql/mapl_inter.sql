-- Which two prompts set one response against another? (x', a) and (x, b): a fulfils what x' adds to x, b violates it.
-- One row is one term of the loss, which reads both texts under both prompts.
SELECT i.prompt_id, i.split, 0 AS depth, i.messages, i.other_messages AS rejected_messages, '' AS prefix,
       a.text AS chosen, b.text AS rejected, a.finish_reason = 'stop' AS chosen_ends,
       b.finish_reason = 'stop' AS rejected_ends, a.response_id AS chosen_id, b.response_id AS rejected_id,
       i.fulfilled - i.other_fulfilled AS margin, a.policy_id
FROM instructions i
JOIN responses a USING (response_id)
JOIN responses b ON b.response_id = i.other_id
WHERE i.kind = 'inter'
ORDER BY i.synthesis_id
