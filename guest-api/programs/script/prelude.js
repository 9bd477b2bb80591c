// SPDX-License-Identifier: BSD-2-Clause
// What is between js.cpp and a script: a function that gets a request as bytes, calls handle(), and returns what that
// answered as bytes, in a flat list: status, type, body, and a name and a value for each header.
(function (global) {
    var decoder = new TextDecoder(), encoder = new TextEncoder();

    function text(bytes) {
        return decoder.decode(bytes);
    }

    function bytes(value, key) {
        if (typeof value === "string" || typeof value === "number") {
            return encoder.encode(String(value));
        }
        if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
            return value;
        }
        throw "handle() returned a wrong \"" + key + "\", which must be a string" + (key === "body" ? " or bytes" : "");
    }

    global.console = { log: global.log, info: global.log, warn: global.log, error: global.log };

    return function (method, url, argument, type, body, lines) {
        var request = { method: text(method), url: text(url), argument: text(argument), type: text(type), headers: {} };
        for (var i = 0; i < lines.length; i += 2) {
            request.headers[text(lines[i])] = text(lines[i + 1]);
        }
        request.bytes = new Uint8Array(body);
        Object.defineProperty(request, "body", { enumerable: true, get: function () { return text(body); } });

        var answer = global.handle(request);
        if (typeof answer === "string") {
            answer = { body: answer };
        }
        if (typeof answer !== "object" || answer === null) {
            throw "handle() returned " + answer + " instead of a string or an object";
        }
        var result = [200, "text/plain; charset=utf-8", ""];
        Object.keys(answer).forEach(function (key) {
            var value = answer[key];
            if (key === "status") {
                if (typeof value !== "number") {
                    throw "handle() returned a wrong \"status\", which must be a number";
                }
                result[0] = value;
            } else if (key === "type") {
                result[1] = value;
            } else if (key === "body") {
                result[2] = value;
            } else if (key === "headers") {
                Object.keys(value).forEach(function (name) {
                    [].concat(value[name]).forEach(function (one) {
                        result.push(name, one);
                    });
                });
            } else {
                throw "handle() returned an unknown key \"" + key + "\": there are status, type, headers and body";
            }
        });
        return result.map(function (value, index) {
            return index === 0 ? value : bytes(value, index === 1 ? "type" : index === 2 ? "body" : "headers");
        });
    };
})(new Function("return this")());
