-- A script of wrk: sends one body again and again, and holds every reply to status and length.
--     wrk -s post.lua URL -- BODY_FILE REPLY_BYTES
-- A hundredth more or less is let through: a run that requests share may round a number's last digit otherwise.
-- Prints one JSON object at the end, times in microseconds.

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
   expected = tonumber(args[2])
   slack = math.ceil(expected / 100)
   wrong = 0
   request_text = wrk.format()
end

function request()
   return request_text
end

function response(status, headers, body)
   if status ~= 200 or math.abs(#body - expected) > slack then
      wrong = wrong + 1
      if wrong == 1 then
         print("status " .. status .. ", " .. #body .. " bytes: " .. body:sub(1, 200))
      end
   end
end

function done(summary, latency, requests)
   local bad = 0
   for _, thread in ipairs(threads) do
      bad = bad + thread:get("wrong")
   end
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.timeout
   local format = '{"replies": %d, "micros": %d, "wrong": %d, "failed": %d, "p50": %d, "p99": %d}'
   print(string.format(format, summary.requests, summary.duration, bad, failed,
      latency:percentile(50), latency:percentile(99)))
end
