-- What tests/gallery/scripts.vtc asks for, in Lua.
local count, words = 0, io.open(arg[1]):read("a")
dofile(arg[2])

-- A document taken apart, sorted and put together.
local function sorted(text)
    local list = {}
    for entry in text:gmatch("%b{}") do
        local code, name = entry:match('"alpha_3": "(%l+)"'), entry:match('"name": "([^"]*)"')
        if code and name then list[#list + 1] = { code = code, name = name } end
    end
    table.sort(list, function(a, b) return a.name < b.name end)
    for i, one in ipairs(list) do list[i] = string.format('{"name":"%s","code":"%s"}', one.name:upper(), one.code) end
    return "[" .. table.concat(list, ",") .. "]"
end

local answers = {
    ["/count"] = function() count = count + 1; return tostring(count) end,
    ["/echo"] = function(request) return { type = request.type, body = request.body } end,
    ["/text"] = function(request)
        local characters = {}
        for _, code in utf8.codes(request.body) do table.insert(characters, 1, utf8.char(code)) end
        return table.concat(characters) .. " " .. utf8.len(request.body)
    end,
    ["/sorted"] = function(request) return { type = "application/json", body = sorted(request.body:sub(2)) } end,
    ["/headers"] = function(request)
        return { status = 201, type = "text/x-test", headers = { ["Set-Cookie"] = { "a=1", "b=2" }, ["X-Seen"] = request.headers["x-sent"], ["X-Number"] = 5 } }
    end,
    ["/request"] = function(request) return table.concat({ request.method, request.url, request.argument, request.type, request.body }, "|") end,
    ["/random"] = function() return math.random() .. " " .. math.random() end,
    ["/loaded"] = function() return words .. loaded end,
    ["/throw"] = function()
        error("on purpose")
    end,
    ["/null"] = function() return nil end,
    ["/unknown"] = function() return { stauts = 200 } end,
    ["/status"] = function() return { status = 99 } end,
    ["/type"] = function() return { type = {} } end,
    ["/body"] = function() return { body = true } end,
    ["/header"] = function() return { headers = { a = true } } end,
    ["/newline"] = function() return { headers = { a = "b\r\nc: d" } } end,
    ["/deep"] = function() local function deep() return deep() + 1 end return deep() end,
    ["/memory"] = function() local text = "a" while true do text = text .. text end end,
    ["/loop"] = function() while true do end end,
}

function handle(request)
    return answers[request.url](request)
end
