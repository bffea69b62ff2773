-- Marks a pending op as cancelled. Its place in the queue stays, so that no ticket moves; whoever
-- decides it gives it the outcome `cancelled`, unless a helper had read it before the mark.
--
-- Includes  head, element
-- KEYS  1 head  2 queue  3 ops
-- ARGV  1 op_id
-- Returns
--   {0} when the branch is not in this Redis; else {code, ticket}
--   codes: 1 unknown op, 2 marked, 3 decided already
-- Cost   O(position in the queue).
local head_key, queue_key, ops_key = KEYS[1], KEYS[2], KEYS[3]
local op_id = ARGV[1]
local state, done = read_head(head_key)
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
local index = ticket - done - 1
local element = redis.call('LINDEX', queue_key, index)
if not element or op_of(element) ~= op_id then
  return {1, 0}
end
redis.call('LSET', queue_key, index, with_mark(element, 'C'))
return {2, ticket}
