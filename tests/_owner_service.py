"""An ownership service on loopback, by the contract of `ownership: {http: ...}`, with its faults.

It shares no code with Breachline. GET /owners/OBJECT answers one, GET /owners?ids=A,B several.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "synthetic-owner-token"


class OwnerService:
    """`with OwnerService({...}) as it:` serves until left; stop() and start() keep the port."""

    def __init__(self, owners: dict[str, object], *, token: str = "") -> None:
        """`owners`: object -> what stands for its owner in the JSON."""
        self.owners = owners
        self.token = token
        self.trouble: int | str = 0
        """A status to answer with; or slow, half, nonsense, list, wrong, huge, 302."""
        self.refused: set[str] = set()
        """Objects that it answers 422 to."""
        self.left_out: set[str] = set()
        """Objects that are not in answers about several."""
        self.asked: list[list[str]] = []
        """The objects of each request that was answered or not."""
        self.released = threading.Event()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def one(self) -> str:
        return f"http://{self.host}/owners/{{object}}"

    @property
    def several(self) -> str:
        return f"http://{self.host}/owners?ids={{objects}}"

    def start(self) -> None:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.stop()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        several = "ids" in (query := parse_qs(parts.query))
        items = query["ids"][0].split(",") if several else [unquote(parts.path[len("/owners/") :])]
        with self._lock:
            self.asked.append(items)
        if self.token and handler.headers.get("Authorization") != f"Bearer {self.token}":
            return self._send(handler, 401)
        if self.trouble == "slow":
            self.released.wait(5)
        if isinstance(self.trouble, int) and self.trouble:
            return self._send(handler, self.trouble)
        if self.trouble == "half":
            handler.send_response(200)
            handler.send_header("Content-Length", "100")
            handler.end_headers()
            handler.wfile.write(b'{"owner"')
            handler.close_connection = True
            return None
        odd = {"nonsense": b"<html>", "list": b"[1]", "wrong": b'{"owner": {"id": 1}}',
               "huge": b" " * (9 << 20)}  # fmt: skip
        if self.trouble in odd:
            return self._send(handler, 200, odd[str(self.trouble)])
        if self.refused & set(items):
            return self._send(handler, 422)
        if several:
            found = {
                i: self.owners[i] for i in items if i in self.owners and i not in self.left_out
            }
            return self._send(handler, 200, json.dumps(found).encode())
        (item,) = items
        if item not in self.owners:
            return self._send(handler, 404)
        owner = self.owners[item]
        key = "owners" if isinstance(owner, list) else "owner"
        return self._send(handler, 200, json.dumps({key: owner}).encode())

    def _send(self, handler: BaseHTTPRequestHandler, status: int, body: bytes = b"") -> None:
        handler.send_response(status)
        if status in {429, 503}:
            handler.send_header("Retry-After", "7")
        if 300 <= status < 400:
            handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


def wait_for(condition, seconds: float = 20.0) -> None:
    """Until it holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)
