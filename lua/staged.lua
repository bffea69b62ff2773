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
--   sealed, values, more}; values alternate path and value, paths that are not staged left out;
--   of a range none behind the first MiB of values is told, and more is 1 where there may be others
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
local more = kind == 'range' and #paths == tonumber(paths_max) and 1 or 0
-- Many in a command, as calls cost more than what they do; and not all, as copying many megabytes does.
local values, bytes = {}, 0
for from = 1, #paths, 32 do
  if kind == 'range' and bytes >= 1048576 then
    more = 1
    break
  end
  local piece = {unpack(paths, from, math.min(from + 31, #paths))}
  local found = redis.call('HMGET', staged_key, unpack(piece))
  for i, path in ipairs(piece) do
    if found[i] then
      values[#values + 1] = path
      values[#values + 1] = found[i]
      bytes = bytes + #path + #found[i]
    end
  end
end
return {
  state, done, commit, position,
  redis.call('LRANGE', sealed_key, 0, -1), values, more,
}
