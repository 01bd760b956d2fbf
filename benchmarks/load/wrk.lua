-- For wrk: uploads 10 KiB if its argument is "upload", and reports as one line of JSON.
-- "ends" are connections that the server closed without a word while they were to be kept.

function init(arguments)
   if arguments[1] == "upload" then
      wrk.method = "POST"
      wrk.body = string.rep("x", 10240)
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\n{"messages": %d, "seconds": %.4f, "p50_us": %.1f, "p99_us": %.1f, "errors": %d, "ends": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
      errors.connect + errors.write + errors.status + errors.timeout, errors.read))
end
