-- For wrk: uploads as many bytes as its argument says, if there is one, and reports as one line of JSON.
-- "bytes" are all that came, heads and unfinished answers too.
-- "ends" are connections that the server closed without a word while they were to be kept.

function init(arguments)
   if arguments[1] then
      wrk.method = "POST"
      wrk.body = string.rep("x", tonumber(arguments[1]))
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\n{"messages": %d, "bytes": %.0f, "seconds": %.4f, "p50_us": %.1f, "p99_us": %.1f, "errors": %d, "ends": %d}\n',
      summary.requests, summary.bytes, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
      errors.connect + errors.write + errors.status + errors.timeout, errors.read))
end
