-- Keeps the turn a while longer, for a round that is long because its batch is.
--
-- KEYS  1 head
-- ARGV  1 now, milliseconds, or '-' for this server's clock   2 helper   3 turn, milliseconds
-- Returns 1 when the turn was the caller's and still is, else 0
-- Cost   O(1).
local head_key = KEYS[1]
local now_ms, helper, turn_ms = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
if not now_ms then
  local time = redis.call('TIME')
  now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
if redis.call('HGET', head_key, 'turn') ~= helper then
  return 0
end
redis.call('HSET', head_key, 'turn_until', string.format('%d', now_ms + turn_ms))
return 1
