-- Keeps the turn a while longer, for a round that is long because its batch is.
--
-- Includes  clock, head, turn
-- KEYS  1 head
-- ARGV  1 now: milliseconds, or '-' for this server's clock  2 helper  3 turn_ms
-- Returns 1 when the turn was the caller's and still is, else 0
-- Cost   O(1).
local head_key = KEYS[1]
local now, helper, turn_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local now_ms = clock(now)
local state, _, _, _, holder = read_head(head_key)
if not state or holder ~= helper then
  return 0
end
redis.call('HSET', head_key, turn_fields(helper, now_ms + turn_ms))
return 1
