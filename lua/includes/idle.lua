-- What Redis keeps of a branch that nobody works on. Outcomes and op ids outlive the last decision for a
-- while, so that what is repeated is recognised; what is pending must be remembered for as long as it is
-- pending. Rows of producers, and the head, are kept until the branch has ended.
--
-- Gives  wake(outcomes_key, ops_key): an op is pending
--        rest(outcomes_key, ops_key, idle_ms): nothing is pending
--        end_branch(head_key, producers_key, idle_ms): the branch has ended
-- Alone  'PERSIST', o  'PEXPIRE', outcomes_key  'PEXPIRE', ops_key  'PEXPIRE', head_key
local function wake(outcomes_key, ops_key)
  redis.call('PERSIST', outcomes_key)
  redis.call('PERSIST', ops_key)
end

local function rest(outcomes_key, ops_key, idle_ms)
  redis.call('PEXPIRE', outcomes_key, idle_ms)
  redis.call('PEXPIRE', ops_key, idle_ms)
end

local function end_branch(head_key, producers_key, idle_ms)
  redis.call('PEXPIRE', head_key, idle_ms)
  redis.call('PEXPIRE', producers_key, idle_ms)
end
