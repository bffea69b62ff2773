-- Marks a pending op as cancelled. Its place in the queue stays, so that no ticket moves; whoever
-- decides it gives it the outcome `cancelled`, unless a helper had read it before the mark.
--
-- Includes  head, element, adopting
-- KEYS  1 head  2 queue  3 ops
-- ARGV  1 op_id
-- Returns
--   {0} when the branch is not in this Redis; else {code, ticket}
--   codes: 1 unknown op, 2 marked, 3 decided already
-- Cost   O(position in the queue).
local head_key, queue_key, ops_key = KEYS[1], KEYS[2], KEYS[3]
local op_id = ARGV[1]
local state, done, _, _, _, _, adopted = read_head(head_key, 'adopting')
if not state then
  return {0}
end
local known = redis.call('HGET', ops_key, op_id)
if not known then
  return {1, 0}
end
local ticket = tonumber(known)
if ticket <= done then
  return {3, ticket}
end
-- Its ticket may be the one that it will have behind a batch that is being adopted.
for _, ahead in ipairs({0, (adopting(adopted, done))}) do
  local index = ticket - done - 1 - ahead
  local element = index >= 0 and redis.call('LINDEX', queue_key, index)
  if element and op_of(element) == op_id then
    redis.call('LSET', queue_key, index, with_mark(element, 'C'))
    return {2, ticket}
  end
end
return {1, 0}
