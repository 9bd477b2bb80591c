// A page of what a JSON feed has (https://www.jsonfeed.org/), which is POSTed or was fetched.

// Here once, before the program is frozen.
var entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;" };

function escaped(text) {
    return String(text).replace(/[&<>"]/g, function (character) { return entities[character]; });
}

function link(item) {
    return "<li><a href=\"" + escaped(item.url) + "\">" + escaped(item.title) + "</a>\n";
}

// For each request.
function handle(request) {
    if (request.bytes.length === 0) {
        return { status: 405, headers: { "Allow": "POST" }, body: "POST a feed.\n" };
    }
    var feed = JSON.parse(request.body);
    return {
        type: "text/html; charset=utf-8",
        headers: { "Cache-Control": "max-age=60" },
        body: "<!DOCTYPE html>\n<title>" + escaped(feed.title) + "</title>\n<ul>\n" + feed.items.map(link).join("") + "</ul>\n"
    };
}
