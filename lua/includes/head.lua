-- The head of a branch, and that a branch without one is not in this Redis: every script that works on a
-- branch looks here first, and none tells an absent branch from an empty one in another way.
--
-- Gives  read_head(head_key, ...): nil when the branch is not in this Redis; else its state ('open' or
--        'deleted'), the code of it in replies (1 open, 2 deleted), tickets done, commit, position, and
--        the turn with its end, as includes/turn.lua reads them; `more` has the fields that `...` names
-- Alone  GET', head_key
local function read_head(head_key, ...)
  local fields = redis.call('HMGET', head_key,
    'state', 'done', 'commit', 'position', 'turn', 'turn_until', ...)
  if not fields[1] then
    return nil
  end
  return {
    is_open = fields[1] == 'open',
    code = fields[1] == 'open' and 1 or 2,
    done = tonumber(fields[2]),
    commit = fields[3],
    position = tonumber(fields[4]),
    turn = fields[5] or '',
    turn_until = tonumber(fields[6]) or 0,
    more = {unpack(fields, 7)},
  }
end
