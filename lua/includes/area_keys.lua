-- The keys of a sealed area, made from the head's key. All other keys come in KEYS, and so do those of
-- areas that a caller knows of. Which other areas there are, that are to be given back or to end with the
-- branch, is known only inside the step: whoever asked before would miss what was sealed since. They have
-- the head's hash tag, so a cluster has them on the server that runs the script.
--
-- The same rule is in src/coord/keys.rs.
--
-- Gives  area_keys(head_key, id): the key of the area's values, that of its paths
-- Alone  'sealed:'  'sealed-paths:'
local function area_keys(head_key, id)
  local prefix = string.sub(head_key, 1, -5)
  return prefix .. 'sealed:' .. id, prefix .. 'sealed-paths:' .. id
end
