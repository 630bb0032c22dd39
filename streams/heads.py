"""Tells signed heads of the log to second places, so that a rewritten history shows.

The store's newest head comes in, at most one every few seconds; a line in a file, a document or a
request goes out. How far each place was told stands in the store. A place that cannot be told is
asked again later and later: it must never hold up detection. A place that was told of more than
the log holds, or of something else, says so: the store was rolled back or rewritten.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Protocol
from urllib.parse import urlsplit

import httpx
import msgspec
from prometheus_client import Metric

from evidence.ledger import Head
from evidence.store import EmbeddedStore
from records.ids import iso
from responders._base import TRANSPORT_FAULTS, retry_after_s
from streams.beside import Durable, at_once
from streams.metrics import gauge

EVERY_MS = 5_000
"""Between two heads at one place: each stands for all before it."""
AGAIN_S = 2.0
MOST_S = 300.0
"""The longest wait between two attempts."""
WEBHOOK_S = 10.0
_TAIL_BYTES = 1 << 20
SPACE = "heads"

_log = logging.getLogger("breachline.heads")


class NotPublished(Exception):
    """Why a place was not told, and what to do; `wait_s`: at least until it is asked again."""

    def __init__(self, words: str, wait_s: float = AGAIN_S) -> None:
        super().__init__(words)
        self.wait_s = wait_s


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What one place was told, and how the attempts stand."""

    size: int = 0
    """Of the newest head that stands there."""
    at_ms: int = 0
    attempts: int = 0
    """Since then, that failed."""
    next_attempt_ms: int = 0
    trouble: str = ""


class Place(Protocol):
    """Where heads are published."""

    @property
    def name(self) -> str:
        """What it is called to a person; one store has each once."""
        ...

    async def put(self, head: Head, at_ms: int) -> None:
        """Have it there; told twice, it stands once. `at_ms`: of the newest entry it covers.

        Raises:
            NotPublished: it is not there, or something stands there that cannot be.
        """
        ...


class Publisher:
    """Publishes one store's heads. `step` now and then, `last` before the store is closed."""

    def __init__(
        self,
        store: EmbeddedStore,
        places: Iterable[Place],
        random: Random,
        *,
        durable: Durable = at_once,
    ) -> None:
        """`durable` returns once what the store holds would survive this machine."""
        self._store = store
        self._places = list(places)
        self._random = random
        self._durable = durable

    async def step(self, now_ms: int) -> None:
        """Tell each place that is due of the newest head."""
        head = self._store.ledger.head()
        if head is None:
            return
        known = told(self._store)
        due = [
            place
            for place in self._places
            if (at := known.get(place.name, Told())).size < head.size
            and now_ms >= max(at.next_attempt_ms, at.at_ms + EVERY_MS)
        ]
        await self._tell(due, head, now_ms)

    async def last(self, now_ms: int) -> None:
        """Tell each place that lacks the newest head, due or not: nobody will for a while."""
        head = self._store.ledger.head()
        if head is None:
            return
        known = told(self._store)
        lacking = [one for one in self._places if known.get(one.name, Told()).size < head.size]
        await self._tell(lacking, head, now_ms)

    def metrics(self, now_ms: int) -> Iterable[Metric]:
        """As `Beside.metrics`."""
        head, known = self._store.ledger.head(), told(self._store)
        size = head.size if head else 0
        entries = gauge("head_entries", "Entries under the newest signed head.")
        entries.add_metric((), size)
        published = gauge("head_published_entries", "Of the newest published one.", "place")
        behind = gauge(
            "head_unpublished_seconds",
            "Since a place was told, while it lacks the newest.",
            "place",
        )
        for place in self._places:
            at, label = known.get(place.name, Told()), (place.name.partition(" ")[0],)
            published.add_metric(label, at.size)
            behind.add_metric(label, (now_ms - at.at_ms) / 1000 if at.size < size else 0.0)
        return entries, published, behind

    async def _tell(self, places: Sequence[Place], head: Head, now_ms: int) -> None:
        if not places:
            return
        await self._durable()
        newest = next(self._store.log.entries(head.size - 1))
        said = await asyncio.gather(*(self._put(place, head, newest.at_ms) for place in places))
        known, items = told(self._store), []
        for place, fault in zip(places, said, strict=True):
            at = self._after(known.get(place.name, Told()), head, fault, now_ms)
            if at.trouble and at.trouble != known.get(place.name, Told()).trouble:
                _log.warning("publishing a head at %s: %s", place.name, at.trouble)
            items.append((SPACE, place.name, msgspec.msgpack.encode(at)))
        self._store.save_state(items)

    async def _put(self, place: Place, head: Head, at_ms: int) -> NotPublished | None:
        try:
            await place.put(head, at_ms)
        except NotPublished as fault:
            return fault
        return None

    def _after(self, at: Told, head: Head, fault: NotPublished | None, now_ms: int) -> Told:
        if fault is None:
            return Told(size=head.size, at_ms=now_ms)
        ceiling_s = min(MOST_S, AGAIN_S * 2.0 ** min(at.attempts + 1, 16))
        wait_s = max(fault.wait_s, self._random.uniform(AGAIN_S, ceiling_s))
        return msgspec.structs.replace(
            at,
            attempts=at.attempts + 1,
            next_attempt_ms=now_ms + round(wait_s * 1000),
            trouble=str(fault),
        )


def told(store: EmbeddedStore) -> dict[str, Told]:
    """What each place was told, by its name."""
    decode = msgspec.msgpack.Decoder(Told).decode
    return {name: decode(value) for name, value in store.load_state(SPACE)}


def document(head: Head, at_ms: int) -> dict[str, object]:
    """A head as others are told of it; the note alone is what proves something."""
    return {"origin": origin_of(head), "size": head.size, "note": head.note, "at": iso(at_ms)}


def agree(head: Head, size: int, note: str, where: str) -> bool:
    """Whether what stands at a place is this very head; False if it is an earlier one.

    Raises:
        NotPublished: it is of more entries, or of other ones.
    """
    if size < head.size:
        return False
    if size == head.size and _text(note) == _text(head.note):
        return True
    raise NotPublished(
        f"{where} was told of {size:,} entries, and this log of {head.size:,} is not the same: "
        "the store was rolled back or rewritten, or two stores sign under one name: compare them "
        "with `breachline evidence verify` before anything else is published",
        MOST_S,
    )


def origin_of(head: Head) -> str:
    """The name of the log that a head is of."""
    return head.note.partition("\n")[0]


def _text(note: str) -> str:
    """Without the signatures: after a rotation two keys have signed the same."""
    return note.partition("\n\n")[0]


class HeadFile:
    """A file that only grows: one JSON document a line, on the disk before the next."""

    def __init__(self, path: Path) -> None:
        self.name = f"file {path}"
        self._path = path

    async def put(self, head: Head, at_ms: int) -> None:
        """As `Place.put`; the disk may be a slow one, far away."""
        await asyncio.to_thread(self._append, head, at_ms)

    def _append(self, head: Head, at_ms: int) -> None:
        try:
            tail = _tail(self._path)
            if any(agree(head, *one, str(self._path)) for one in _ours(tail, origin_of(head))):
                return
            line = msgspec.json.encode(document(head, at_ms)) + b"\n"
            # What a crash broke off stays a line of its own.
            line = line if not tail or tail.endswith(b"\n") else b"\n" + line
            handle = os.open(self._path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)
            with os.fdopen(handle, "wb") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise NotPublished(
                f"writing {self._path}: {error.strerror or type(error).__name__}: "
                "mend it, or correct ledger.publish.file"
            ) from None


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            return file.read()
    except FileNotFoundError:
        return b""


class _Line(msgspec.Struct):
    origin: str
    size: int
    note: str


def _ours(tail: bytes, origin: str) -> Iterable[tuple[int, str]]:
    """(size, note) of the newest head of this log that the file holds; of no other one."""
    for line in reversed(tail.splitlines()):
        try:
            one = msgspec.json.decode(line, type=_Line)
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue
        if one.origin == origin:
            return [(one.size, one.note)]
    return []


class Webhook:
    """A server that takes heads as POST of JSON."""

    def __init__(
        self,
        url: str,
        token_env: str,
        environ: Mapping[str, str],
        client: httpx.AsyncClient,
        now_ms: Callable[[], int],
    ) -> None:
        self._url = url
        parts = urlsplit(url)
        # The rest may be a password: many webhooks have theirs in the path.
        self._shown = f"{parts.scheme}://{parts.netloc}"
        self.name = f"webhook {self._shown}"
        self._token_env = token_env
        self._environ = environ
        self._client = client
        self._now_ms = now_ms

    async def put(self, head: Head, at_ms: int) -> None:
        """As `Place.put`: what it answers is not read, but for its status."""
        headers = {"Content-Type": "application/json"} | self._authorization()
        try:
            async with (
                asyncio.timeout(WEBHOOK_S),
                self._client.stream(
                    "POST",
                    self._url,
                    headers=headers,
                    content=msgspec.json.encode(document(head, at_ms)),
                    follow_redirects=False,
                    timeout=WEBHOOK_S,
                ) as answer,
            ):
                status, wait = answer.status_code, answer.headers.get("Retry-After")
        except (httpx.RequestError, TimeoutError, OSError) as error:
            raise NotPublished(f"asking {self._shown}: {_words(error)}") from None
        if not 200 <= status < 300:
            raise NotPublished(
                f"asking {self._shown}: it answered {status}: {self._todo(status)}",
                retry_after_s(wait, self._now_ms()) if wait else AGAIN_S,
            )

    def _authorization(self) -> dict[str, str]:
        if not self._token_env:
            return {}
        token = self._environ.get(self._token_env, "").strip()
        if not token or not (token.isascii() and token.isprintable()) or " " in token:
            raise NotPublished(
                f"asking {self._shown}: ${self._token_env} holds no token: set it and restart",
                MOST_S,
            )
        return {"Authorization": f"Bearer {token}"}

    def _todo(self, status: int) -> str:
        if status in {401, 403}:
            named = f"${self._token_env}" if self._token_env else "ledger.publish.webhook_token_env"
            return f"set {named} to a token that it takes, and restart"
        if status in {404, 405} or 300 <= status < 400:
            return "correct ledger.publish.webhook"
        return "look at its log"


def _words(error: Exception) -> str:
    """What a fault of the transport means; its own text may quote a header."""
    if isinstance(error, httpx.ConnectError):
        return "cannot connect: is it running, and is ledger.publish.webhook right?"
    words = next(TRANSPORT_FAULTS[c] for c in type(error).__mro__ if c in TRANSPORT_FAULTS)
    return words.format(timeout_s=WEBHOOK_S).replace(
        "respond.gateway.url", "ledger.publish.webhook"
    )
