-- Makes a decided batch visible: a compare-and-set on the number of tickets decided.
--
-- The batch is history already (its log entry exists), so publishing it twice, or late, or by
-- somebody else is harmless: only the call that finds `done` where the batch begins changes
-- anything. When the front of the queue is not the batch (this Redis lost data and is catching up
-- with the log), the ops of the batch are taken out wherever they stand, and the tickets of those
-- that stay are counted anew.
--
-- The first write is one that Redis allows even when it is out of memory: publishing frees memory.
--
-- KEYS  1 head  2 queue  3 outcomes  4 ops  5 producers  6 sealed  7 staged  8 paths
--       then, for each area that the batch consumed: the area, its paths; last, absent: never there,
--       so that a cluster refuses the call as a whole while the slot is on its way
-- ARGV
--   1 now, milliseconds, or '-' for this server's clock   2 helper   3 turn, milliseconds
--   4 done before the batch   5 number of ops (n)   6 head commit after it   7 its log position
--   8 '1' when the batch ends the branch   9 outcomes kept, at the least
--   10 how long an idle branch keeps them, milliseconds   11 how long consumed areas stay readable, milliseconds
--   12 ops wanted of the next batch (0: give up the turn)   13 number of producer rows (p)
--   14 how long an outcome is kept in any case, milliseconds   15 outcomes kept at the most
--   16 outcomes forgotten in one call, at the most
--   then n x (op id, record), p x (producer, row)
-- Returns
--   {0} when the branch is not in this Redis; {1, done} when `done` is not where the batch begins;
--   {2, done, depth, turn (1 mine), sealed, elements} when published;
--   {3, ...} the same, where the front of the queue was not the batch
-- Cost   O(n + ops wanted + outcomes forgotten); O(depth of the queue) for each batch adopted after
--        a loss of data; for each area given back and each newer one, O(paths of the smaller).
local head_key, queue_key, outcomes_key, ops_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local producers_key, sealed_key, staged_key, paths_key = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local now_ms, helper, turn_ms = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local done_before, count = tonumber(ARGV[4]), tonumber(ARGV[5])
local commit, position, closes = ARGV[6], ARGV[7], ARGV[8] == '1'
local kept, idle_ms, grace_ms = tonumber(ARGV[9]), ARGV[10], ARGV[11]
local wanted, producer_count = tonumber(ARGV[12]), tonumber(ARGV[13])
local window_ms, kept_max, forgotten_max = tonumber(ARGV[14]), tonumber(ARGV[15]), tonumber(ARGV[16])
local ops_at = 16
local producers_at = ops_at + count * 2
if not now_ms then
  local time = redis.call('TIME')
  now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local head = redis.call('HMGET', head_key, 'state', 'done', 'turn',
  'mark_at', 'mark_done', 'mark_before')
if not head[1] then
  return {0}
end
if tonumber(head[2]) ~= done_before then
  return {1, tonumber(head[2])}
end
local done = done_before + count

local front = redis.call('LRANGE', queue_key, 0, count - 1)
local in_front = #front == count
for i = 1, #front do
  in_front = in_front and string.sub(front[i], 1, 36) == ARGV[ops_at + i * 2 - 1]
end

-- Rebuilds the queue without the batch's ops, and the tickets of what stays.
local function take_out()
  local decided = {}
  for i = 1, count do
    decided[ARGV[ops_at + i * 2 - 1]] = true
    redis.call('HSET', ops_key, ARGV[ops_at + i * 2 - 1], string.format('%d', done_before + i))
  end
  local staying = {}
  for _, element in ipairs(redis.call('LRANGE', queue_key, 0, -1)) do
    if not decided[string.sub(element, 1, 36)] then
      staying[#staying + 1] = element
    end
  end
  redis.call('DEL', queue_key)
  for i, element in ipairs(staying) do
    redis.call('RPUSH', queue_key, element)
    redis.call('HSET', ops_key, string.sub(element, 1, 36), string.format('%d', done + i))
  end
end

if in_front then
  redis.call('LTRIM', queue_key, count, -1)
else
  redis.call('LTRIM', queue_key, 0, -1)
  take_out()
end

-- A restored stream may hold outcomes of the log already; they say the same.
local newest = redis.call('XREVRANGE', outcomes_key, '+', '-', 'COUNT', 1)
local newest_ticket = newest[1] and tonumber(string.match(newest[1][1], '^%d+')) or 0
for i = math.max(1, newest_ticket - done_before + 1), count do
  redis.call('XADD', outcomes_key, string.format('%d-0', done_before + i),
    'o', ARGV[ops_at + i * 2 - 1], 'r', ARGV[ops_at + i * 2])
end

-- A call whose reply was lost is made again for a while, and must be recognised however fast the
-- branch is decided. Two marks, the older one at least that while ago, tell which outcomes are new.
local mark_at, mark_before = tonumber(head[4]), tonumber(head[6])
if not mark_at or now_ms - mark_at >= window_ms then
  mark_before = tonumber(head[5]) or math.max(0, done_before - kept)
  redis.call('HSET', head_key, 'mark_at', string.format('%d', now_ms),
    'mark_done', string.format('%d', done_before), 'mark_before', string.format('%d', mark_before))
end
kept = math.min(math.max(kept, done - mark_before), math.max(kept, kept_max))
local outcomes = redis.call('XLEN', outcomes_key)
local surplus = math.min(outcomes - kept, forgotten_max)
if surplus > 0 then
  local oldest = redis.call('XRANGE', outcomes_key, '-', '+', 'COUNT', surplus)
  local forgotten = {}
  for _, outcome in ipairs(oldest) do
    forgotten[#forgotten + 1] = outcome[2][2]
    if #forgotten == 1000 then
      redis.call('HDEL', ops_key, unpack(forgotten))
      forgotten = {}
    end
  end
  if #forgotten > 0 then
    redis.call('HDEL', ops_key, unpack(forgotten))
  end
  redis.call('XTRIM', outcomes_key, 'MAXLEN', outcomes - surplus)
end

for i = 1, producer_count do
  redis.call('HSET', producers_key, ARGV[producers_at + i * 2 - 1], ARGV[producers_at + i * 2])
end

-- The keys of areas follow from the head's: which areas there are is known only in this step.
local prefix = string.sub(head_key, 1, -5)
local function area_keys(area)
  local id = string.sub(area, 1, 36)
  return prefix .. 'sealed:' .. id, prefix .. 'sealed-paths:' .. id
end

-- What an area says of paths that a newer one has is out of date from the moment the newer one was
-- staged: it must not come back with a later commit, whoever takes it and whatever becomes of the
-- newer one. An area that is sealed after this takes the place of what was given back.
local function prune(older, newer)
  local values_key, paths_key_of_older = area_keys(older)
  local newer_values_key, paths_key_of_newer = area_keys(newer)
  local function forget(path)
    redis.call('HDEL', values_key, path)
    redis.call('ZREM', paths_key_of_older, path)
  end
  if redis.call('HLEN', newer_values_key) <= redis.call('HLEN', values_key) then
    for _, path in ipairs(redis.call('ZRANGE', paths_key_of_newer, 0, -1)) do
      forget(path)
    end
    return
  end
  for _, path in ipairs(redis.call('ZRANGE', paths_key_of_older, 0, -1)) do
    if redis.call('HEXISTS', newer_values_key, path) == 1 then
      forget(path)
    end
  end
end

-- What the batch consumed is history, whoever had it here. Any other area of a decided op is given
-- back: its op did not commit, or was decided by a Redis that did not have the area. It has no owner
-- until the next op that seals. Removing an element moves those behind it, so what is removed is
-- removed last.
local nobody = string.rep(' ', 36)
local areas = redis.call('LRANGE', sealed_key, 0, -1)
if #areas > 0 then
  local is_decided, is_consumed = {}, {}
  for i = 1, count do
    is_decided[ARGV[ops_at + i * 2 - 1]] = true
  end
  for i = 9, #KEYS - 1 do
    is_consumed[KEYS[i]] = true
  end
  local consumed, without_owner = {}, {}
  for index, area in ipairs(areas) do
    local owner = string.sub(area, 37)
    if is_consumed[(area_keys(area))] then
      consumed[#consumed + 1] = area
    elseif is_decided[owner] then
      local given_back = string.sub(area, 1, 36) .. nobody
      redis.call('LSET', sealed_key, index - 1, given_back)
      without_owner[#without_owner + 1] = given_back
      for newer = index + 1, #areas do
        prune(area, areas[newer])
      end
    elseif owner == nobody then
      without_owner[#without_owner + 1] = area
    end
  end
  for _, area in ipairs(consumed) do
    redis.call('LREM', sealed_key, 1, area)
  end
  for _, area in ipairs(without_owner) do
    if redis.call('EXISTS', (area_keys(area))) == 0 then
      redis.call('LREM', sealed_key, 1, area)
    end
  end
  areas = redis.call('LRANGE', sealed_key, 0, -1)
end
for i = 9, #KEYS - 1 do
  redis.call('PEXPIRE', KEYS[i], grace_ms)
end

local depth = redis.call('LLEN', queue_key)
local turn, elements = 0, {}
if closes then
  redis.call('DEL', queue_key)
  for _, area in ipairs(areas) do
    redis.call('UNLINK', area_keys(area))
  end
  areas = {}
  redis.call('UNLINK', staged_key, paths_key, sealed_key)
  redis.call('HSET', head_key, 'state', 'deleted')
  redis.call('PEXPIRE', head_key, idle_ms)
  redis.call('PEXPIRE', producers_key, idle_ms)
  depth = 0
end
local holder, turn_until = head[3] or '', nil
if depth > 0 and wanted > 0 then
  holder, turn_until, turn = helper, now_ms + turn_ms, 1
  elements = redis.call('LRANGE', queue_key, 0, wanted - 1)
elseif holder == helper or depth == 0 then
  holder, turn_until = '', 0
end
if turn_until then
  redis.call('HSET', head_key, 'done', string.format('%d', done), 'commit', commit,
    'position', position, 'turn', holder, 'turn_until', string.format('%d', turn_until))
else
  redis.call('HSET', head_key, 'done', string.format('%d', done), 'commit', commit,
    'position', position)
end
if depth == 0 then
  redis.call('PEXPIRE', outcomes_key, idle_ms)
  redis.call('PEXPIRE', ops_key, idle_ms)
end
return {in_front and 2 or 3, done, depth, turn, areas, elements}
