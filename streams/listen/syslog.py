"""Syslog over UDP, TCP and TLS (RFC 5424, 3164, 6587, 5425): messages in, lines into the inbox.

A line is the whole message: what carried it is taken off where formats are read. TCP and TLS read
on only when what they read is durable, so that a kill loses what the kernel holds and one reading
(`AT_ONCE_BYTES`) at most: syslog has no acknowledgement that could do better. UDP waits for nobody:
what finds no room is dropped and counted.
"""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, cast

from streams.lines import MAX_LINE_BYTES
from streams.listen._framing import Messages, clean
from streams.listen._senders import Senders
from streams.listen._tls import server_context
from streams.listen.inbox import Closed, Inbox, Parcel
from streams.listen.settings import Syslog

AT_ONCE_BYTES: Final = 256 << 10
"""asyncio reads no more than this before it asks whether to go on."""
_UDP_BUFFER: Final = 16 << 20
_TCP_BUFFER: Final = 256 << 10
_MAX_CONNECTIONS: Final = 1_000
_GATHER_S: Final = 0.02
_BACKLOG: Final = 128


class SyslogListener:
    """One of `listen.syslog:`."""

    def __init__(self, settings: Syslog, inbox: Inbox) -> None:
        self._settings = settings
        self._inbox = inbox
        self._where = settings.address
        self._server: asyncio.Server | None = None
        self._transport: asyncio.BaseTransport | None = None
        self._connections: set[_Connection] = set()

    @property
    def says(self) -> str:
        """What a person reads."""
        return f"syslog over {self._settings.protocol.upper()} on {self._where}"

    async def start(self) -> None:
        """See `Listener.start`."""
        host, _, port = self._settings.address.rpartition(":")
        loop = asyncio.get_running_loop()
        senders = Senders(f"syslog {self._settings.protocol} {self._settings.address}")
        try:
            sock = _bound(host.strip("[]"), int(port), udp=self._settings.protocol == "udp")
        except OSError as error:
            raise ValueError(
                f"listening for {self.says}: {error.strerror or error}; stop what uses the "
                "address, or change listen.syslog"
            ) from error
        self._where = _shown(sock)
        if self._settings.protocol == "udp":
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self._inbox, senders), sock=sock
            )
            return
        context = None
        if self._settings.certificate_file is not None:
            try:
                context = server_context(
                    self._settings.certificate_file,
                    self._settings.key_file,
                    self._settings.ca_file,
                )
            except ValueError:
                sock.close()
                raise
        self._server = await loop.create_server(
            lambda: _Connection(self._inbox, senders, self._connections),
            sock=sock,
            backlog=_BACKLOG,
            ssl=context,
        )

    async def stop(self) -> None:
        """See `Listener.stop`."""
        if self._transport is not None:
            self._transport.close()
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.end()
        await asyncio.gather(*(one.ended() for one in tuple(self._connections)))


class _Datagrams(asyncio.DatagramProtocol):
    """UDP: a message a datagram, handed on a few at a time."""

    def __init__(self, inbox: Inbox, senders: Senders) -> None:
        self._inbox = inbox
        self._senders = senders
        self._gathered: list[bytes] = []
        self._size_bytes = 0
        self._later: asyncio.TimerHandle | None = None

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr
        if message := clean(data):
            self._gathered.append(message)
            self._size_bytes += len(message)
        if self._size_bytes >= AT_ONCE_BYTES:
            self._hand_on()
        elif self._later is None and self._gathered:
            self._later = asyncio.get_running_loop().call_later(_GATHER_S, self._hand_on)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._hand_on()

    def _hand_on(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        gathered, self._gathered, self._size_bytes = self._gathered, [], 0
        for parcel in parcels(gathered, self._senders):
            with suppress(Closed):
                self._inbox.offer("syslog", [parcel])


class _Connection(asyncio.Protocol):
    """TCP or TLS: reads, hands on, and reads again once that is durable."""

    def __init__(self, inbox: Inbox, senders: Senders, connections: "set[_Connection]") -> None:
        self._inbox = inbox
        self._senders = senders
        self._connections = connections
        self._messages = Messages(MAX_LINE_BYTES)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._told_too_long = 0
        self._over = False
        """Nothing more is read: the sender has ended, or the listener."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._connections) >= _MAX_CONNECTIONS:
            self._inbox.count("refused", "syslog")
            transport.close()
            return
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._hand_on(self._messages.feed(data))

    def eof_received(self) -> bool:
        self._over = True
        self._hand_on(self._messages.finish())
        return self._task is not None

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._connections.discard(self)

    def end(self) -> None:
        """Read no more; what was handed on is still waited for."""
        self._over = True
        if self._transport is not None and self._task is None:
            self._transport.close()

    async def ended(self) -> None:
        """Returns when what was handed on is durable or given up."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _hand_on(self, messages: Sequence[bytes]) -> None:
        if self._messages.too_long > self._told_too_long:
            self._inbox.count("too_long", "syslog", self._messages.too_long - self._told_too_long)
            self._told_too_long = self._messages.too_long
        if messages and self._transport is not None:
            self._transport.pause_reading()
            self._task = asyncio.ensure_future(self._until_durable(messages, self._transport))

    async def _until_durable(self, messages: Sequence[bytes], transport: asyncio.Transport) -> None:
        try:
            await self._inbox.put("syslog", parcels(messages, self._senders), wait=True)
        except Closed:
            transport.abort()
            return
        finally:
            self._task = None
        if self._over:
            transport.close()
        elif not transport.is_closing():
            transport.resume_reading()


def parcels(messages: Sequence[bytes], senders: Senders) -> list[Parcel]:
    """Messages by their source, in order."""
    by_source: dict[tuple[str, str], list[bytes]] = {}
    for message in messages:
        by_source.setdefault(senders.source(message), []).append(message)
    return [Parcel(source, name, lines) for (source, name), lines in by_source.items()]


def _bound(host: str, port: int, *, udp: bool) -> socket.socket:
    """A socket that listens there.

    Raises:
        OSError: the address is taken, or not this machine's.
    """
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    family, _, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]
    sock = socket.socket(family, kind)
    try:
        # A kill must lose little, and a burst over UDP nothing: Linux caps it at rmem_max.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UDP_BUFFER if udp else _TCP_BUFFER)
        if not udp:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _shown(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
