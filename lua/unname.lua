-- Removes a branch's name, if it still stands for that incarnation.
--
-- KEYS  1 branches: hash tag {repo}
-- ARGV  1 name  2 uid
-- Returns 1 when removed, 0 when the name is gone or stands for another incarnation
-- Cost   O(1).
local branches_key = KEYS[1]
local name, uid = ARGV[1], ARGV[2]
if redis.call('HGET', branches_key, name) == uid then
  redis.call('HDEL', branches_key, name)
  return 1
end
return 0
