-- Staged changes: a hash of path and value, and the same paths in a sorted set, so that they can be read
-- in order. Neither may have a path that the other lacks.
--
-- Gives  forget_all(values_key, paths_key, paths): takes changes out, at most 5,000
--        forget(values_key, paths_key, path): takes one change out
-- Alone  'HDEL', values_key  'ZREM'
local function forget_all(values_key, paths_key, paths)
  if #paths > 0 then
    redis.call('HDEL', values_key, unpack(paths))
    redis.call('ZREM', paths_key, unpack(paths))
  end
end

local function forget(values_key, paths_key, path)
  forget_all(values_key, paths_key, {path})
end
