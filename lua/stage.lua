-- Writes uncommitted changes to the staging area, all or none.
--
-- A conditional write says what its caller saw: the staged value (or none) and, where nothing was
-- staged, how far the branch had come. When that has moved, nothing is written and the caller
-- judges its condition anew.
--
-- A call whose reply was lost is made again under the same id, and recognised: what it wrote may
-- have been committed since, and must not be staged a second time.
--
-- KEYS  1 head  2 staged  3 paths  4 sealed  5 this call's mark
-- ARGV
--   1 limit of staged paths   2 number of changes (n)   3 '1' when conditional
--   4 done as seen   5 sealed areas as seen   6 how long the mark is kept, milliseconds
--   then three per change: path, value, staged value as seen ('' for none)
-- Returns
--   0 branch not in this Redis, 1 written, 2 branch deleted, 3 moved (conditional only),
--   4 over the limit
-- Cost   O(n log staged).
local head_key, staged_key, paths_key, sealed_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local call_key = KEYS[5]
local limit, count, conditional = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local head = redis.call('HMGET', head_key, 'state', 'done')
if not head[1] then
  return 0
end
if head[1] ~= 'open' then
  return 2
end
if redis.call('EXISTS', call_key) == 1 then
  return 1
end
if conditional then
  local still = head[2] == ARGV[4] and redis.call('LLEN', sealed_key) == tonumber(ARGV[5])
  for i = 1, count do
    local path, seen = ARGV[i * 3 + 4], ARGV[i * 3 + 6]
    local staged = redis.call('HGET', staged_key, path) or ''
    if staged ~= seen or (staged == '' and not still) then
      return 3
    end
  end
end
if redis.call('HLEN', staged_key) + count > limit then
  return 4
end
-- One command for all of them: calls cost more than what they do.
local values, members = {}, {}
for i = 1, count do
  local path, value = ARGV[i * 3 + 4], ARGV[i * 3 + 5]
  values[i * 2 - 1], values[i * 2] = path, value
  members[i * 2 - 1], members[i * 2] = 0, path
end
if count > 0 then
  redis.call('HSET', staged_key, unpack(values))
  redis.call('ZADD', paths_key, unpack(members))
end
redis.call('SET', call_key, '1', 'PX', ARGV[6])
return 1
