-- An element of the queue: the op id in 36 characters, one mark, and a body that no script reads; behind it
-- may be whose op it is (`inbox.lua`).
--
-- Gives  op_of(element): the op id
--        with_mark(element, mark): the element with that mark
-- Alone  string.sub(element
local function op_of(element)
  return string.sub(element, 1, 36)
end

local function with_mark(element, mark)
  return op_of(element) .. mark .. string.sub(element, 38)
end
