-- Tells what is offered on a board, and takes off it what has been there for too long and what is taken back.
--
-- Includes  clock
-- KEYS  1 board
--   last  absent: never there, so that a cluster refuses the call while the slot is on its way
-- ARGV
--   1 now: milliseconds, or '-' for this server's clock  2 count: of offers that are taken back
--   then count times  +1 id
-- Returns the offers that stay, oldest first
-- Cost   O(offers on the board * (1 + count)).
local board_key = KEYS[1]
local now, count = ARGV[1], tonumber(ARGV[2])
local ids_at = 2
local now_ms = clock(now)
local gone, told = {}, {}
for at = ids_at, ids_at + count - 1, 1 do
  local id = ARGV[at + 1]
  gone[id] = true
end
for _, entry in ipairs(redis.call('LRANGE', board_key, 0, -1)) do
  local until_ms, offer = tonumber(string.sub(entry, 1, 16)), string.sub(entry, 17)
  if until_ms <= now_ms or gone[string.sub(offer, 1, 36)] then
    redis.call('LREM', board_key, 1, entry)
  else
    told[#told + 1] = offer
  end
end
return told
