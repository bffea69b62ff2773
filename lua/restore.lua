-- Puts a branch into Redis as the log has it: a new branch, or one that Redis has lost.
--
-- One call for a short branch, several for a long one. They gather a draft that nobody reads, and each
-- says how much of it was there before: a Redis that lost some of it meanwhile must not be opened
-- with the rest. The last call puts the draft in the place of whatever is left of the branch, and
-- opens it by its head. What was still queued is in no log: whoever waits for it submits it again.
-- A branch that is there is left as it is.
--
-- Includes  turn, outcomes, idle
-- KEYS  1 head  2 queue  3 outcomes  4 ops  5 producers
--       of the draft  6 draft_outcomes  7 draft_ops  8 draft_producers
-- ARGV
--   1 last_part: '1' or '0'  2 state  3 done  4 commit  5 position
--   in the draft before this part  6 outcomes_before  7 rows_before
--   8 draft_ms: how long a draft stays  9 outcome_count  10 producer_count
--   11 idle_ms: how long an idle branch keeps its outcomes
--   then outcome_count times, in ticket order  +1 ticket  +2 op_id  +3 record
--   then producer_count times  +1 producer  +2 row
-- Returns 1 when the part is in the draft (and the branch opened, with the last), 0 when the branch is
--         there, 2 when the draft is not what this part follows: begin another
-- Cost   O(outcome_count + producer_count).
local head_key, queue_key, outcomes_key, ops_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local producers_key = KEYS[5]
local draft_outcomes_key, draft_ops_key, draft_producers_key = KEYS[6], KEYS[7], KEYS[8]
local last_part, state, done, commit, position = ARGV[1] == '1', ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local outcomes_before, rows_before, draft_ms = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local outcome_count, producer_count, idle_ms = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]
local outcomes_at = 11
local rows_at = outcomes_at + outcome_count * 3

if redis.call('EXISTS', head_key) == 1 then
  return 0
end
local outcomes_there = redis.call('XLEN', draft_outcomes_key)
local rows_there = redis.call('HLEN', draft_producers_key)
local ops_are_there = redis.call('EXISTS', draft_ops_key) == 1
local follows = outcomes_there == outcomes_before and rows_there == rows_before
local is_repeated = outcomes_there == outcomes_before + outcome_count
  and rows_there == rows_before + producer_count
if not (follows or is_repeated) or ops_are_there ~= (outcomes_there > 0) then
  return 2
end
if not is_repeated then
  for i = 1, outcome_count do
    local at = outcomes_at + (i - 1) * 3
    local ticket, op_id, record = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    add_outcome(draft_outcomes_key, ticket, op_id, record)
    redis.call('HSET', draft_ops_key, op_id, ticket)
  end
  for i = 1, producer_count do
    local at = rows_at + (i - 1) * 2
    local producer, row = ARGV[at + 1], ARGV[at + 2]
    redis.call('HSET', draft_producers_key, producer, row)
  end
end
if not last_part then
  for _, key in ipairs({ draft_outcomes_key, draft_ops_key, draft_producers_key }) do
    redis.call('PEXPIRE', key, draft_ms)
  end
  return 1
end

-- First what Redis refuses when it is out of memory: then nothing has happened.
redis.call('HSET', head_key, 'state', state, 'done', done, 'commit', commit,
  'position', position, turn_fields('', 0))
redis.call('UNLINK', queue_key, outcomes_key, ops_key, producers_key)
local function take_place(draft, place)
  if redis.call('EXISTS', draft) == 1 then
    redis.call('RENAME', draft, place)
    redis.call('PERSIST', place)
  end
end
take_place(draft_outcomes_key, outcomes_key)
take_place(draft_ops_key, ops_key)
take_place(draft_producers_key, producers_key)
-- Nothing is queued yet.
rest(outcomes_key, ops_key, idle_ms)
if state == 'deleted' then
  end_branch(head_key, producers_key, idle_ms)
end
return 1
