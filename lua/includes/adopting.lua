-- How far the adoption of a batch has come that was not in front of the queue: in a field of the head, as
-- it takes several calls in a long queue. Ops that stay have then the tickets that they will have behind the
-- batch, from the front on, while nothing else has changed.
--
-- Gives  adopting(text, done): of the batch behind `done`, how many ops it has, and how many of the elements
--        in front have such tickets; both 0 when none is being adopted
--        as_adopting(done, count, at): the text of the field
-- Alone  '^(%d+)
local function adopting(text, done)
  local of, count, at = string.match(text or '', '^(%d+) (%d+) (%d+)$')
  if tonumber(of) ~= done then
    return 0, 0
  end
  return tonumber(count), tonumber(at)
end

local function as_adopting(done, count, at)
  return string.format('%d %d %d', done, count, at)
end
