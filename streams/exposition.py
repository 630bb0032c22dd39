"""GET /metrics and GET /healthz for one process, at one address.

A thread of its own takes requests, and has them answered in the event loop that does the work: so
nothing is read while it changes, and a loop that is stuck shows. It answers nothing else.
"""

import asyncio
import errno
import json
import logging
import socket
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from streams.settings import Metrics

ANSWER_S: Final = 5.0
"""A loop that does not answer for so long counts as stuck."""
_log = logging.getLogger("breachline.metrics")


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 16
    answer: Callable[[str, str], tuple[int, str, bytes]]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = ANSWER_S
    server_version = "breachline"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        status, kind, body = self.server.answer(path, self.headers.get("Accept", ""))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        _log.debug(format, *args)


class Exposition:
    """Listens from its making on; answers once `start` says what, until `close`."""

    def __init__(self, listen: str, *, answer_s: float = ANSWER_S) -> None:
        """`listen` is host:port.

        Raises:
            OSError: the address cannot be listened on.
        """
        host, _, port = listen.rpartition(":")
        host = host.strip("[]")

        class Here(_Server):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        self._server = Here((host, int(port)), _Handler)
        self._server.answer = self._answer
        self._answer_s = answer_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    @property
    def port(self) -> int:
        """Where it listens, also if 0 was asked for."""
        return int(self._server.server_address[1])

    def start(self, registry: CollectorRegistry, troubles: Callable[[], list[str]]) -> None:
        """Answer from here on, in the running loop. `troubles`: why not all is well; else empty."""
        self._loop = asyncio.get_running_loop()
        self._registry, self._troubles = registry, troubles
        self._thread = Thread(
            target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def _answer(self, path: str, accept: str) -> tuple[int, str, bytes]:
        if path not in {"/metrics", "/healthz"}:
            return 404, "text/plain; charset=utf-8", b"GET /metrics or /healthz\n"
        future: Future[tuple[int, str, bytes]] = Future()

        def work() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(
                        self._health() if path == "/healthz" else self._metrics(accept)
                    )
                except Exception as error:  # noqa: BLE001  it is the thread's to say
                    future.set_exception(error)

        loop = self._loop
        with suppress(RuntimeError):  # the loop has ended
            if loop is not None:
                loop.call_soon_threadsafe(work)
        try:
            return future.result(self._answer_s)
        except TimeoutError:
            future.cancel()
            return _unwell([f"the event loop does not answer within {self._answer_s:g} s"])
        except Exception as error:  # noqa: BLE001  whoever asks is told, and the log has the rest
            _log.exception("answering %s", path)
            return 500, "text/plain; charset=utf-8", f"{type(error).__name__}\n".encode()

    def _metrics(self, accept: str) -> tuple[int, str, bytes]:
        encode, kind = choose_encoder(accept)
        return 200, kind, encode(self._registry)

    def _health(self) -> tuple[int, str, bytes]:
        if troubles := self._troubles():
            return _unwell(troubles)
        return 200, "application/json", b'{"healthy": true, "why": []}\n'


def _unwell(troubles: list[str]) -> tuple[int, str, bytes]:
    body = json.dumps({"healthy": False, "why": troubles})
    return 503, "application/json", f"{body}\n".encode()


def listening(configured: Metrics | None, number: int = 0) -> Exposition | None:
    """At the address that was configured; without one at the default, or nowhere if it is taken.

    `number` is that of a process among several of one command: each has the next port.

    Raises:
        ValueError: the configured address cannot be listened on.
    """
    listen = (configured or Metrics()).listen
    host, _, port = listen.rpartition(":")
    if int(port):
        listen = f"{host}:{int(port) + number}"
    try:
        return Exposition(listen)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "the port is in use" if taken else error.strerror or type(error).__name__
        if configured is not None:
            text = f"metrics: listening on {listen}: {why}: choose another in metrics.listen"
            raise ValueError(text) from None
        _log.warning(
            "listening on %s: %s: this process shows no metrics; give it an address of its own in "
            "metrics: {listen: HOST:PORT}", listen, why,
        )  # fmt: skip
        return None
