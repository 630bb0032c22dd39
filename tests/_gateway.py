"""A gateway on loopback that implements CONTRACT 5, with switches for everything that goes wrong.

It shares no code with Breachline. `blocked` is a list, not a set, so that a second effect shows.
"""

import json
import socket
import struct
import threading
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from typing import Literal, Self

TOKEN = "synthetic-7f3a-token"

Trouble = Literal[
    "401", "403", "404", "405", "429", "500", "302",
    "get_404", "get_405", "get_500", "get_slow",
    "slow",  # has the effect, and answers too late
    "half",  # has the effect, and breaks off within the answer
    "reset",  # breaks the connection before the effect
    "reset_after",  # and after it
    "nonsense",  # 200 and a page that is no JSON
    "wrong_json",  # 200 and JSON of another shape
    "not_http",
    "drift",  # says 200 and does nothing
]  # fmt: skip


class Gateway:
    """`with Gateway() as gateway:` serves until left; stop() and start() keep the port."""

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self.trouble: Trouble | None = None
        self.retry_after = "7"
        self.knows_networks = True
        self.blocked: list[str] = []
        self.effects: Counter[tuple[str, str]] = Counter()
        """(block or unblock, address) -> how often it was really carried out."""
        self.keys: dict[str, str] = {}
        """Idempotency-Key -> what was done under it; a repeat is answered, not done."""
        self.calls: Counter[str] = Counter()
        """METHOD path -> requests seen."""
        self.tokens: list[str] = []
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._port = 0
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        gateway = self

        class Handler(_Handler):
            owner = gateway

        self._server = _Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server.hang_up()
            self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.stop()

    def carry_out(self, verb: str, ip: str, key: str) -> None:
        """Have the effect once for each key."""
        with self._lock:
            if key in self.keys:
                return
            self.keys[key] = f"{verb} {ip}"
            self.effects[verb, ip] += 1
            if verb == "block":
                self.blocked.append(ip)
            elif ip in self.blocked:
                self.blocked.remove(ip)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *args):
        super().__init__(*args)
        self._connections: set[socket.socket] = set()

    def process_request(self, request, client_address):
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self):
        """End kept-alive connections too, as a process that dies does."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address):
        """A client that hangs up is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    owner: Gateway
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._serve(b"")

    def do_POST(self):
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def log_message(self, *_):
        pass

    def _serve(self, body: bytes) -> None:
        gateway = self.owner
        trouble: str | None = gateway.trouble
        gateway.calls[f"{self.command} {self.path}"] += 1
        gateway.tokens.append(self.headers.get("Authorization", ""))
        if trouble and trouble.startswith("get_"):
            trouble = trouble.removeprefix("get_") if self.command == "GET" else None
        if trouble == "429":
            self._answer(429, b"{}", ("Retry-After", gateway.retry_after))
        elif trouble == "302":
            self._answer(302, b"", ("Location", "/elsewhere"))
        elif trouble and trouble.isdigit():
            # A careless gateway echoes what it was sent.
            self._answer(int(trouble), self.headers.get("Authorization", "").encode())
        elif trouble == "nonsense":
            self._answer(200, b"<html>Welcome to the hotel's network</html>\x00\xff")
        elif trouble == "wrong_json":
            self._answer(200, b'{"ips": {"203.0.113.7": true}}')
        elif trouble == "not_http":
            self.wfile.write(b"\x16\x03\x01 220 mail.example ESMTP\r\n\r\n")
            self.close_connection = True
        elif trouble == "reset":
            self._reset()
        elif self.headers.get("Authorization") != f"Bearer {gateway.token}":
            self._answer(401, b"{}")
        else:
            self._work(body, trouble)

    def _work(self, body: bytes, trouble: str | None) -> None:
        gateway = self.owner
        verb = {"/admin/block-ip": "block", "/admin/unblock-ip": "unblock"}.get(self.path)
        if self.command == "GET" and self.path == "/admin/blocked-ips":
            answer = json.dumps({"ips": gateway.blocked}).encode()
        elif self.command == "POST" and verb:
            text, key = json.loads(body)["ip"], self.headers["Idempotency-Key"]
            if "/" in text and not gateway.knows_networks:
                self._answer(422, b'{"error": "not an address"}')
                return
            ip = str(ip_network(text)) if "/" in text else str(ip_address(text))
            if verb == "unblock" and ip not in gateway.blocked and key not in gateway.keys:
                self._answer(404, b'{"error": "not blocked"}')
                return
            if trouble != "drift":
                gateway.carry_out(verb, ip, key)
            answer = b'{"ok": true}'
        else:
            self._answer(404, b"{}")
            return
        if trouble == "slow":
            gateway.released.wait(30)
        if trouble == "reset_after":
            self._reset()
        elif trouble == "half":
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer) + 100))
            self.end_headers()
            self.wfile.write(answer)
            self.close_connection = True
        else:
            self._answer(200, answer)

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        # Zero linger makes close() send RST, as a crashed or overloaded peer does.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
