"""A server on loopback that answers as it is told, and remembers what it was asked."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(BaseHTTPRequestHandler):
    """Answers as its table says, and remembers what was asked."""

    def answer(self):
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        server = self.server
        assert isinstance(server, Double)
        server.asked.append(
            (f"{self.command} {self.path}", self.headers.get("Authorization"), body)
        )
        code, said = server.answers.get(self.path, (404, {}))
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    do_GET = do_POST = answer  # noqa: N815  names of http.server

    def log_message(self, *_):
        pass


class Double(ThreadingHTTPServer):
    def __init__(self, answers):
        self.answers = answers
        self.asked: list[tuple[str, str | None, object]] = []
        super().__init__(("127.0.0.1", 0), Server)


@contextmanager
def serving(answers):
    with Double(answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
