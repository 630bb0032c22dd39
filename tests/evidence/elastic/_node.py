"""A double of one Elasticsearch node on loopback that keeps documents, and fails as it is told.

It answers as the bulk API is published: one item a document, in order, whole failures without any.
"""

import gzip
import json
import ssl
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CONFLICT = {"type": "version_conflict_engine_exception", "reason": "already there"}
REJECTED = {"type": "es_rejected_execution_exception", "reason": "rejected execution"}
UNPARSABLE = {
    "type": "document_parsing_exception",
    "reason": "[1:6] failed to parse field [n] of type [long] in document with id 'x'. "
    "Preview of field's value: 'secret'",
}
BAD = b'{"n":"secret"}'
LONGEST_ID = 512
RELEASED_S = 60


@dataclass(frozen=True)
class Whole:
    """The request as a whole is answered so, and nothing of it stored."""

    status: int
    body: Any = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Items:
    """Every document is stored but those at these places, which are answered so."""

    failed: dict[int, tuple[int, dict[str, str]]]


@dataclass(frozen=True)
class Lost:
    """The connection ends in the middle of the answer: all is stored, and nobody told."""


@dataclass(frozen=True)
class Silent:
    """All is stored, and the answer does not come before the client has gone."""


@dataclass
class Node:
    """`turns` are taken one a request; after them all goes well."""

    most_bytes: int = 10**9
    hasty: bool = False
    """Whether it closes on a request that is too large, without reading it, unless asked first."""
    turns: deque[Any] = field(default_factory=deque)
    documents: dict[tuple[str, str], bytes] = field(default_factory=dict)
    versions: dict[tuple[str, str], int] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    """Ids in the order in which documents were stored, each time one was."""
    counts: list[int] = field(default_factory=list)
    """Documents of each bulk request, as the headers and the body say."""
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    product: str = "Elasticsearch"
    tls: ssl.SSLContext | None = None
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self):
        """What clients take as a host, inside of `with`."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._http.server_port}"

    def __enter__(self):
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        if self.tls is not None:
            self._http.socket = self.tls.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_fault):
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def forget(self):
        """As new, on the same port."""
        for kept in (self.turns, self.documents, self.versions, self.writes, self.counts):
            kept.clear()
        self.most_bytes, self.hasty = 10**9, False

    def bulk(self, body):
        """The answer to a bulk request, and what breaks it."""
        lines = body.split(b"\n")
        assert lines.pop() == b"", "the last line has no end"
        pairs = list(zip(lines[::2], lines[1::2], strict=True))
        self.counts.append(len(pairs))
        turn = self.turns.popleft() if self.turns else None
        if isinstance(turn, Whole):
            return turn, None
        if len(body) > self.most_bytes:
            return Whole(413), None
        wanted = [(next(iter(json.loads(about).items())), source) for about, source in pairs]
        if any(len(about["_id"]) > LONGEST_ID for (_op, about), _source in wanted):
            reason = "Validation Failed: 1: id is too long"
            error = {"type": "action_request_validation_exception", "reason": reason}
            return Whole(400, {"error": error, "status": 400}), None
        failed = turn.failed if isinstance(turn, Items) else {}
        items = [
            self._item(op, about, source, failed.get(place))
            for place, ((op, about), source) in enumerate(wanted)
        ]
        errors = any("error" in item for one in items for item in one.values())
        return Whole(200, {"took": 1, "errors": errors, "items": items}), turn

    def _item(self, op, about, source, failed):
        key = (about["_index"], about["_id"])
        item = {"_index": key[0], "_id": key[1]}
        if failed is not None:
            return {op: item | {"status": failed[0], "error": failed[1] | {"index": key[0]}}}
        if source == BAD:
            return {op: item | {"status": 400, "error": UNPARSABLE}}
        version = about.get("version", 1)
        known = key in self.documents
        if known and (op == "create" or version <= self.versions[key]):
            return {op: item | {"status": 409, "error": CONFLICT}}
        self.documents[key], self.versions[key] = source, version
        self.writes.append(key[1])
        return {op: item | {"status": 200 if known else 201, "_version": version}}


def _handler(node):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_words):
            pass

        def handle_expect_100(self):
            node.requests.append((self.path, dict(self.headers)))
            if self._size() > node.most_bytes:
                self._answer(Whole(413), None)
                self.close_connection = True
                return False
            return super().handle_expect_100()

        def _size(self):
            return int(self.headers.get("content-length", 0))

        def do_POST(self):
            if node.hasty and self._size() > node.most_bytes:
                self.close_connection = True
                return
            node.requests.append((self.path, dict(self.headers)))
            body = self.rfile.read(self._size())
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            self._answer(*node.bulk(body))

        def do_GET(self):
            node.requests.append((self.path, dict(self.headers)))
            self._answer(node.turns.popleft(), None)

        def _answer(self, answer, turn):
            text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
            data = text.encode()
            if isinstance(turn, Silent):
                self.close_connection = True
                node.released.wait(RELEASED_S)
                return
            self.send_response(answer.status)
            self.send_header("X-Elastic-Product", node.product)
            kind = "text/html" if isinstance(answer.body, str) else "application/json"
            for name, value in {"Content-Type": kind, **dict(answer.headers)}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if isinstance(turn, Lost):
                data, self.close_connection = data[: len(data) // 2], True
            self.wfile.write(data)

    return Handler
