-- Takes out of an area that is about to be given back what newer areas have, too, a bounded number of paths
-- a call. `publish` asks for it before it gives an area back of which more is left than it does itself.
--
-- Includes  head, areas, area_keys, changes, prune
-- KEYS  1 head  2 sealed  3 pruned
--   last  absent: never there, so that a cluster refuses the call while the slot is on its way
-- ARGV  1 done_before: done before the batch that gives the area back  2 area: the element of the list
--   3 budget: paths looked at, at the most, and a few
-- Returns  0 when the branch has moved on, or is not in this Redis; 1 when nothing is left to be taken out;
--   2 when more is
-- Cost   O(budget), and O(number of areas).
local head_key, sealed_key, pruned_key = KEYS[1], KEYS[2], KEYS[3]
local done_before, area, budget = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local state, done = read_head(head_key)
if not state or done ~= done_before then
  return 0
end
local areas = redis.call('LRANGE', sealed_key, 0, -1)
local places = places_of(areas)
local index = places[id_of(area)]
if not index or areas[index] ~= area then
  return 0
end
return prune(head_key, pruned_key, areas, places, index, budget) and 1 or 2
