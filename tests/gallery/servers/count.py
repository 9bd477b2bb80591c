# How many requests this process has answered, and the SHA-256 of the body; what it has seen is kept for the next. As a
# WSGI and as an ASGI application; the argument is the server.
import hashlib
import sys

seen = []


def answer(url, body):
    seen.append(url)
    return (" ".join(seen) + " " + hashlib.sha256(body).hexdigest()).encode()


def wsgi(environment, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    body = environment["wsgi.input"].read(int(environment.get("CONTENT_LENGTH") or 0))
    return [answer(environment["PATH_INFO"], body)]


async def asgi(scope, receive, send):
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": answer(scope["path"], body)})


def main():
    if sys.argv[1] == "wsgiref":
        from wsgiref import simple_server

        class Handler(simple_server.WSGIRequestHandler):
            def log_message(self, *arguments):
                pass

        simple_server.make_server("", 8080, wsgi, handler_class=Handler).serve_forever()
    elif sys.argv[1] == "waitress":
        import waitress
        waitress.serve(wsgi, listen="127.0.0.1:8080", _quiet=True)
    else:
        import uvicorn
        uvicorn.run(asgi, port=8080, lifespan="off", log_level="warning")


main()
