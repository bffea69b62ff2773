-- Outcomes: a stream with one entry per decided op, whose id is the ticket. So the outcome of a ticket is
-- one look-up, and they cannot be told out of order.
--
-- Gives  add_outcome(outcomes_key, ticket, op_id, record)
--        record_of(outcomes_key, ticket): the record; '' when it is no longer kept
--        ticket_of(outcome), op_of_outcome(outcome): parts of an entry
-- Alone  -0'  [2][2]  [2][4]  '^%d+'
local function add_outcome(outcomes_key, ticket, op_id, record)
  redis.call('XADD', outcomes_key, string.format('%d-0', ticket), 'o', op_id, 'r', record)
end

local function record_of(outcomes_key, ticket)
  local id = string.format('%d-0', ticket)
  local found = redis.call('XRANGE', outcomes_key, id, id)
  return found[1] and found[1][2][4] or ''
end

local function ticket_of(outcome)
  return tonumber(string.match(outcome[1], '^%d+'))
end

local function op_of_outcome(outcome)
  return outcome[2][2]
end
