-- Looks at a branch: its head, the front of its queue, and whose turn it is to run a round.
--
-- The turn is granted when it is free, when it has expired, when the caller holds it already, and
-- always when the caller insists.
--
-- Includes  clock, head, turn, front
-- KEYS  1 head  2 queue  3 sealed
-- ARGV
--   1 now: milliseconds, or '-' for this server's clock  2 helper  3 turn_ms
--   4 wish: '0' only look, '1' take the turn if free, '2' insist  5 wanted: ops, at the most
--   6 skip: ops in front of those wanted
-- Returns
--   {0} when the branch is not in this Redis; else
--   {1 open | 2 deleted, done, commit, position, depth, turn (1 mine), turn left in ms, sealed,
--    elements}; elements are empty when the turn is somebody else's, unless only looking
-- Cost   O(skip + wanted).
local head_key, queue_key, sealed_key = KEYS[1], KEYS[2], KEYS[3]
local now, helper, turn_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local wish, wanted, skip = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local now_ms = clock(now)

local state, done, commit, position, holder, until_ms = read_head(head_key)
if not state then
  return {0}
end
local depth = redis.call('LLEN', queue_key)
local turn, left = 0, turn_left(holder, until_ms, now_ms, turn_ms)
local is_free = left == 0 or holder == helper
if state == open and depth > 0 and (wish == '2' or (wish == '1' and is_free)) then
  redis.call('HSET', head_key, turn_fields(helper, now_ms + turn_ms))
  turn, left = 1, turn_ms
end
local elements = {}
if wanted > 0 and (turn == 1 or wish == '0') then
  elements = page_of(queue_key, skip, wanted)
end
return {
  state, done, commit, position, depth, turn, left,
  redis.call('LRANGE', sealed_key, 0, -1), elements,
}
