"""Lines over HTTP: bulk calls as shippers make them to Elasticsearch, and lines as they are.

Requests come in, parcels go into the inbox, and a request is answered with success when all of its
lines are durable. Without room the answer is 429, so that the sender keeps its lines and tries
again. It MUST NOT log a token or a body, nor read more of either than its bounds.
"""

import asyncio
import errno
import hashlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any, Final

import orjson
from aiohttp import web

from streams.listen import bulk, elastic
from streams.listen._tls import server_context
from streams.listen.bodies import TooLarge, UnknownEncoding, unpacked
from streams.listen.documents import Sorting, of_array, of_bulk, of_lines
from streams.listen.elastic import Answer, error
from streams.listen.inbox import Closed, Full, Inbox
from streams.listen.settings import Http
from streams.listen.tokens import Tokens

RETRY_AFTER_S: Final = 2
_READ_S: Final = 60.0
"""A body that takes longer is given up: its sender holds room that others could use."""
_STOP_S: Final = 2.0
_IDLE_S: Final = 75.0
MAX_CONNECTIONS: Final = 1_000
_INLINE_BYTES: Final = 256 << 10
"""Larger bodies are read in a thread, so that nobody else waits for them."""
_RECENT: Final = 4_096
_KIND: Final = "http"
_JSON: Final = "application/json; charset=UTF-8"
_MAX_NAME: Final = 100
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger("breachline.listen")


class _Refused(Exception):
    """A request is answered so, before anything of it was taken."""

    def __init__(self, answer: Answer, **headers: str) -> None:
        super().__init__(answer.status)
        self.answer = answer
        self.headers = headers


class _Ended(asyncio.Protocol):
    """A connection that is ended at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class HttpListener:
    """`listen.http:`. See `streams.listen.listeners.Listener`."""

    def __init__(self, settings: Http, inbox: Inbox, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._inbox = inbox
        self._tokens = Tokens(settings, environ)
        self._where = settings.address
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._reading_bytes = 0
        self._recent: OrderedDict[bytes, None] = OrderedDict()
        """Digests of bodies that were taken and in which not every line has a name."""
        self._numbers = count(secrets.randbits(40))
        self._told_repeats = False

    @property
    def says(self) -> str:
        """What a person reads."""
        scheme = "HTTPS" if self._settings.certificate_file else "HTTP"
        guard = "" if self._settings.has_token else ", without a token"
        return f"{scheme} on {self._where}{guard}"

    async def start(self) -> None:
        """See `Listener.start`."""
        settings = self._settings
        self._tokens.check()
        context = None
        if settings.certificate_file is not None:
            context = server_context(settings.certificate_file, settings.key_file, None)
        app = web.Application(middlewares=[self._answered])
        app.router.add_route("*", "/{path:.*}", self._any)
        # A body is unpacked here, within a bound.
        self._runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, shutdown_timeout=_STOP_S,
            keepalive_timeout=_IDLE_S,
        )  # fmt: skip
        await self._runner.setup()
        host, _, port = settings.address.rpartition(":")
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._protocol, host.strip("[]"), int(port), ssl=context
            )
        except OSError as problem:
            await self._runner.cleanup()
            in_use = problem.errno == errno.EADDRINUSE
            why = "the port is in use" if in_use else problem.strerror or type(problem).__name__
            raise ValueError(
                f"listening for HTTP on {settings.address}: {why}: choose another in "
                "listen.http.address"
            ) from problem
        self._where = f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """See `Listener.stop`."""
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _protocol(self) -> asyncio.Protocol:
        """One more connection; or its end, before they take all the files that there may be."""
        server = self._runner.server if self._runner is not None else None
        if server is None or len(server.connections) >= MAX_CONNECTIONS:
            self._inbox.count("refused", _KIND)
            return _Ended()
        return server()

    # -- every request

    @web.middleware
    async def _answered(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        headers = {"X-Elastic-Product": "Elasticsearch", "Server": elastic.NAME}
        try:
            self._admit(request)
            response = await handler(request)
        except _Refused as refused:
            response = _response(refused.answer)
            headers |= refused.headers
        except Full:
            reason = "what waits to be made durable fills listen.max_waiting: try again"
            response = _response(error(429, "es_rejected_execution_exception", reason))
            headers["Retry-After"] = f"{RETRY_AFTER_S}"
        except Closed:
            reason = "Breachline is ending: nothing of this was taken, or not surely: try again"
            response = _response(error(503, "unavailable_exception", reason))
            headers["Retry-After"] = f"{RETRY_AFTER_S}"
        except web.HTTPException as problem:
            response = _response(error(problem.status, "http_exception", problem.reason))
        response.headers.update(headers)
        return response

    def _admit(self, request: web.Request) -> None:
        if not self._tokens.admit(request.headers.get("Authorization", "")):
            self._inbox.count("unauthorized", _KIND)
            raise _Refused(
                error(401, "security_exception", "missing or wrong credentials"),
                **{"WWW-Authenticate": 'Basic realm="breachline", Bearer, ApiKey'},
            )

    async def _any(self, request: web.Request) -> web.StreamResponse:
        # Bytes that are no UTF-8 could not be said in an answer.
        path = request.path.encode("utf-8", "replace").decode().rstrip("/")
        method = request.method
        parts = path.split("/")[1:]
        if method in {"POST", "PUT"}:
            if parts[-1:] == ["_bulk"] and len(parts) <= 2:
                return await self._bulk(request, parts[0] if len(parts) == 2 else "")
            if path == "/lines":
                return await self._lines(request)
            if len(parts) in {2, 3} and parts[1] in {"_doc", "_create"}:
                return await self._document(request, parts[0], parts[2] if parts[2:] else "")
        return _response(elastic.answer(method, path, self._where))

    # -- those that bring lines

    async def _bulk(self, request: web.Request, goal: str) -> web.StreamResponse:
        began_s = time.monotonic()
        body = await self._body(request)

        def read() -> tuple[list[bulk.Item], Sorting]:
            found = bulk.items(unpacked(body, _encoding(request), self._settings.max_body), goal)
            return found, of_bulk(found)

        found, sorting = await self._read(read, len(body))
        await self._put(body, sorting)
        took_ms = round((time.monotonic() - began_s) * 1000)
        filter_path = request.query.get("filter_path", "")
        return _response(Answer(200, bulk.answer(found, took_ms, next(self._numbers), filter_path)))

    async def _document(self, request: web.Request, goal: str, id_: str) -> web.StreamResponse:
        body = await self._body(request)

        def read() -> tuple[list[bulk.Item], Sorting]:
            line = unpacked(body, _encoding(request), self._settings.max_body).strip()
            try:
                document = orjson.loads(line)
            except ValueError:
                raise bulk.Malformed("the body is not a JSON document") from None
            if b"\n" in line:
                line = orjson.dumps(document)
            found = [bulk.Item("create", goal, id_, line)]
            return found, of_bulk(found)

        found, sorting = await self._read(read, len(body))
        await self._put(body, sorting)
        (entry,) = bulk.answer(found, 0, next(self._numbers))["items"]
        return _response(Answer(201, entry["create"]))

    async def _lines(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        name = request.query.get("source", "")[:_MAX_NAME]

        def read() -> Sorting:
            data = unpacked(body, _encoding(request), self._settings.max_body)
            if data.lstrip()[:1] == b"[" and "json" in request.content_type:
                array = of_array(data, name)
                if array is not None:
                    return array
            return of_lines(data.split(b"\n"), name)

        sorting = await self._read(read, len(body))
        lines = await self._put(body, sorting)
        return _response(Answer(200, {"lines": lines}))

    async def _read(self, read: Callable[[], Any], size_bytes: int) -> Any:
        """What a body holds.

        Raises:
            _Refused: it cannot be read.
        """
        try:
            if size_bytes <= _INLINE_BYTES:
                return read()
            return await asyncio.to_thread(read)
        except TooLarge:
            raise self._too_large() from None
        except UnknownEncoding as problem:
            raise _Refused(error(415, "illegal_argument_exception", str(problem))) from None
        except ValueError as problem:
            # Words of ours: they quote no body.
            kind = "illegal_argument_exception"
            raise _Refused(error(400, kind, str(problem))) from None

    async def _put(self, body: bytes, sorting: Sorting) -> int:
        """Returns when all of it is durable: how many lines it has."""
        parcels = sorting.parcels()
        lines = sum(len(parcel.lines) for parcel in parcels)
        if not parcels:
            return 0
        seen = hashlib.blake2b(body, digest_size=16).digest() if sorting.unnamed else b""
        if seen and seen in self._recent:
            self._inbox.count("equal", _KIND)
            self._tell_of_repeats()
        try:
            repeated = await self._inbox.put(_KIND, parcels)
        except (Full, Closed):
            raise
        except asyncio.CancelledError:
            # The sender has gone and will send again, and what it sent may have been taken.
            self._remember(seen)
            raise
        self._remember(seen)
        if repeated:
            _log.info("HTTP: %d of %d lines had been taken before", repeated, lines)
        return lines

    def _remember(self, seen: bytes) -> None:
        if seen:
            self._recent[seen] = None
            self._recent.move_to_end(seen)
            while len(self._recent) > _RECENT:
                self._recent.popitem(last=False)

    def _tell_of_repeats(self) -> None:
        if not self._told_repeats:
            self._told_repeats = True
            _log.warning(
                "HTTP: a body came that is equal to a recent one, and its lines have no ids: they "
                "are kept, and may be counted twice: have the sender give ids (_id, or log.offset "
                "with log.file.path); said once"
            )

    async def _body(self, request: web.Request) -> bytes:
        """The body as it was sent.

        Raises:
            _Refused: it is too large, or takes too long.
            Full: others have sent more than there is room for.
        """
        limit = self._settings.max_body
        if (request.content_length or 0) > limit:
            raise self._too_large()
        chunks: list[bytes] = []
        held_bytes = 0
        try:
            async with asyncio.timeout(_READ_S):
                async for chunk in request.content.iter_any():
                    others = self._reading_bytes - held_bytes
                    held_bytes += len(chunk)
                    self._reading_bytes += len(chunk)
                    if held_bytes > limit:
                        raise self._too_large()
                    if others and self._reading_bytes > self._inbox.max_bytes:
                        self._inbox.count("refused", _KIND)
                        raise Full
                    chunks.append(chunk)
        except TimeoutError:
            reason = f"the body took longer than {_READ_S:g} s"
            raise _Refused(error(408, "timeout_exception", reason)) from None
        finally:
            self._reading_bytes -= held_bytes
        return b"".join(chunks)

    def _too_large(self) -> _Refused:
        self._inbox.count("too_large", _KIND)
        reason = (
            f"a body has at most {self._settings.max_body:,} bytes, also unpacked: send smaller "
            "ones, or raise listen.http.max_body"
        )
        return _Refused(error(413, "content_too_large_exception", reason))


def _encoding(request: web.Request) -> str:
    return request.headers.get("Content-Encoding", "")


def _response(answer: Answer) -> web.Response:
    if isinstance(answer.body, str):
        return web.Response(status=answer.status, text=answer.body)
    return web.Response(
        status=answer.status, body=orjson.dumps(answer.body), headers={"Content-Type": _JSON}
    )
