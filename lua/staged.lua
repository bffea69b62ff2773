-- Reads staged changes, together with the head they stand on, from one moment.
--
-- Serves the staging area and, with an area's keys in place of the staging area's, sealed ones.
--
-- KEYS  1 head  2 staged  3 paths  4 sealed
-- ARGV
--   1 'range': 2 lower and 3 upper bound (ZRANGEBYLEX), 4 paths at the most
--   1 'paths': 2... the paths
-- Returns
--   {0} when the branch is not in this Redis; else {1 open | 2 deleted, done, commit, position,
--   sealed, values}; values alternate path and value, paths that are not staged left out
-- Cost   O(log staged + paths).
local head_key, staged_key, paths_key, sealed_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local head = redis.call('HMGET', head_key, 'state', 'done', 'commit', 'position')
if not head[1] then
  return {0}
end
local paths
if ARGV[1] == 'range' then
  paths = redis.call('ZRANGEBYLEX', paths_key, ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
else
  paths = {}
  for i = 2, #ARGV do
    paths[i - 1] = ARGV[i]
  end
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
  head[1] == 'open' and 1 or 2, tonumber(head[2]), head[3], tonumber(head[4]),
  redis.call('LRANGE', sealed_key, 0, -1), values,
}
