-- Staged changes: a hash of path and value, and the same paths in a sorted set, so that they can be read
-- in order. Neither may have a path that the other lacks.
--
-- Gives  forget(values_key, paths_key, path): takes one change out
-- Alone  'HDEL', values_key  'ZREM'
local function forget(values_key, paths_key, path)
  redis.call('HDEL', values_key, path)
  redis.call('ZREM', paths_key, path)
end
