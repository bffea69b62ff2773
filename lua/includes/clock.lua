-- What time it is. Clocks of processes differ, so a script that compares times believes its server's
-- clock, and that of its caller only where a test brings its own.
--
-- Gives  clock(given): the time in milliseconds; `given` is that time, or '-' for this server's clock
-- Alone  'TIME'
local function clock(given)
  local now_ms = tonumber(given)
  if now_ms then
    return now_ms
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
