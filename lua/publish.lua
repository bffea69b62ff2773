-- Makes a decided batch visible: a compare-and-set on the number of tickets decided.
--
-- The batch is history already (its log entry exists), so publishing it twice, or late, or by
-- somebody else is harmless: only the call that finds `done` where the batch begins changes
-- anything. When the front of the queue is not the batch (this Redis lost data and is catching up
-- with the log), the ops of the batch are taken out wherever they stand, and the tickets of those
-- that stay are counted anew, so many a call. Until that is done nothing is published: tickets of those
-- that stay only grow, so that all of them are pending to whoever asks, and whoever goes on goes on from
-- there, or (as older programs do) counts all of them in one call.
--
-- The first write is one that Redis allows even when it is out of memory: publishing frees memory.
--
-- An area whose op did not commit is given back, once what newer areas have is out of it: where much
-- is to be taken out the caller is told to do that first, with `prune`.
--
-- Includes  clock, head, turn, areas, area_keys, changes, prune, element, front, adopting, outcomes, idle
-- KEYS  1 head  2 queue  3 outcomes  4 ops  5 producers  6 sealed  7 staged  8 paths  9 pruned
--   then for each area that the batch consumed  +1 values  +2 area_paths
--   last  absent: never there, so that a cluster refuses the call as a whole while the slot is on
--   its way
-- ARGV
--   1 now: milliseconds, or '-' for this server's clock  2 helper  3 turn_ms
--   4 done_before: done before the batch  5 count: of ops  6 commit: the head after it
--   7 position: of its log entry  8 closes: '1' when the batch ends the branch
--   9 kept_min: outcomes kept, at the least
--   10 idle_ms: how long an idle branch keeps them  11 areas_ms: how long consumed areas stay readable
--   12 wanted: ops of the next batch (0: give up the turn)  13 producer_count
--   14 window_ms: how long an outcome is kept in any case  15 kept_max: outcomes, at the most
--   16 forgotten_max: outcomes forgotten in one call, at the most
--   17 budget: paths taken out of areas in this call, at the most
--   18 adopted_max: elements of the queue counted anew in this call, at the most
--   then count times  +1 op_id  +2 record
--   then producer_count times  +1 producer  +2 row: '' when it is forgotten
-- Returns
--   {0} when the branch is not in this Redis; {1, done} when `done` is not where the batch begins;
--   {2, done, depth, turn (1 mine), sealed, elements} when published;
--   {3, ...} the same, where the front of the queue was not the batch;
--   {4, area} when nothing was published: `prune` this area, the element of its list, first
--   {5} when nothing was published: the queue is not counted to its end yet, call again
-- Cost   O(count + wanted + forgotten_max + budget + adopted_max), and O(number of areas); a look through
--        the queue, without a copy, where one of the batch's ops stands behind others.
local head_key, queue_key, outcomes_key, ops_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local producers_key, sealed_key, staged_key, paths_key = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local pruned_key = KEYS[9]
local now, helper, turn_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local done_before, count = tonumber(ARGV[4]), tonumber(ARGV[5])
local commit, position, closes = ARGV[6], ARGV[7], ARGV[8] == '1'
local kept_min, idle_ms, areas_ms = tonumber(ARGV[9]), ARGV[10], ARGV[11]
local wanted, producer_count = tonumber(ARGV[12]), tonumber(ARGV[13])
local window_ms, kept_max, forgotten_max = tonumber(ARGV[14]), tonumber(ARGV[15]), tonumber(ARGV[16])
local budget, adopted_max = tonumber(ARGV[17]), tonumber(ARGV[18])
local consumed_at, ops_at = 9, 18
local rows_at = ops_at + count * 2
local now_ms = clock(now)

local state, done_now, _, _, holder_now, _, mark_at, mark_done, mark_before, adopted =
  read_head(head_key, 'mark_at', 'mark_done', 'mark_before', 'adopting')
if not state then
  return {0}
end
if done_now ~= done_before then
  return {1, done_now}
end
local done = done_before + count

local function op_at(i)
  return ARGV[ops_at + (i - 1) * 2 + 1]
end

-- The ops of the batch, as a set.
local function decided()
  local is_decided = {}
  for i = 1, count do
    is_decided[op_at(i)] = true
  end
  return is_decided
end

-- What the batch consumed is history, whoever had it here. Any other area of a decided op is given
-- back: its op did not commit, or was decided by a Redis that did not have the area. It has no owner
-- until the next op that seals.
local consumed_keys, is_consumed = {}, {}
for at = consumed_at, #KEYS - 2, 2 do
  local values_key, area_paths_key = KEYS[at + 1], KEYS[at + 2]
  consumed_keys[#consumed_keys + 1] = values_key
  consumed_keys[#consumed_keys + 1] = area_paths_key
  is_consumed[values_key] = true
end
local areas = redis.call('LRANGE', sealed_key, 0, -1)
local given_back = {}
if #areas > 0 and not closes then
  local is_decided, places = decided(), places_of(areas)
  for index, area in ipairs(areas) do
    if is_decided[owner_of(area)] and not is_consumed[(area_keys(head_key, id_of(area)))] then
      local is_finished
      is_finished, budget = prune(head_key, pruned_key, areas, places, index, budget)
      if not is_finished then
        return {4, area}
      end
      given_back[index] = true
    end
  end
end

local front = front_of(queue_key, count)
local in_front = #front == count
for i = 1, #front do
  in_front = in_front and op_of(front[i]) == op_at(i)
end

-- Goes on taking the batch's ops out, and counting the tickets of those that stay. Whether all is done.
local function adopt()
  local is_decided, tickets, gone = decided(), {}, 0
  local _, at = adopting(adopted, done_before)
  local from, middle = at, redis.call('LLEN', queue_key) / 2
  for i, element in ipairs(page_of(queue_key, from, adopted_max)) do
    local op_id = op_of(element)
    if is_decided[op_id] then
      -- An element is never empty: those that are go together.
      redis.call('LSET', queue_key, from + i - 1, '')
      gone = gone + 1
    else
      at = at + 1
      tickets[#tickets + 1] = op_id
      tickets[#tickets + 1] = string.format('%d', done + at)
    end
  end
  if gone > 0 then
    redis.call('LREM', queue_key, from < middle and gone or -gone, '')
  end
  if #tickets > 0 then
    redis.call('HSET', ops_key, unpack(tickets))
  end
  if at < redis.call('LLEN', queue_key) then
    redis.call('HSET', head_key, 'adopting', as_adopting(done_before, count, at))
    return false
  end
  redis.call('HDEL', head_key, 'adopting')
  tickets = {}
  for i = 1, count do
    tickets[#tickets + 1] = op_at(i)
    tickets[#tickets + 1] = string.format('%d', done_before + i)
  end
  redis.call('HSET', ops_key, unpack(tickets))
  return true
end

if in_front then
  redis.call('LTRIM', queue_key, count, -1)
else
  redis.call('LTRIM', queue_key, 0, -1)
  if not adopt() then
    return {5}
  end
end

-- A restored stream may hold outcomes of the log already; they say the same.
local newest = redis.call('XREVRANGE', outcomes_key, '+', '-', 'COUNT', 1)
local newest_ticket = newest[1] and ticket_of(newest[1]) or 0
for i = math.max(1, newest_ticket - done_before + 1), count do
  local at = ops_at + (i - 1) * 2
  local op_id, record = ARGV[at + 1], ARGV[at + 2]
  add_outcome(outcomes_key, done_before + i, op_id, record)
end

-- A call whose reply was lost is made again for a while, and must be recognised however fast the
-- branch is decided. Two marks, the older one at least that while ago, tell which outcomes are new.
mark_at, mark_done, mark_before = tonumber(mark_at), tonumber(mark_done), tonumber(mark_before)
if not mark_at or now_ms - mark_at >= window_ms then
  mark_before = mark_done or math.max(0, done_before - kept_min)
  redis.call('HSET', head_key, 'mark_at', string.format('%d', now_ms),
    'mark_done', string.format('%d', done_before), 'mark_before', string.format('%d', mark_before))
end
local kept = math.min(math.max(kept_min, done - mark_before), math.max(kept_min, kept_max))
local outcomes = redis.call('XLEN', outcomes_key)
local surplus = math.min(outcomes - kept, forgotten_max)
if surplus > 0 then
  local oldest = redis.call('XRANGE', outcomes_key, '-', '+', 'COUNT', surplus)
  local forgotten = {}
  for _, outcome in ipairs(oldest) do
    forgotten[#forgotten + 1] = op_of_outcome(outcome)
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

-- Many in a command: calls cost more than what they do.
local rows, gone = {}, {}
for i = 1, producer_count do
  local at = rows_at + (i - 1) * 2
  local producer, row = ARGV[at + 1], ARGV[at + 2]
  if row == '' then
    gone[#gone + 1] = producer
  else
    rows[#rows + 1], rows[#rows + 2] = producer, row
  end
  if #rows == 1000 or #rows > 0 and i == producer_count then
    redis.call('HSET', producers_key, unpack(rows))
    rows = {}
  end
end
if #gone > 0 then
  redis.call('HDEL', producers_key, unpack(gone))
end

-- Removing an element moves those behind it, so what is removed is removed last.
if #areas > 0 then
  local consumed, without_owner = {}, {}
  for index, area in ipairs(areas) do
    local id, owner = id_of(area), owner_of(area)
    if is_consumed[(area_keys(head_key, id))] then
      consumed[#consumed + 1] = area
    elseif given_back[index] then
      local unowned = area_of(id, nobody)
      redis.call('LSET', sealed_key, index - 1, unowned)
      redis.call('HDEL', pruned_key, id)
      without_owner[#without_owner + 1] = unowned
    elseif owner == nobody then
      without_owner[#without_owner + 1] = area
    end
  end
  for _, area in ipairs(consumed) do
    redis.call('LREM', sealed_key, 1, area)
  end
  for _, area in ipairs(without_owner) do
    drop_empty(sealed_key, area, (area_keys(head_key, id_of(area))))
  end
  areas = redis.call('LRANGE', sealed_key, 0, -1)
end
for _, key in ipairs(consumed_keys) do
  redis.call('PEXPIRE', key, areas_ms)
end

local depth = redis.call('LLEN', queue_key)
local turn, elements = 0, {}
if closes then
  redis.call('UNLINK', queue_key)
  for _, area in ipairs(areas) do
    redis.call('UNLINK', area_keys(head_key, id_of(area)))
  end
  areas = {}
  redis.call('UNLINK', staged_key, paths_key, sealed_key, pruned_key)
  redis.call('HSET', head_key, 'state', 'deleted')
  end_branch(head_key, producers_key, idle_ms)
  depth = 0
end
-- The turn of somebody else stays as it is.
local holder, until_ms
if depth > 0 and wanted > 0 then
  holder, until_ms, turn = helper, now_ms + turn_ms, 1
  elements = front_of(queue_key, wanted)
elseif holder_now == helper or depth == 0 then
  holder, until_ms = '', 0
end
local done_text = string.format('%d', done)
if holder then
  redis.call('HSET', head_key, 'done', done_text, 'commit', commit, 'position', position,
    turn_fields(holder, until_ms))
else
  redis.call('HSET', head_key, 'done', done_text, 'commit', commit, 'position', position)
end
if depth == 0 then
  rest(outcomes_key, ops_key, idle_ms)
end
return {in_front and 2 or 3, done, depth, turn, areas, elements}
