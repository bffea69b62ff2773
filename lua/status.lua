-- Tells what became of ops, by op id.
--
-- KEYS  1 head  2 outcomes  3 ops
-- ARGV  op ids, at most 1,024
-- Returns
--   {0} when the branch is not in this Redis; else {1 open | 2 deleted, done, then per op:
--   code, ticket, record}; codes: 0 unknown, 2 pending, 3 decided (record '' if trimmed),
--   4 never decided: the branch ended before its turn came
-- Cost   O(number of ops).
local head_key, outcomes_key, ops_key = KEYS[1], KEYS[2], KEYS[3]
local head = redis.call('HMGET', head_key, 'state', 'done')
if not head[1] then
  return {0}
end
local done = tonumber(head[2])
local open = head[1] == 'open'
local reply = {open and 1 or 2, done}
for i = 1, #ARGV do
  local known = redis.call('HGET', ops_key, ARGV[i])
  local code, ticket, record = 0, 0, ''
  if known then
    ticket = tonumber(known)
    code = open and 2 or 4
    if ticket <= done then
      local id = string.format('%d-0', ticket)
      local found = redis.call('XRANGE', outcomes_key, id, id)
      code, record = 3, found[1] and found[1][2][4] or ''
    end
  end
  reply[#reply + 1] = code
  reply[#reply + 1] = ticket
  reply[#reply + 1] = record
end
return reply
