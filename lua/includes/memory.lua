-- How much of a branch's past this Redis knows. Op ids go with their outcomes: those of a branch that is
-- idle go after a while, all of them, and the newest can be had from the log again, as after a loss.
--
-- Gives  has_forgotten(ops_key, depth, done, remembered): whether fewer decided ops are known than the
--        log brings back; depth: ops in the queue, which are known too
-- Alone  'HLEN', ops_key
local function has_forgotten(ops_key, depth, done, remembered)
  return redis.call('HLEN', ops_key) - depth < math.min(done, remembered)
end
