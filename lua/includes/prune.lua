-- What a sealed area says of paths that a newer one has, too, is out of date from the moment the newer one
-- was staged: it must not come back with a later commit, whoever takes it and whatever becomes of the newer
-- one. So it leaves the area before that is given back, a bounded number of paths at a time. How far it has
-- come is kept with the branch, and whoever goes on goes on from there: the newer area that is looked at,
-- and in it the paths from which on, or '+' when none is left. An area that is sealed meanwhile is one more.
--
-- The smaller of the two areas is walked, in the order of paths; up to where it has come no path is in both,
-- whichever was walked.
--
-- Gives  prune(head_key, pruned_key, areas, places, index, budget): takes out of area `index` of the list,
--        where `places` tells the index of an id; whether nothing is left, and what is left of the budget:
--        a path that is looked at costs 1, an area 4
--        places_of(areas): the index of each id; take_out_of(older_keys, paths, walks_newer,
--        newer_values_key): a page of that
-- Alone  'HSET', pruned_key
local function places_of(areas)
  local places = {}
  for index, area in ipairs(areas) do
    places[id_of(area)] = index
  end
  return places
end

-- Takes paths of a walk that one of the two areas has out of the older one.
local function take_out_of(older_keys, paths, walks_newer, newer_values_key)
  local both = paths
  if not walks_newer then
    both = {}
    for _, path in ipairs(paths) do
      if redis.call('HEXISTS', newer_values_key, path) == 1 then
        both[#both + 1] = path
      end
    end
  end
  forget_all(older_keys[1], older_keys[2], both)
end

local function prune(head_key, pruned_key, areas, places, index, budget)
  local id = id_of(areas[index])
  local older_keys = {area_keys(head_key, id)}
  local known = redis.call('HGET', pruned_key, id) or ''
  local newer, lower = places[string.sub(known, 1, 36)], string.sub(known, 37)
  if not newer or newer <= index then
    newer, lower = index + 1, '-'
  elseif lower == '+' then
    newer, lower = newer + 1, '-'
  end
  local before = budget
  while newer <= #areas and budget > 0 do
    local newer_values_key, newer_paths_key = area_keys(head_key, id_of(areas[newer]))
    local walks_newer = redis.call('HLEN', newer_values_key) <= redis.call('HLEN', older_keys[1])
    local walked = walks_newer and newer_paths_key or older_keys[2]
    local paths = redis.call('ZRANGEBYLEX', walked, lower, '+', 'LIMIT', 0, budget)
    take_out_of(older_keys, paths, walks_newer, newer_values_key)
    if #paths == budget then
      lower = '(' .. paths[#paths]
    else
      newer, lower = newer + 1, '-'
    end
    budget = budget - #paths - 4
  end
  local is_finished = newer > #areas
  if budget < before then
    -- The first is one that Redis allows even when it is out of memory.
    redis.call('HDEL', pruned_key, id)
    redis.call('HSET', pruned_key, id,
      is_finished and id_of(areas[#areas]) .. '+' or id_of(areas[newer]) .. lower)
  end
  return is_finished, budget
end
