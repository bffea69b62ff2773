-- Reads the rows of producers, and how far the branch was decided at that moment: a row fences by
-- what was decided up to there, neither less nor more.
--
-- Includes  head
-- KEYS  1 head  2 producers
-- ARGV  the producers
-- Returns {0} when the branch is not in this Redis; else {1, done, row of each ('' for none)}
-- Cost   O(producers).
local head_key, producers_key = KEYS[1], KEYS[2]
local state, done = read_head(head_key)
if not state then
  return {0}
end
local reply = {1, done}
for _, row in ipairs(redis.call('HMGET', producers_key, unpack(ARGV))) do
  reply[#reply + 1] = row or ''
end
return reply
