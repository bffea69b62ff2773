-- Puts a branch into Redis as the log has it: a new branch, or one that Redis has lost.
--
-- One call for a short branch, several for a long one. They gather a draft that nobody reads, and each
-- says how much of it was there before: a Redis that lost some of it meanwhile must not be opened
-- with the rest. The last call puts the draft in the place of whatever is left of the branch, and
-- opens it by its head. What was still queued is in no log: whoever waits for it submits it again.
-- A branch that is there is left as it is.
--
-- KEYS  1 head  2 queue  3 outcomes  4 ops  5 producers  6 outcomes, 7 ops, 8 producers of the draft
-- ARGV
--   1 '1' with the last part   2 state   3 done   4 commit   5 position
--   6 outcomes, 7 producer rows in the draft before this part   8 how long a draft stays, milliseconds
--   9 number of outcomes (n)   10 number of producer rows (p)
--   11 how long an idle branch keeps its outcomes, milliseconds
--   then n x (ticket, op id, record) in ticket order, p x (producer, row)
-- Returns 1 when the part is in the draft (and the branch opened, with the last), 0 when the branch is
--         there, 2 when the draft is not what this part follows: begin another
-- Cost    O(n + p)
local head_key, queue_key = KEYS[1], KEYS[2]
local draft_outcomes, draft_ops, draft_producers = KEYS[6], KEYS[7], KEYS[8]
local last_part, state, done, commit, position = ARGV[1] == '1', ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local outcomes_before, rows_before, draft_ms = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local outcome_count, producer_count, idle_ms = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]
if redis.call('EXISTS', head_key) == 1 then
  return 0
end
local outcomes_there = redis.call('XLEN', draft_outcomes)
local rows_there = redis.call('HLEN', draft_producers)
local ops_are_there = redis.call('EXISTS', draft_ops) == 1
local follows = outcomes_there == outcomes_before and rows_there == rows_before
local is_repeated = outcomes_there == outcomes_before + outcome_count
  and rows_there == rows_before + producer_count
if not (follows or is_repeated) or ops_are_there ~= (outcomes_there > 0) then
  return 2
end
if not is_repeated then
  local at = 11
  for _ = 1, outcome_count do
    local ticket, op_id, record = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    redis.call('XADD', draft_outcomes, ticket .. '-0', 'o', op_id, 'r', record)
    redis.call('HSET', draft_ops, op_id, ticket)
    at = at + 3
  end
  for _ = 1, producer_count do
    redis.call('HSET', draft_producers, ARGV[at + 1], ARGV[at + 2])
    at = at + 2
  end
end
if not last_part then
  for _, key in ipairs({ draft_outcomes, draft_ops, draft_producers }) do
    redis.call('PEXPIRE', key, draft_ms)
  end
  return 1
end
-- First what Redis refuses when it is out of memory: then nothing has happened.
redis.call('HSET', head_key, 'state', state, 'done', done, 'commit', commit,
  'position', position, 'turn', '', 'turn_until', '0')
redis.call('UNLINK', queue_key, KEYS[3], KEYS[4], KEYS[5])
for i = 3, 5 do
  local place, draft = KEYS[i], KEYS[i + 3]
  if redis.call('EXISTS', draft) == 1 then
    redis.call('RENAME', draft, place)
    redis.call('PERSIST', place)
  end
end
-- Nothing is queued yet.
redis.call('PEXPIRE', KEYS[3], idle_ms)
redis.call('PEXPIRE', KEYS[4], idle_ms)
if state == 'deleted' then
  redis.call('PEXPIRE', head_key, idle_ms)
  redis.call('PEXPIRE', KEYS[5], idle_ms)
end
return 1
