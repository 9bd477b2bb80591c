# A WSGI application, with the server of Python's own library. The argument is the port.
import socketserver
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


def application(environment, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "14")])
    return [b"Hello, world!\n"]


class Handler(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


make_server("127.0.0.1", int(sys.argv[1]), application, Server, Handler).serve_forever()
