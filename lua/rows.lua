-- Reads the rows of producers, and how far the branch was decided at that moment: a row fences by
-- what was decided up to there, neither less nor more.
--
-- KEYS  1 head  2 producers
-- ARGV  producers
-- Returns {0} when the branch is not in this Redis; else {1, done, row of each ('' for none)}
-- Cost  O(producers)
local done = redis.call('HGET', KEYS[1], 'done')
if not done then
  return {0}
end
local reply = {1, tonumber(done)}
for _, row in ipairs(redis.call('HMGET', KEYS[2], unpack(ARGV))) do
  reply[#reply + 1] = row or ''
end
return reply
