# A WSGI application, with the server of Python's own library.
import json
from wsgiref.simple_server import WSGIRequestHandler, make_server


def application(environment, start_response):
    size = int(environment.get('CONTENT_LENGTH') or 0)
    words = environment['wsgi.input'].read(size).split()
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [json.dumps({'path': environment['PATH_INFO'], 'words': len(words)}).encode()]


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


if __name__ == '__main__':
    make_server('', 8000, application, handler_class=QuietHandler).serve_forever()
