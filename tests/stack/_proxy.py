"""Stands in front of a server of HTTP, and passes on what comes, or does what its `fault` says."""

import json
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ELASTIC = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/json"}
PASSED_ON = {"accept", "authorization", "content-encoding", "content-type"}


def refusing(status, kind, reason, **headers):
    """A fault: every request is answered so, as Elasticsearch writes it."""
    body = {"error": {"type": kind, "reason": reason}, "status": status}
    return lambda: (status, {**ELASTIC, **headers}, json.dumps(body).encode())


def slow(seconds):
    """A fault: nothing is answered for so long, and then nothing good."""

    def wait():
        time.sleep(seconds)
        return refusing(503, "timeout", "too late")()

    return wait


class Proxy:
    """`with Proxy(url) as proxy:`; `requests` counts what came."""

    def __init__(self, url):
        self._target = url
        self.fault = None
        self.requests = 0

    def __enter__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                outer.requests += 1
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fault = outer.fault
                status, headers, data = fault() if fault else self.answer(body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def answer(self, body):
                given = {n: v for n, v in self.headers.items() if n.lower() in PASSED_ON}
                request = urllib.request.Request(
                    outer._target + self.path, method=self.command, headers=given,
                    data=body or None,
                )  # fmt: skip
                try:
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        return answer.status, ELASTIC, answer.read()
                except urllib.error.HTTPError as refusal:
                    with refusal:
                        return refusal.code, ELASTIC, refusal.read()

            do_GET = do_POST = do_PUT = do_HEAD = pass_on  # noqa: N815  as http.server asks

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        # A client that did not wait is none of its errors.
        setattr(self._http, "handle_error", lambda *_: None)  # noqa: B010
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_fault):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self):
        """What clients take as a host."""
        return f"http://127.0.0.1:{self._http.server_port}"
