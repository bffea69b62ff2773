-- Tells what became of ops, by op id.
--
-- Includes  head, outcomes
-- KEYS  1 head  2 outcomes  3 ops
-- ARGV  the op ids, at most 1,024
-- Returns
--   {0} when the branch is not in this Redis; else {1 open | 2 deleted, done, then per op:
--   code, ticket, record}; codes: 0 unknown, 2 pending, 3 decided (record '' if trimmed),
--   4 never decided: the branch ended before its turn came
-- Cost   O(number of ops).
local head_key, outcomes_key, ops_key = KEYS[1], KEYS[2], KEYS[3]
local state, done = read_head(head_key)
if not state then
  return {0}
end
local reply = {state, done}
for _, op_id in ipairs(ARGV) do
  local known = redis.call('HGET', ops_key, op_id)
  local code, ticket, record = 0, 0, ''
  if known then
    ticket = tonumber(known)
    code = state == open and 2 or 4
    if ticket <= done then
      code, record = 3, record_of(outcomes_key, ticket)
    end
  end
  reply[#reply + 1] = code
  reply[#reply + 1] = ticket
  reply[#reply + 1] = record
end
return reply
