// What tests/gallery/scripts.vtc asks for, in JavaScript.
var count = 0, words = read(scriptArgs[0]), found;
load(scriptArgs[1]);

// A document taken apart, sorted and put together.
function sorted(text) {
    var list = JSON.parse(text)["639-3"];
    list.sort(function (a, b) { return a.name < b.name ? -1 : a.name > b.name ? 1 : 0; });
    return JSON.stringify(list.map(function (one) { return { name: one.name.toUpperCase(), code: one.alpha_3 }; }));
}

var answers = {
    "/count": function () { return String(++count); },
    "/echo": function (request) { return { type: request.type, body: request.bytes }; },
    "/text": function (request) { return request.body.split("").reverse().join("") + " " + request.body.length; },
    "/sorted": function (request) { return { type: "application/json", body: sorted(request.body) }; },
    "/headers": function (request) {
        return { status: 201, type: "text/x-test", headers: { "Set-Cookie": ["a=1", "b=2"], "X-Seen": request.headers["x-sent"], "X-Number": 5 } };
    },
    "/request": function (request) { return [request.method, request.url, request.argument, request.type, request.body].join("|"); },
    "/random": function () { return Math.random() + " " + Math.random(); },
    "/loaded": function () { return new TextDecoder().decode(words) + loaded; },
    "/throw": function () {
        throw new Error("on purpose");
    },
    "/null": function () { return null; },
    "/unknown": function () { return { stauts: 200 }; },
    "/status": function () { return { status: 99 }; },
    "/type": function () { return { type: {} }; },
    "/body": function () { return { body: [1] }; },
    "/header": function () { return { headers: { a: {} } }; },
    "/newline": function () { return { headers: { a: "b\r\nc: d" } }; },
    "/deep": function deep() { return deep() + 1; },
    "/memory": function () { for (var text = "a";; text += text); },
    "/loop": function () { for (;;); }
};

function handle(request) {
    return answers[request.url](request);
}
