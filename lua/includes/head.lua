-- The head of a branch, and that a branch without one is not in this Redis: every script that works on a
-- branch looks here first, and none tells an absent branch from an empty one in another way.
--
-- Gives  read_head(head_key, ...): nil when the branch is not in this Redis; else its state, tickets done,
--        commit, position, the holder of the turn ('' for nobody) and its end, then the fields that `...`
--        names, as they are
--        open: the state of a branch that takes ops; that of one that was deleted is 2, in replies too
-- Alone  GET', head_key
local open = 1

local function read_head(head_key, ...)
  local fields = redis.call('HMGET', head_key,
    'state', 'done', 'commit', 'position', 'turn', 'turn_until', ...)
  if not fields[1] then
    return nil
  end
  return fields[1] == 'open' and open or 2, tonumber(fields[2]), fields[3], tonumber(fields[4]),
    fields[5] or '', tonumber(fields[6]) or 0, unpack(fields, 7)
end
