-- Writes uncommitted changes to the staging area, all or none.
--
-- A conditional write says what its caller saw: the staged value (or none) and, where nothing was
-- staged, how far the branch had come. When that has moved, nothing is written and the caller
-- judges its condition anew. So does a removal: what has nothing below it needs no tombstone, and is
-- taken out of the staging area instead; which of the two it is depends on where the branch stands,
-- whatever is staged.
--
-- A call whose reply was lost is made again under the same id, and recognised: what it wrote may
-- have been committed since, and must not be staged a second time.
--
-- Includes  head, changes
-- KEYS  1 head  2 staged  3 paths  4 sealed  5 call: the mark of this call. It is not there yet, so a
--   cluster refuses the call as a whole while the slot is on its way
-- ARGV
--   1 limit: of staged paths  2 count: of changes
--   3 conditional: '0' no; '1' on the staged value, and where there is none on where the branch
--     stands; '2' on both
--   4 done_seen  5 areas_seen: how many were sealed  6 mark_ms: how long the mark is kept
--   then count times, each path once  +1 path  +2 value: '' takes it out  +3 value_seen: '' for none
-- Returns
--   0 branch not in this Redis, 1 written, 2 branch deleted, 3 moved (conditional only),
--   4 over the limit
-- Cost   O(count log staged).
local head_key, staged_key, paths_key, sealed_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local call_key = KEYS[5]
local limit, count, conditional = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local done_seen, areas_seen, mark_ms = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local changes_at = 6

local state, done = read_head(head_key)
if not state then
  return 0
end
if state ~= open then
  return 2
end
if redis.call('EXISTS', call_key) == 1 then
  return 1
end

local is_where_seen = conditional == '0'
  or (done == done_seen and redis.call('LLEN', sealed_key) == areas_seen)
local values, members, gone = {}, {}, {}
for i = 1, count do
  local at = changes_at + (i - 1) * 3
  local path, value, value_seen = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  if conditional ~= '0' then
    local staged = redis.call('HGET', staged_key, path) or ''
    local rests_on_branch = conditional == '2' or staged == ''
    if staged ~= value_seen or (rests_on_branch and not is_where_seen) then
      return 3
    end
  end
  if value == '' then
    gone[#gone + 1] = path
  else
    values[#values + 1], values[#values + 2] = path, value
    members[#members + 1], members[#members + 2] = 0, path
  end
end
if #values > 0 and redis.call('HLEN', staged_key) + #values / 2 > limit then
  return 4
end
-- One command for all of them: calls cost more than what they do.
if #values > 0 then
  redis.call('HSET', staged_key, unpack(values))
  redis.call('ZADD', paths_key, unpack(members))
end
for _, path in ipairs(gone) do
  forget(staged_key, paths_key, path)
end
redis.call('SET', call_key, '1', 'PX', mark_ms)
return 1
