-- KEYS: 1 meta, 2 log, 3 keys, 4 order of keys, 5 last. See doc.go for what they hold.
local META, HEAD = '>Bc13I8I8I8I8c8', '>BI8I8I8c8'
local HEADLEN, OVERHEAD, NEVER = 33, 200, 1e15

local foreign = 0 -- keys that held what nobody of us wrote

-- safe is redis.call; a key of a foreign type is removed first.
local function safe(key, ...)
  local r = redis.pcall(...)
  if type(r) == 'table' and r.err then
    if string.find(r.err, 'WRONGTYPE', 1, true) then
      redis.call('DEL', key)
      foreign = foreign + 1
    end
    r = redis.call(...)
  end
  return r
end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local epoch, offset, cum, cum0, checked, tag -- of the channel; epoch is nil where there is none
local meta = safe(KEYS[1], 'GET', KEYS[1])
if meta then
  local version = string.byte(meta) or 0
  if version == 1 and #meta == 54 then
    version, epoch, offset, cum, cum0, checked, tag = struct.unpack(META, meta)
  elseif version > 1 and version < 16 then
    return redis.error_reply('BARONEWER the channel was written by a newer version')
  else
    foreign = foreign + 1
  end
end

-- head gives what an entry says before its body: offset, time, bytes up to its end and up to its begin; nil where it is none.
local function head(entry)
  if not entry or #entry < HEADLEN or string.byte(entry) ~= 1 then return nil end
  local _, o, t, c, g = struct.unpack(HEAD, entry)
  return o, t, c, c - #entry + HEADLEN - OVERHEAD, g
end

-- oldest gives the index of the first of len entries that is within bytes and age, and the bytes before it.
local function oldest(len, bytes, age)
  local low, high, before = 0, len, cum
  while low < high do
    local at = low == 0 and high == len and 0 or math.floor((low + high) / 2)
    local _, t, _, b = head(redis.call('LINDEX', KEYS[2], at))
    if t and cum - b <= bytes and now - t < age then
      high, before = at, b
    else
      low = at + 1
    end
  end
  return high, before
end

local begun = 0 -- 1: the channel has begun; 2: it has begun anew, since somebody knows more of it than is here

-- continue begins the channel where there is none, and anew where what is known of it is not here, or is another message.
local function continue(candidate, kepoch, koffset, ktag)
  if not epoch then
    epoch, offset, cum, cum0, checked, tag, begun = candidate, 0, 0, 0, 0, string.rep('\0', 8), 1
    redis.call('DEL', KEYS[2], KEYS[5])
    return
  end
  if kepoch ~= epoch or koffset == 0 then return end
  local fork = koffset > offset or (koffset == offset and ktag ~= tag)
  if koffset < offset then
    local o, _, _, _, g = head(safe(KEYS[2], 'LINDEX', KEYS[2], koffset - offset - 1))
    fork = o == koffset and g ~= ktag
  end
  if fork then epoch, begun = candidate, 2 end
end

-- save writes meta. Where last is 1 it stays for good.
local function save(last, remember)
  local m = struct.pack(META, 1, epoch, offset, cum, cum0, checked, tag)
  if last == 1 then
    redis.call('SET', KEYS[1], m)
  else
    redis.call('SET', KEYS[1], m, 'PX', remember)
  end
end
