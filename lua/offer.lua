-- Puts offers onto a board, where all who look find them for a while, and takes off it what has been there for too
-- long, so that it keeps no place. Who offers the same again, as after a lost reply, has offered it once.
--
-- Includes  clock
-- KEYS  1 board
--   last  absent: never there, so that a cluster refuses the call while the slot is on its way
-- ARGV
--   1 now: milliseconds, or '-' for this server's clock  2 life_ms: how long an offer is found
--   3 most: offers on the board, at the most  4 count: of offers
--   then count times  +1 offer: its id (36) and what is offered
-- Returns for each of them, in their order, 1 where it is on the board and 0 where there is no room for it
-- Cost   O(most * those that are there for too long + count).
local board_key = KEYS[1]
local now, life_ms, most, count = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local offers_at = 4
local now_ms = clock(now)
local until_ms = string.format('%016.0f', now_ms + tonumber(life_ms))
local there, depth = {}, 0
for _, entry in ipairs(redis.call('LRANGE', board_key, 0, -1)) do
  if tonumber(string.sub(entry, 1, 16)) <= now_ms then
    redis.call('LREM', board_key, 1, entry)
  else
    there[string.sub(entry, 17, 52)] = true
    depth = depth + 1
  end
end
local placed = {}
for at = offers_at, offers_at + count - 1, 1 do
  local offer = ARGV[at + 1]
  local id = string.sub(offer, 1, 36)
  if not there[id] and depth < most then
    redis.call('RPUSH', board_key, until_ms .. offer)
    there[id] = true
    depth = depth + 1
  end
  placed[#placed + 1] = there[id] and 1 or 0
end
redis.call('PEXPIRE', board_key, life_ms)
return placed
