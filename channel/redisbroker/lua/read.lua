local want, after, most = struct.unpack('>c13I8I8', ARGV[1])
if epoch ~= want or after >= offset then return {} end
local at = after - offset -- from the end of the list, below 0
local result, size = {}, 0
if safe(KEYS[2], 'LLEN', KEYS[2]) + at < 0 then
  if after + 1 == offset then
    local e = safe(KEYS[5], 'GET', KEYS[5])
    if head(e) == offset and #e <= MAXENTRY then return {e} end
  end
  return {}
end
local step = 1
while at < 0 and size <= most and #result < 1024 do
  local part = redis.call('LRANGE', KEYS[2], at, math.min(at + step, 0) - 1)
  for i = 1, #part do
    if #part[i] > MAXENTRY then return result end
    result[#result + 1] = part[i]
    size = size + math.max(#part[i] - HEADLEN - 700, 0)
    if size > most then break end
  end
  at = at + step
  step = math.min(step * 2, 64)
end
return result
