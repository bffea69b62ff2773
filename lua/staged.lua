-- Reads staged changes, together with the head they stand on, from one moment.
--
-- Serves the staging area and, with an area's keys in place of the staging area's, sealed ones.
--
-- Includes  head
-- KEYS  1 head  2 staged  3 paths  4 sealed
-- ARGV
--   1 kind: 'range' or 'paths'
--   of a range  2 lower  3 upper: bounds of ZRANGEBYLEX  4 paths_max
--   else, from 2 on, the paths
-- Returns
--   {0} when the branch is not in this Redis; else {1 open | 2 deleted, done, commit, position,
--   sealed, values}; values alternate path and value, paths that are not staged left out
-- Cost   O(log staged + paths).
local head_key, staged_key, paths_key, sealed_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local kind, lower, upper, paths_max = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local state, done, commit, position = read_head(head_key)
if not state then
  return {0}
end
local paths
if kind == 'range' then
  paths = redis.call('ZRANGEBYLEX', paths_key, lower, upper, 'LIMIT', 0, paths_max)
else
  paths = {unpack(ARGV, 2)}
end
local values = {}
-- One command for all of them: calls cost more than what they do.
if #paths > 0 and redis.call('EXISTS', staged_key) == 1 then
  local found = redis.call('HMGET', staged_key, unpack(paths))
  for i, path in ipairs(paths) do
    if found[i] then
      values[#values + 1] = path
      values[#values + 1] = found[i]
    end
  end
end
return {
  state, done, commit, position,
  redis.call('LRANGE', sealed_key, 0, -1), values,
}
