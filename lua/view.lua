-- Looks at a branch: its head, the front of its queue, and whose turn it is to run a round.
--
-- The turn is advice against doing work twice, never a lock: it is granted when it is free, when
-- it has expired, when the caller holds it already, and always when the caller insists. One that
-- ends later than four turns from now was given before the clock went back, and counts as expired.
--
-- KEYS  1 head  2 queue  3 sealed
-- ARGV
--   1 now, milliseconds, or '-' for this server's clock   2 helper   3 turn, milliseconds
--   4 wish ('0' only look, '1' take the turn if free, '2' insist)   5 ops wanted at the most
-- Returns
--   {0} when the branch is not in this Redis; else
--   {1 open | 2 deleted, done, commit, position, depth, turn (1 mine), turn left in ms, sealed,
--    elements}; elements are empty when the turn is somebody else's, unless only looking
-- Cost   O(ops wanted).
local head_key, queue_key, sealed_key = KEYS[1], KEYS[2], KEYS[3]
local now_ms, helper, turn_ms = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local wish, wanted = ARGV[4], tonumber(ARGV[5])
if not now_ms then
  local time = redis.call('TIME')
  now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local head = redis.call('HMGET', head_key, 'state', 'done', 'commit', 'position', 'turn', 'turn_until')
if not head[1] then
  return {0}
end
local open = head[1] == 'open'
local depth = redis.call('LLEN', queue_key)
local turn, turn_left = 0, 0
local holder = head[5] or ''
local left = (tonumber(head[6]) or 0) - now_ms
if holder ~= '' and left > 0 and left <= turn_ms * 4 then
  turn_left = left
end
local free = turn_left == 0 or holder == helper
if open and depth > 0 and (wish == '2' or (wish == '1' and free)) then
  redis.call('HSET', head_key, 'turn', helper, 'turn_until', string.format('%d', now_ms + turn_ms))
  turn, turn_left = 1, turn_ms
end
local elements = {}
if wanted > 0 and (turn == 1 or wish == '0') then
  elements = redis.call('LRANGE', queue_key, 0, wanted - 1)
end
return {
  open and 1 or 2, tonumber(head[2]), head[3], tonumber(head[4]), depth, turn, turn_left,
  redis.call('LRANGE', sealed_key, 0, -1), elements,
}
