-- Marks a pending op as cancelled. Its place in the queue stays, so that no ticket moves; whoever
-- decides it gives it the outcome `cancelled`, unless a helper had read it before the mark.
--
-- KEYS  1 head  2 queue  3 ops
-- ARGV  1 op id
-- Returns
--   {0} when the branch is not in this Redis; else {code, ticket}
--   codes: 1 unknown op, 2 marked, 3 decided already
-- Cost   O(position in the queue).
local head_key, queue_key, ops_key, op_id = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local done = redis.call('HGET', head_key, 'done')
if not done then
  return {0}
end
local known = redis.call('HGET', ops_key, op_id)
if not known then
  return {1, 0}
end
local ticket = tonumber(known)
if ticket <= tonumber(done) then
  return {3, ticket}
end
local index = ticket - tonumber(done) - 1
local element = redis.call('LINDEX', queue_key, index)
if not element or string.sub(element, 1, 36) ~= op_id then
  return {1, 0}
end
redis.call('LSET', queue_key, index, op_id .. 'C' .. string.sub(element, 38))
return {2, ticket}
