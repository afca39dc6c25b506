local candidate, kepoch, koffset, ktag, count, bytes, age, last, remember, btag, n =
  struct.unpack('>c13c13I8c8I4I8I8BI8c8I4', ARGV[1])
if age == 0 then age = NEVER end
if bytes == 0 then bytes = NEVER end
continue(candidate, kepoch, koffset, ktag)

local entries, parts, dups = {}, {''}, {}
local keyed = #ARGV > 2 + n
for i = 1, n do
  local body, key, dup = ARGV[2 + i], '', nil
  if keyed then key = ARGV[1 + n + 2 * i] end
  if key ~= '' then
    dup = safe(KEYS[3], 'HGET', KEYS[3], key)
    if dup and (#dup < 29 or now - struct.unpack('>I8', dup) >= KEYAGE * 1000) then dup = nil end
  end
  if dup then
    dups[#dups + 1] = i
    dups[#dups + 1] = dup
  else
    offset = offset + 1
    cum = cum + #body + OVERHEAD
    local e = struct.pack(HEAD, 1, offset, now, cum, btag) .. body
    entries[#entries + 1] = e
    parts[#parts + 1] = struct.pack('>I4', #e)
    parts[#parts + 1] = e
    if key ~= '' then
      safe(KEYS[3], 'HSET', KEYS[3], key, struct.pack('>I8I8c13', now, offset, epoch) .. ARGV[2 + n + 2 * i])
      safe(KEYS[4], 'RPUSH', KEYS[4], struct.pack('>I8', now) .. key)
    end
  end
end

local pushed, problem = #entries, ''
if pushed > 0 then
  tag = btag
  if count > 0 then
    local len = safe(KEYS[2], 'RPUSH', KEYS[2], unpack(entries))
    if len > count + math.floor(count / 8) then
      redis.call('LTRIM', KEYS[2], -count, -1)
      len = count
    end
    local left = redis.call('PTTL', KEYS[2]) -- where the rules are others now it may go too soon
    if age < NEVER and left < age / 1000 or age == NEVER and left >= 0
      or cum - cum0 > bytes + bytes / 8 or now - checked > age / 8 or len == pushed then
      local first
      first, cum0 = oldest(len, bytes, age)
      checked = now
      if first > 0 then redis.call('LTRIM', KEYS[2], first, -1) end
      if age < NEVER then
        redis.call('PEXPIRE', KEYS[2], math.ceil(age / 800) + 60000)
      else
        redis.call('PERSIST', KEYS[2])
      end
      if last == 0 then redis.call('DEL', KEYS[5]) end
    end
  else
    redis.call('DEL', KEYS[2])
    cum0 = cum
  end
  if last == 1 then redis.call('SET', KEYS[5], entries[pushed]) end
  if keyed then
    for _ = 1, 2 * pushed + 8 do
      local e = redis.call('LINDEX', KEYS[4], 0)
      if not e then break end
      local t = #e > 8 and struct.unpack('>I8', e) or 0
      if now - t < KEYAGE * 1000 and redis.call('LLEN', KEYS[4]) <= MAXKEYS then break end
      redis.call('LPOP', KEYS[4])
      local v = redis.call('HGET', KEYS[3], string.sub(e, 9))
      if v and (#v < 29 or struct.unpack('>I8', v) <= t) then redis.call('HDEL', KEYS[3], string.sub(e, 9)) end
    end
    redis.call('PEXPIRE', KEYS[3], KEYAGE)
    redis.call('PEXPIRE', KEYS[4], KEYAGE)
  end
  save(last, remember)
  parts[1] = struct.pack('>Bc13', 1, epoch)
  local r = redis.pcall('PUBLISH', ARGV[2], table.concat(parts))
  if type(r) == 'table' and r.err then problem = r.err end
elseif begun > 0 then
  save(last, remember)
end
return {epoch, offset, now, pushed, tag, begun, foreign, problem, unpack(dups)}
