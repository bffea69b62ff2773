-- Sealed areas: staging areas that commits have taken. An element of the list of them is 36 characters of
-- id (which names its keys) and 36 of owner (the op that commits it): blanks when that op ended without a
-- commit, until the next op that seals takes the area.
--
-- Gives  nobody: the owner of an area that was given back
--        area_of(id, owner): the element; id_of(area), owner_of(area): its parts
--        drop_empty(sealed_key, area, values_key): takes an area off the list that has no changes left
-- Alone  string.rep(' '  string.sub(area
local nobody = string.rep(' ', 36)

local function area_of(id, owner)
  return id .. owner
end

local function id_of(area)
  return string.sub(area, 1, 36)
end

local function owner_of(area)
  return string.sub(area, 37)
end

local function drop_empty(sealed_key, area, values_key)
  if redis.call('EXISTS', values_key) == 0 then
    redis.call('LREM', sealed_key, 1, area)
  end
end
