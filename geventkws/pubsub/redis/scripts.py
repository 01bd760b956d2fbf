"""What is done in Redis itself, each script in one step that nothing can come between.

A history is a stream, whose ids are the offsets, and a hash with its epoch, its last offset and the
``run_id`` of the server. After a restart, from an older dump perhaps, or a failover to a replica that lags
behind, the server has another ``run_id``: offsets may then be given twice, so a new epoch begins.
"""

from __future__ import annotations

import hashlib

META_TTL = 30 * 24 * 3600
"""Seconds for which the epoch of a history is kept after its last use: it should outlive the history."""

_EPOCH = """
local function enter(meta, stream, run, fresh)
    local known = redis.call('HMGET', meta, 'epoch', 'run', 'offset')
    local epoch, offset = known[1], tonumber(known[3] or 0)
    if not epoch then
        redis.call('DEL', stream)
    end
    if not epoch or known[2] ~= run then
        epoch = fresh
        redis.call('HSET', meta, 'epoch', epoch, 'run', run, 'offset', offset)
    end
    redis.call('EXPIRE', meta, META_TTL)
    return epoch, offset
end
""".replace("META_TTL", str(META_TTL))


class Script:
    """A script in Lua, and the name by which Redis knows it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


PUBLISH = Script(
    _EPOCH
    + """
local bus, meta, stream, key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local body, size, ttl, run, fresh, key_ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local known = redis.call('GET', key)
if known then
    return known
end
local position, epoch, offset = '0 -', nil, nil
if tonumber(size) > 0 then
    epoch, offset = enter(meta, stream, run, fresh)
    offset = offset + 1
    redis.call('HSET', meta, 'offset', offset)
    redis.call('XADD', stream, 'MAXLEN', size, offset .. '-0', 'd', body)
    redis.call('PEXPIRE', stream, ttl)
    position = offset .. ' ' .. epoch
end
redis.call('SET', key, position, 'PX', key_ttl)
redis.call('PUBLISH', bus, 'p ' .. position .. ' ' .. body)
return position
"""
)
"""Publish once. Returns the position, as in a message on the bus."""

HISTORY = Script(
    _EPOCH
    + """
local meta, stream = KEYS[1], KEYS[2]
local run, fresh, since_epoch, since, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local epoch, offset = enter(meta, stream, run, fresh)
local found, complete = {}, 1
if since_epoch == '' then
    if limit > 0 then
        for _, entry in ipairs(redis.call('XREVRANGE', stream, '+', '-', 'COUNT', limit)) do
            table.insert(found, 1, entry)
        end
    end
elseif since_epoch ~= epoch or since > offset then
    complete = 0
elseif since < offset then
    local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    if not oldest or tonumber(string.match(oldest[1], '%d+')) > since + 1 then
        complete = 0
    elseif limit > 0 then
        found = redis.call('XRANGE', stream, (since + 1) .. '-0', '+', 'COUNT', limit)
    else
        found = redis.call('XRANGE', stream, (since + 1) .. '-0', '+')
    end
end
return {epoch, offset, complete, found}
"""
)
"""Return the epoch, the last offset, whether nothing is missing, and the entries."""

_PURGE = """
local hash, expiries, bus = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = tonumber(time[1])
for _, member in ipairs(redis.call('ZRANGEBYSCORE', expiries, '-inf', now)) do
    local info = redis.call('HGET', hash, member)
    redis.call('HDEL', hash, member)
    redis.call('ZREM', expiries, member)
    redis.call('PUBLISH', bus, 'e 0 ' .. member .. ' ' .. (info or 'null'))
end
"""

JOIN = Script(
    _PURGE
    + """
local member, info, ttl, channel, own = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], KEYS[4]
if redis.call('HEXISTS', hash, member) == 0 then
    redis.call('PUBLISH', bus, 'e 1 ' .. member .. ' ' .. info)
end
redis.call('HSET', hash, member, info)
redis.call('ZADD', expiries, now + ttl, member)
redis.call('EXPIRE', hash, 2 * ttl)
redis.call('EXPIRE', expiries, 2 * ttl)
redis.call('SADD', own, member .. ' ' .. channel)
redis.call('EXPIRE', own, 2 * ttl)
"""
)
"""Remember a member for a while, and as one of its node, and say so if it is new; forget those whose time is
over."""

LEAVE = Script(
    _PURGE
    + """
local member, channel, own = ARGV[1], ARGV[2], KEYS[4]
local info = redis.call('HGET', hash, member)
redis.call('SREM', own, member .. ' ' .. channel)
if info then
    redis.call('HDEL', hash, member)
    redis.call('ZREM', expiries, member)
    redis.call('PUBLISH', bus, 'e 0 ' .. member .. ' ' .. info)
end
"""
)
"""Forget a member, and say so."""

PRESENCE = Script(_PURGE + "return redis.call('HGETALL', hash)")
"""Return the members with their infos."""

_TIME = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
"""

HEARTBEAT = Script(
    _TIME
    + """
local infos, leases, own = KEYS[1], KEYS[2], KEYS[3]
local id, info, ttl, grace, prefix = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local limit = tonumber(ARGV[6])
local lease = tonumber(redis.call('ZSCORE', leases, id) or 0)
local last = tonumber(redis.call('HGET', infos, 'last') or 0)
redis.call('ZADD', leases, now + ttl, id)
redis.call('HSET', infos, id, info, 'last', now)
for _, key in ipairs({infos, leases, own}) do
    redis.call('EXPIRE', key, 600)
end
local function remove(member, channel)
    local hash, expiries = prefix .. ':in:' .. channel, prefix .. ':until:' .. channel
    local known = redis.call('HGET', hash, member)
    redis.call('ZREM', expiries, member)
    if known then
        redis.call('HDEL', hash, member)
        redis.call('PUBLISH', prefix .. ':bus:' .. channel, 'e 0 ' .. member .. ' ' .. known)
    end
end
local expired = redis.call('ZRANGEBYSCORE', leases, '-inf', now)
if now - last > grace / 2 then
    for _, silent in ipairs(expired) do
        redis.call('ZADD', leases, now + grace, silent)
    end
    expired = {}
end
for _, dead in ipairs(expired) do
    local entries = redis.call('SPOP', prefix .. ':members:' .. dead, limit)
    for _, entry in ipairs(entries) do
        remove(string.match(entry, '^(%S+) (.*)$'))
    end
    limit = limit - #entries
    if limit == 0 then
        break
    end
    redis.call('ZREM', leases, dead)
    redis.call('HDEL', infos, dead)
end
return {lease > now and 1 or 0, limit}
"""
)
"""Renew the lease of a node, and remove the members of nodes whose lease has expired, each once.

If no node at all has renewed its lease lately, Redis was away: all others get time to do so. Returns whether
the lease had not expired, and how many more members could have been removed.
"""

NODES = Script(
    _TIME
    + """
local infos, leases = KEYS[1], KEYS[2]
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '(' .. now, '+inf')) do
    table.insert(found, redis.call('HGET', infos, id) or '')
end
return found
"""
)
"""Return what the nodes with a lease say of themselves."""

ALL = (PUBLISH, HISTORY, JOIN, LEAVE, PRESENCE, HEARTBEAT, NODES)
