-- Inboxes: a list for each process on a branch, in which it is told what became of its ops, and that the
-- turn is its. An element of the queue says at its end whose op it is: '@in:' and the id of the process in
-- 16 hexadecimal digits. Older programs pass over that; what only looks like it costs a key that expires.
--
-- Nothing depends on an inbox: it is short, it expires, and what is taken out of it may be lost on the way.
-- Whoever waits looks at the branch after a while in any case.
--
-- The key is made from the head's, like those of areas, and the same rule is in src/coord/keys.rs: whose ops
-- are decided, and who holds the turn, is known only inside the step.
--
-- Gives  address_of(text): the id of the process that an element, or its end, is of; nil where it does not say
--        group(queued, helper): for each process that has some of these, but for this one, which they are;
--        at most 256 of them, in a list: the others look
--        send(head_key, groups, done, texts): tells each of its outcomes; done: tickets decided now,
--        texts(i): op id, ticket and record of an element
--        call_upon(head_key, address): tells a process that the turn is its
--        inbox_max, prefix_of(head_key), put(prefix, address, text): parts of these
-- Alone  'inbox:'  '@in:'  '1 '
local inbox_max, inbox_ms, told_max = 16, 60000, 256

local function put(prefix, address, text)
  local key = prefix .. address
  local letters = redis.call('RPUSH', key, text)
  if letters == 1 then
    redis.call('PEXPIRE', key, inbox_ms)
  elseif letters > inbox_max then
    redis.call('LTRIM', key, -inbox_max, -1)
  end
end

local function prefix_of(head_key)
  return string.sub(head_key, 1, -5) .. 'inbox:'
end

local function address_of(text)
  if string.sub(text, -20, -17) == '@in:' then
    return string.sub(text, -16)
  end
end

-- In the order in which processes come up: that of a table's keys is nobody's.
local function group(queued, helper)
  local groups, by_end = {}, {}
  for i = 1, #queued do
    local last = string.sub(queued[i], -20)
    local of_process = by_end[last]
    if of_process == nil then
      local address = address_of(last)
      of_process = address and address ~= helper and #groups < told_max and {address = address}
      by_end[last] = of_process
      if of_process then
        groups[#groups + 1] = of_process
      end
    end
    if of_process then
      of_process[#of_process + 1] = i
    end
  end
  return groups
end

local function send(head_key, groups, done, texts)
  local prefix, first = prefix_of(head_key), '1 ' .. done .. ' '
  for g = 1, #groups do
    local of_process, letter = groups[g], {first}
    for n = 1, #of_process do
      local op_id, ticket, record = texts(of_process[n])
      local at = #letter
      letter[at + 1], letter[at + 2], letter[at + 3], letter[at + 4], letter[at + 5], letter[at + 6] =
        op_id, ticket, ' ', #record, ' ', record
    end
    put(prefix, of_process.address, table.concat(letter))
  end
end

local function call_upon(head_key, address)
  put(prefix_of(head_key), address, 'turn')
end
