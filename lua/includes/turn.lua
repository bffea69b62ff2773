-- Whose turn it is to run a round. The turn is advice against doing work twice, never a lock: what it is
-- granted or refused on may be wrong, and costs work and nothing else.
--
-- A turn that ends later than four turns from now was given before the clock went back, and has expired.
--
-- Gives  turn_left(holder, until_ms, now_ms, turn_ms): how long its holder still has it, in milliseconds;
--        0 when it is free or has expired
--        turn_fields(holder, until_ms): names and values of the head's fields that give the turn
-- Alone  turn_ms * 4  'turn', holder  'turn_until', string
local function turn_left(holder, until_ms, now_ms, turn_ms)
  local left = until_ms - now_ms
  if holder ~= '' and left > 0 and left <= turn_ms * 4 then
    return left
  end
  return 0
end

local function turn_fields(holder, until_ms)
  return 'turn', holder, 'turn_until', string.format('%d', until_ms)
end
