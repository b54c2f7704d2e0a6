-- A script of wrk: sends one body again and again.
--     wrk -s post.lua URL -- BODY_FILE [REPLY_BYTES]
-- With REPLY_BYTES every reply must have status 200 and a body of that length, a hundredth more or less: a run that
-- requests share may round a number's last digit otherwise. That costs the sending core as much as the rest, so
-- without it there is only what wrk itself counts. Prints one JSON object at the end, times in microseconds.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   local file = assert(io.open(args[1], "rb"))
   wrk.method = "POST"
   wrk.headers["Content-Type"] = "application/json"
   wrk.body = file:read("*a")
   file:close()
   wrong = 0
   if args[2] then
      expected = tonumber(args[2])
      slack = math.ceil(expected / 100)
      response = check
   end
end

function check(status, headers, body)
   if status ~= 200 or math.abs(#body - expected) > slack then
      wrong = wrong + 1
      if wrong == 1 then
         print("status " .. status .. ", " .. #body .. " bytes: " .. body:sub(1, 200))
      end
   end
end

function done(summary, latency, requests)
   local wrong_replies = summary.errors.status
   for _, thread in ipairs(threads) do
      wrong_replies = wrong_replies + thread:get("wrong")
   end
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.timeout
   local format = '{"replies": %d, "bytes": %d, "micros": %d, "wrong": %d, "failed": %d, "p50": %d, "p99": %d}'
   print(string.format(format, summary.requests, summary.bytes, summary.duration, wrong_replies, failed,
      latency:percentile(50), latency:percentile(99)))
end
