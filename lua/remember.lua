-- Puts back which ops were decided, where a branch that was idle has forgotten it: op ids and tickets, a
-- bounded number a call. What became of them is in the log.
--
-- Includes  head, idle, memory
-- KEYS  1 head  2 queue  3 outcomes  4 ops
-- ARGV
--   1 remembered: ops that are to be known, at the least  2 idle_ms: how long an idle branch keeps them
--   3 count: of ops
--   then count times  +1 op_id  +2 ticket
-- Returns
--   0 when the branch is not in this Redis, 1 when so many are known, 2 when not
-- Cost   O(count).
local head_key, queue_key, outcomes_key, ops_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local remembered, idle_ms, count = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local ops_at = 3

local state, done = read_head(head_key)
if not state then
  return 0
end
local depth = redis.call('LLEN', queue_key)
for i = 1, count do
  local at = ops_at + (i - 1) * 2
  local op_id, ticket = ARGV[at + 1], ARGV[at + 2]
  -- A Redis that fell back meanwhile has not decided it.
  if tonumber(ticket) <= done and not redis.call('HGET', ops_key, op_id) then
    redis.call('HSET', ops_key, op_id, ticket)
  end
end
if depth == 0 then
  rest(outcomes_key, ops_key, idle_ms)
end
return has_forgotten(ops_key, depth, done, remembered) and 2 or 1
