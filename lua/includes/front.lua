-- The front of a queue, as much of it as one reply carries: an element may have 32 KiB, and a server that
-- copies many megabytes serves nobody meanwhile.
--
-- Gives  front_of(queue_key, wanted, skip): the elements behind the first `skip` (none, if not given), at
--        most `wanted`, and none behind the first MiB of them
-- Alone  'LRANGE', queue_key, skip
local function front_of(queue_key, wanted, skip)
  local elements, bytes, ended = {}, 0, false
  skip = skip or 0
  while not ended and #elements < wanted and bytes < 1048576 do
    local upto = math.min(wanted, #elements + 32)
    for _, element in ipairs(redis.call('LRANGE', queue_key, skip + #elements, skip + upto - 1)) do
      elements[#elements + 1] = element
      bytes = bytes + #element
    end
    ended = #elements < upto
  end
  return elements
end
