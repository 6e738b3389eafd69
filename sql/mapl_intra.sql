-- Which response belongs more to one prompt than to another?
SELECT i.prompt_id, i.split, 0 AS depth, i.messages, i.other_messages AS rejected_messages, '' AS prefix,
       r.text AS chosen, r.text AS rejected, r.finish_reason = 'stop' AS chosen_ends,
       r.finish_reason = 'stop' AS rejected_ends, i.response_id AS chosen_id, i.response_id AS rejected_id,
       i.fulfilled - i.other_fulfilled AS margin, r.policy_id
FROM instructions i JOIN responses r USING (response_id)
WHERE i.kind = 'intra'
ORDER BY i.synthesis_id
