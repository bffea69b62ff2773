-- Replaces a queue element that no version of the program can read by one that says so, in its
-- place: it gets an outcome in its turn, and no ticket moves.
--
-- KEYS  1 queue
-- ARGV  1 index  2 seen: the element as its caller read it  3 replacement
-- Returns 1 when replaced, 0 when something else stands there by now
-- Cost   O(index).
local queue_key = KEYS[1]
local index, seen, replacement = ARGV[1], ARGV[2], ARGV[3]
if redis.call('LINDEX', queue_key, index) == seen then
  redis.call('LSET', queue_key, index, replacement)
  return 1
end
return 0
