-- For wrk: send the requests that a file lists, in turn, and print one line of figures.
--
--   wrk ... -s requests.lua URL -- FILE [PAUSE]
--
-- A line of FILE is METHOD, PATH, TOKEN and BODY, with tabs between; - stands for none. What is
-- printed: the number of requests, microseconds, p50 and p99 in microseconds, failures, and the
-- longest in microseconds. Each connection pauses PAUSE ms before a request, more or less by a half.

local requests = {}
local at = 0

function init(args)
    local pause = tonumber(args[2])
    if pause then
        function delay() return math.random(math.floor(pause / 2), math.floor(pause * 3 / 2)) end
    end
    for line in io.lines(args[1]) do
        local method, path, token, body = line:match("([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)")
        local headers = {}
        if token ~= "-" then headers["Authorization"] = "Bearer " .. token end
        if body ~= "-" then headers["Content-Type"] = "application/json" end
        requests[#requests + 1] = wrk.format(method, path, headers, body ~= "-" and body or nil)
    end
end

function request()
    at = at % #requests + 1
    return requests[at]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format("figures %d %d %d %d %d %d\n", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout, latency.max))
end
