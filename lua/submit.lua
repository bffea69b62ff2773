-- Accepts ops into a branch's queue: the one step after which an op is finished by whoever runs.
--
-- Several ops of one process travel in one call; each is judged by itself, in the order given.
-- An op that seals takes the whole staging area with it in the same atomic step (RENAME), and
-- with it every area that an earlier, uncommitted op gave back. Each call names the areas that it
-- makes anew: what another call has sealed, for the same op or in another Redis, has another name.
--
-- Who holds the turn of a branch on which nothing waited is called upon.
--
-- Includes  clock, head, turn, areas, outcomes, idle, memory, inbox
-- KEYS  1 head  2 queue  3 outcomes  4 ops  5 producers  6 staged  7 paths  8 sealed
--   then for each op that seals, in order  +1 area  +2 area_paths
--   last  absent: never there, so that a cluster refuses the call as a whole while the slot is on
--   its way. All are under the hash tag {repo/uid}
-- ARGV
--   1 now: milliseconds, or '-' for this server's clock  2 helper: id of the calling process
--   3 turn_ms  4 queue_limit: ops  5 sealed_limit: areas  6 count: of ops
--   7 remembered: decided ops that must be known before one that may repeat another is taken for new
--   then count times  +1 op_id: 36 characters  +2 element  +3 producers: how many it has
--   +4 seal_mode: '0' no, '1' yes, '2' even when nothing is staged  +5 area_id: of the area that it
--   makes, 36 characters; '' where it does not seal  +6 may_repeat: '1' where it may have been
--   submitted before
--   then for each producer of each op, in order  +1 name  +2 epoch  +3 sequence: 20 digits each
-- Returns
--   {0} when the branch is not in this Redis; else
--   {1 open | 2 deleted, done, commit, position, depth, turn (1 mine), turn of others left in ms,
--    sealed, then per op: code, ticket, record}
--   codes: 1 accepted, 2 pending (known), 3 decided (record of the outcome, '' if trimmed),
--          4 fenced and 5 behind (ticket = which of its producers is, record = its row), 6 over the limit of the queue
--          (ticket = depth), 7 nothing staged, 8 branch deleted, 9 over the limit of sealed areas
--          (ticket = how many there are), 10 may have been decided, which was forgotten here: the
--          log knows
-- Cost   O(count + producers), and O(number of areas) once a call (at most the sealed limit).
local head_key, queue_key, outcomes_key, ops_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local producers_key, staged_key, paths_key, sealed_key = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local now, helper, turn_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local queue_limit, sealed_limit, count = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local remembered = tonumber(ARGV[7])
local areas_at, ops_at = 8, 7
local places_at = ops_at + count * 6
local now_ms = clock(now)

local state, done, commit, position, holder, until_ms = read_head(head_key)
if not state then
  return {0}
end
local depth_before = redis.call('LLEN', queue_key)
local depth = depth_before
local forgetful = has_forgotten(ops_key, depth, done, remembered)

-- What can be sealed: read for the first op that asks, and kept true as ops take of it.
local areas, staged, given_back
local function see_areas()
  if areas then
    return
  end
  areas = redis.call('LRANGE', sealed_key, 0, -1)
  staged = redis.call('EXISTS', staged_key) == 1
  given_back = {}
  for index, area in ipairs(areas) do
    if owner_of(area) == nobody then
      given_back[#given_back + 1] = index
    end
  end
end

-- Takes the staging area and every area without an owner for this op.
local function seal(op_id, area_id, area_key, area_paths_key)
  for _, index in ipairs(given_back) do
    areas[index] = area_of(id_of(areas[index]), op_id)
    redis.call('LSET', sealed_key, index - 1, areas[index])
  end
  given_back = {}
  if staged then
    redis.call('RENAME', staged_key, area_key)
    redis.call('RENAME', paths_key, area_paths_key)
    areas[#areas + 1] = area_of(area_id, op_id)
    redis.call('RPUSH', sealed_key, areas[#areas])
    staged = false
  end
end

-- What is accepted is written together, one command for all: calls cost more than what they do.
local elements, tickets, accepted = {}, {}, {}
local function write()
  if #elements > 0 then
    redis.call('RPUSH', queue_key, unpack(elements))
    redis.call('HSET', ops_key, unpack(tickets))
    elements, tickets = {}, {}
  end
end

local function accept(op_id, element)
  depth = depth + 1
  local ticket = done + depth
  elements[#elements + 1] = element
  tickets[#tickets + 1] = op_id
  tickets[#tickets + 1] = string.format('%d', ticket)
  accepted[op_id] = ticket
  return 1, ticket, ''
end

local op_ids = {}
for i = 1, count do
  op_ids[i] = ARGV[ops_at + (i - 1) * 6 + 1]
end
local known_tickets = count > 0 and redis.call('HMGET', ops_key, unpack(op_ids)) or {}

-- Which of an op's producers has come past its place: the code, its number, its row. A newer epoch
-- counts before a sequence, as in the op's turn.
local function find_late(producers)
  local names, behind = {}, nil
  for i = 1, producers do
    local at = places_at + (i - 1) * 3
    local name = ARGV[at + 1]
    names[i] = name
  end
  local rows = redis.call('HMGET', producers_key, unpack(names))
  for i, row in ipairs(rows) do
    if row then
      local at = places_at + (i - 1) * 3
      local epoch, sequence = ARGV[at + 2], ARGV[at + 3]
      local row_epoch = string.sub(row, 1, 20)
      if epoch < row_epoch then
        return 4, i, row
      end
      if epoch == row_epoch and sequence <= string.sub(row, 21, 40) then
        behind = behind or i
      end
    end
  end
  if behind then
    return 5, behind, rows[behind]
  end
end

local function judge(number, at, producers, area_key, area_paths_key)
  local op_id, element, seal_mode = ARGV[at + 1], ARGV[at + 2], ARGV[at + 4]
  local area_id, may_repeat = ARGV[at + 5], ARGV[at + 6] == '1' and forgetful
  local known = accepted[op_id] or known_tickets[number]
  if known then
    local ticket = tonumber(known)
    if ticket > done then
      if state == open then
        return 2, ticket, ''
      end
      return 8, 0, ''
    end
    return 3, ticket, record_of(outcomes_key, ticket)
  end
  if state ~= open then
    return 8, 0, ''
  end
  if producers > 0 then
    local code, late, row = find_late(producers)
    if code and may_repeat then
      return 10, 0, ''
    end
    if code then
      return code, late, row
    end
  elseif may_repeat then
    return 10, 0, ''
  end
  if depth >= queue_limit then
    return 6, depth, ''
  end
  if seal_mode == '0' then
    return accept(op_id, element)
  end
  see_areas()
  local takes = staged or #given_back > 0
  if seal_mode == '1' and not takes then
    return 7, 0, ''
  end
  if staged and #areas >= sealed_limit then
    return 9, #areas, ''
  end
  local code, ticket, record = accept(op_id, element)
  if takes then
    -- Whether there is memory for it is known before the staging area is taken.
    write()
    seal(op_id, area_id, area_key, area_paths_key)
  end
  return code, ticket, record
end

local results = {}
for i = 1, count do
  local at = ops_at + (i - 1) * 6
  local producers = tonumber(ARGV[at + 3])
  local area_key, area_paths_key
  if ARGV[at + 4] ~= '0' then
    area_key, area_paths_key = KEYS[areas_at + 1], KEYS[areas_at + 2]
    areas_at = areas_at + 2
  end
  local code, ticket, record = judge(i, at, producers, area_key, area_paths_key)
  places_at = places_at + producers * 3
  results[#results + 1] = code
  results[#results + 1] = ticket
  results[#results + 1] = record
end
write()

-- A turn that the caller holds already is no reason for it to wait.
local turn, left = 0, holder == helper and 0 or turn_left(holder, until_ms, now_ms, turn_ms)
if depth > depth_before and depth_before == 0 then
  wake(outcomes_key, ops_key)
  if left == 0 then
    redis.call('HSET', head_key, turn_fields(helper, now_ms + turn_ms))
    turn, left = 1, turn_ms
  else
    call_upon(head_key, holder)
  end
end

local reply = {
  state, done, commit, position, depth, turn, left,
  areas or redis.call('LRANGE', sealed_key, 0, -1),
}
for _, value in ipairs(results) do
  reply[#reply + 1] = value
end
return reply
