local candidate, kepoch, koffset, ktag, create, count, bytes, age, last, remember =
  struct.unpack('>c13c13I8c8BI4I8I8BI8', ARGV[1])
if age == 0 then age = NEVER end
if not epoch and create == 0 then return {'', 0, '', 0, 0, 0, foreign} end
if epoch and create == 1 then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left < remember then redis.call('PEXPIRE', KEYS[1], remember) end
end
continue(candidate, kepoch, koffset, ktag)
if begun > 0 then save(last, remember) end

local len = safe(KEYS[2], 'LLEN', KEYS[2])
local first, before = oldest(len, NEVER, age)
local kept, keptbytes = len - first, cum - before
local recent = {}
if count > 0 and bytes > 0 and kept > 0 then
  local from = math.max(first, len - count, len - 2048, (oldest(len, bytes, age)))
  if from < len then recent = redis.call('LRANGE', KEYS[2], from, -1) end
elseif count > 0 and bytes > 0 and last == 1 then
  local e = safe(KEYS[5], 'GET', KEYS[5])
  if head(e) == offset then kept, keptbytes, recent = 1, #e - HEADLEN + OVERHEAD, {e} end
end
for i = 1, #recent do
  if #recent[i] > MAXENTRY then recent[i] = '' end
end
return {epoch, offset, tag, kept, keptbytes, begun, foreign, unpack(recent)}
