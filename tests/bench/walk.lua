-- For wrk, with one connection: walk a list by its cursors, and keep the one of its last full page.
--
--   wrk -t1 -c1 ... -s walk.lua URL -- PATH TOKEN FILE
--
-- PATH has a query; TOKEN may be -. Every thousand pages, and at the end, FILE gets the cursor
-- before the one that was read last.

local path, token, file
local cursor, former
local pages = 0

function init(args)
    path, token, file = args[1], args[2], args[3]
end

function request()
    local headers = {}
    if token ~= "-" then headers["Authorization"] = "Bearer " .. token end
    return wrk.format("GET", cursor and path .. "&cursor=" .. cursor or path, headers)
end

local function keep()
    local out = io.open(file, "w")
    out:write(former or "", "\n")
    out:close()
end

function response(status, _, body)
    local following = body:match('"next_cursor":"([^"]+)"')
    pages = pages + 1
    if following and status == 200 then
        former, cursor = cursor, following
        if pages % 1000 == 0 then keep() end
    else
        keep()
        wrk.thread:stop()
    end
end
