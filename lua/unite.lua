-- Makes one area of two neighbours that were given back, a bounded number of changes, and about a MiB of
-- them, a call: those of
-- the older one go into the newer one, which keeps its own where it has the path. An older one that
-- has none left goes off the list.
--
-- Only neighbours: what lies between two areas is newer than the one and older than the other. Only
-- upwards: who reads areas oldest first misses nothing.
--
-- Includes  areas, area_keys, changes
-- KEYS  1 head  2 sealed
--       last  absent: never there, so that a cluster refuses the call while the slot is on its way
-- ARGV
--   1 wanted: id of the older one; '' for the one that has the fewest changes  2 paths_max
-- Returns
--   {0} when there are no such neighbours (any more); {1, id} when changes are left in the older
--   one; {2, id} when the two are one
-- Cost   O(areas + paths_max log staged).
local head_key, sealed_key = KEYS[1], KEYS[2]
local wanted, paths_max = ARGV[1], ARGV[2]

local areas = redis.call('LRANGE', sealed_key, 0, -1)
local at, fewest
for index = 1, #areas - 1 do
  local id = id_of(areas[index])
  if owner_of(areas[index]) == nobody and owner_of(areas[index + 1]) == nobody then
    if wanted == '' then
      local count = redis.call('HLEN', (area_keys(head_key, id)))
      if not fewest or count < fewest then
        at, fewest = index, count
      end
    elseif id == wanted then
      at = index
    end
  end
end
if not at then
  return {0}
end
local older, newer = areas[at], areas[at + 1]
local values_key, area_paths_key = area_keys(head_key, id_of(older))
local newer_values_key, newer_paths_key = area_keys(head_key, id_of(newer))
local paths = redis.call('ZRANGEBYLEX', area_paths_key, '-', '+', 'LIMIT', 0, paths_max)
-- Many in a command, as calls cost more than what they do; and not all, as copying many megabytes does.
local bytes = 0
for from = 1, #paths, 32 do
  if bytes >= 1048576 then
    break
  end
  local piece = {unpack(paths, from, math.min(from + 31, #paths))}
  local values = redis.call('HMGET', values_key, unpack(piece))
  local newer_values = redis.call('HMGET', newer_values_key, unpack(piece))
  local moved, members = {}, {}
  for i, path in ipairs(piece) do
    bytes = bytes + #(values[i] or '') + #(newer_values[i] or '')
    if values[i] and not newer_values[i] then
      moved[#moved + 1], moved[#moved + 2] = path, values[i]
      members[#members + 1], members[#members + 2] = 0, path
    end
  end
  if #moved > 0 then
    redis.call('HSET', newer_values_key, unpack(moved))
    redis.call('ZADD', newer_paths_key, unpack(members))
  end
  forget_all(values_key, area_paths_key, piece)
end
drop_empty(sealed_key, older, values_key)
return {redis.call('EXISTS', values_key) == 1 and 1 or 2, id_of(older)}
