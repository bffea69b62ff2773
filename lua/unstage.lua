-- Takes staged changes back: of one path, of a prefix, or all, a bounded number a call.
--
-- KEYS  1 sealed  2 staged  3 paths
--       4 absent: never there, so that a cluster refuses the call while the slot is on its way
-- ARGV
--   1 lower and 2 upper bound (ZRANGEBYLEX)   3 paths at the most
--   4 '' for the staging area, or the id of an area that was given back
-- Returns the number of changes taken back; -1 when the area has an owner by now
-- Cost   O(log staged + paths).
local sealed_key, staged_key, paths_key, area = KEYS[1], KEYS[2], KEYS[3], ARGV[4]
local entry = area .. string.rep(' ', 36)
if area ~= '' then
  local given_back = false
  for _, each in ipairs(redis.call('LRANGE', sealed_key, 0, -1)) do
    given_back = given_back or each == entry
  end
  if not given_back then
    return -1
  end
end
local paths = redis.call('ZRANGEBYLEX', paths_key, ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
for _, path in ipairs(paths) do
  redis.call('HDEL', staged_key, path)
  redis.call('ZREM', paths_key, path)
end
if area ~= '' and redis.call('EXISTS', staged_key) == 0 then
  redis.call('LREM', sealed_key, 1, entry)
end
return #paths
