-- Takes staged changes back: of one path, of a prefix, or all, a bounded number a call.
--
-- Includes  areas, changes
-- KEYS  1 sealed  2 staged  3 paths
--       last  absent: never there, so that a cluster refuses the call while the slot is on its way
-- ARGV
--   1 lower  2 upper: bounds of ZRANGEBYLEX  3 paths_max
--   4 id: '' for the staging area, or that of an area that was given back
-- Returns the number of changes taken back; -1 when the area has an owner by now
-- Cost   O(log staged + paths).
local sealed_key, staged_key, paths_key = KEYS[1], KEYS[2], KEYS[3]
local lower, upper, paths_max, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local area = area_of(id, nobody)
if id ~= '' then
  local given_back = false
  for _, each in ipairs(redis.call('LRANGE', sealed_key, 0, -1)) do
    given_back = given_back or each == area
  end
  if not given_back then
    return -1
  end
end
local paths = redis.call('ZRANGEBYLEX', paths_key, lower, upper, 'LIMIT', 0, paths_max)
forget_all(staged_key, paths_key, paths)
if id ~= '' then
  drop_empty(sealed_key, area, staged_key)
end
return #paths
