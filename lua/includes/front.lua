-- A page of a queue, its front above all, as much of it as one reply carries: an element may have 32 KiB,
-- and a server that copies many megabytes serves nobody meanwhile.
--
-- Gives  page_of(queue_key, from, wanted): the elements from the one at `from` on, 0 in front, at most
--        `wanted`, and none behind the first MiB of them
--        front_of(queue_key, wanted): the first of them
-- Alone  'LRANGE', queue_key
local function page_of(queue_key, from, wanted)
  local elements, bytes, ended = {}, 0, false
  while not ended and #elements < wanted and bytes < 1048576 do
    local upto = math.min(wanted, #elements + 32)
    for _, element in ipairs(redis.call('LRANGE', queue_key, from + #elements, from + upto - 1)) do
      elements[#elements + 1] = element
      bytes = bytes + #element
    end
    ended = #elements < upto
  end
  return elements
end

local function front_of(queue_key, wanted)
  return page_of(queue_key, 0, wanted)
end
