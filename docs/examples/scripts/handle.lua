-- Where pages went: a list of old and new addresses, two in a line.

-- Here once, before the program is frozen.
local moved = {}
for line in io.lines("/srv/scripts/moved.txt") do
    local from, to = line:match("^(%S+)%s+(%S+)$")
    if from then moved[from] = to end
end

-- For each request.
function handle(request)
    local path, query = request.url:match("^([^?]*)(.*)$")
    local to = moved[path]
    if not to then
        return { status = 404, body = "There is no such page.\n" }
    end
    log("moved: " .. path)
    return { status = 301, headers = { Location = to .. query, ["Cache-Control"] = "max-age=3600" }, body = "" }
end
