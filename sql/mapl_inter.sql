-- Which two prompt-level pairs make up each inter-sample comparison?
-- (x', a) over (x, a), and (x, b) over (x', b): a fulfils what x' adds to x, b violates it.
SELECT i.prompt_id, i.split, 0 AS depth, side.turns AS messages, side.other_turns AS rejected_messages, '' AS prefix,
       r.text AS chosen, r.text AS rejected, r.finish_reason = 'stop' AS chosen_ends,
       r.finish_reason = 'stop' AS rejected_ends, r.response_id AS chosen_id, r.response_id AS rejected_id,
       i.fulfilled - i.other_fulfilled AS margin, i.synthesis_id AS partner_id, r.policy_id
FROM (
    SELECT *, unnest([
        {'id': response_id, 'turns': messages, 'other_turns': other_messages},
        {'id': other_id, 'turns': other_messages, 'other_turns': messages}
    ]) AS side
    FROM instructions
    WHERE kind = 'inter'
) i JOIN responses r ON r.response_id = i.side.id
ORDER BY partner_id, chosen_id
