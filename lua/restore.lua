-- Puts a branch into Redis as the log has it: a new branch, or one that Redis has lost.
--
-- Called once for a short branch; for a long one several times, the last call with the head, whose
-- presence opens the branch. A branch that is there already is left as it is.
--
-- KEYS  1 head  2 outcomes  3 ops  4 producers
-- ARGV
--   1 '1' with the last part   2 state   3 done   4 commit   5 position
--   6 number of outcomes (n)   7 number of producer rows (p)
--   then n x (ticket, op id, record) in ticket order, p x (producer, row)
-- Returns 1 when the part was taken (and the branch opened, with the last), 0 when the branch is there
-- Cost   O(n + p).
local head_key, outcomes_key, ops_key, producers_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local last_part, state, done, commit, position = ARGV[1] == '1', ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local outcome_count, producer_count = tonumber(ARGV[6]), tonumber(ARGV[7])
if redis.call('EXISTS', head_key) == 1 then
  return 0
end
local newest = redis.call('XREVRANGE', outcomes_key, '+', '-', 'COUNT', 1)
local newest_ticket = newest[1] and tonumber(string.match(newest[1][1], '^%d+')) or 0
local at = 7
for _ = 1, outcome_count do
  local ticket, op_id, record = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  if tonumber(ticket) > newest_ticket then
    redis.call('XADD', outcomes_key, ticket .. '-0', 'o', op_id, 'r', record)
  end
  redis.call('HSET', ops_key, op_id, ticket)
  at = at + 3
end
for _ = 1, producer_count do
  redis.call('HSET', producers_key, ARGV[at + 1], ARGV[at + 2])
  at = at + 2
end
if last_part then
  redis.call('HSET', head_key, 'state', state, 'done', done, 'commit', commit,
    'position', position, 'turn', '', 'turn_until', '0')
end
return 1
