-- For wrk: handles its arguments, and reports as one line of JSON.
--   upload BYTES   every request has a body of this many bytes
--   paths COUNT    the requests ask for this many targets in turn: "00000" in the URL becomes a number
-- "bytes" are all that arrived, including heads and unfinished responses.
-- "ends" are connections that the server closed without a response although they should be kept.

local function upload(size)
   wrk.method = "POST"
   wrk.body = string.rep("x", size)
end

local function vary(count)
   local requests, last = {}, 0
   for number = 1, count do
      local target = wrk.path:gsub("00000", string.format("%05d", number - 1))
      requests[number] = wrk.format(nil, target)
   end
   -- Defined only if needed: without this function, wrk runs no Lua for a request.
   function request()
      last = last % count + 1
      return requests[last]
   end
end

function init(arguments)
   local what, number = arguments[1], tonumber(arguments[2])
   if what == "upload" then
      upload(number)
   elseif what == "paths" then
      vary(number)
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\n{"messages": %d, "bytes": %.0f, "seconds": %.4f, "p50_us": %.1f, "p99_us": %.1f, "errors": %d, "ends": %d}\n',
      summary.requests, summary.bytes, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
      errors.connect + errors.write + errors.status + errors.timeout, errors.read))
end
