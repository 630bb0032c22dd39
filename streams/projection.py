"""Elasticsearch as a projection of the store: what stands in the log goes there, in its order.

Entries after a cursor and incidents of a new version come in; documents go out. The store is the
backlog: nothing waits in memory, and the cursor moves, in a transaction, only past what was
answered for. So Elasticsearch may be gone for as long as it likes, and a document that is sent
again is stored once, by its id. What it will never take is set aside with the reason.
It must never hold up detection: it sends little at a time, and waits longer after each failure.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from random import Random
from typing import Any, Final, Protocol

import msgspec
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily

from evidence.elastic import documents
from evidence.elastic.bulk import Document, Sent
from evidence.elastic.trouble import Trouble
from evidence.entry import Entry
from evidence.log import Captured
from evidence.store import EmbeddedStore
from incidents.documents import action_document, incident_document
from records.ids import event_place
from records.incident import Action
from streams.beside import Durable, at_once
from streams.metrics import gauge

BATCH: Final = 250
"""Entries that are read and sent at once: making their documents takes the loop some ms."""
PAUSE_S: Final = 0.05
"""Between two batches, so that catching up leaves the loop to detection."""
INCIDENTS_MS: Final = 5_000
"""Between two looks at the incidents' versions."""
AGAIN_S: Final = 1.0
MOST_S: Final = 60.0
"""The longest wait between two attempts, unless Elasticsearch asks for a longer one."""
SPACE: Final = "elastic"
INDEXED: Final = "elastic.incident"
UNDELIVERABLE: Final = "undeliverable"

_log = logging.getLogger("breachline.elastic")


class Sender(Protocol):
    """Puts documents into Elasticsearch; `evidence.elastic.bulk.Bulk` is one."""

    async def send(self, documents: Sequence[Document]) -> Sent:
        """What became of them, up to the first trouble. Raises only for bugs."""
        ...


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """How far the projection is, and how its attempts stand."""

    seq: int = 0
    """Of the last entry that was answered for."""
    at_ms: int = 0
    """When something was last answered for."""
    attempts: int = 0
    """Since then, that failed."""
    next_attempt_ms: int = 0
    since_ms: int = 0
    """Of the first of these."""
    kind: str = ""
    trouble: str = ""


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """A document that Elasticsearch refused for good."""

    index: str
    """"" where it could not even be made."""
    id: str
    reason: str
    at_ms: int


class Projection:
    """Projects one store. `step` again and again, `last` before the store is closed."""

    def __init__(
        self,
        store: EmbeddedStore,
        sender: Sender,
        random: Random,
        *,
        durable: Durable = at_once,
        on_refused: Callable[[Document, str], None] = lambda _document, _reason: None,
    ) -> None:
        """`durable` returns once what the store holds would survive this machine."""
        self.indexed: Counter[str] = Counter()
        """Documents answered for in this process, by index."""
        self.refused = 0
        self.failures: Counter[str] = Counter()
        """Attempts of this process that failed, by kind of trouble."""
        self._store = store
        self._sender = sender
        self._random = random
        self._durable = durable
        self._on_refused = on_refused
        self._looked_ms = 0

    async def step(self, now_ms: int) -> float | None:
        """Send what comes next; seconds until it is worth another call, None if nothing waits."""
        at = stand(self._store)
        if now_ms < at.next_attempt_ms:
            return (at.next_attempt_ms - now_ms) / 1000
        upto = self._store.log.last_seq
        changed = {} if at.seq < upto else self._changed(now_ms)
        if at.seq >= upto and not changed:
            return None
        await self._durable()
        if changed:
            parts = list(of_incidents(self._store, changed))
        else:
            entries = islice(self._store.log.entries(at.seq), min(BATCH, upto - at.seq))
            parts = list(of_entries(self._store, list(entries)))
        sent = await self._sender.send([document for part in parts for document in part.documents])
        return self._settle(at, parts, sent, now_ms)

    async def last(self, now_ms: int) -> None:
        """Send all that waits, until something fails: nobody will for a while."""
        now_ms = max(now_ms, stand(self._store).next_attempt_ms)
        self._looked_ms = 0
        while await self.step(now_ms) is not None and not stand(self._store).attempts:
            self._looked_ms = 0

    def metrics(self, now_ms: int) -> Iterable[Metric]:
        """As `Beside.metrics`."""
        at = stand(self._store)
        waiting = gauge("elastic_backlog_entries", "Entries of the log that are not indexed yet.")
        waiting.add_metric((), backlog(self._store))
        failing = gauge(
            "elastic_failing_seconds", "Since Elasticsearch takes nothing; 0 while it does."
        )
        failing.add_metric((), (now_ms - at.since_ms) / 1000 if at.attempts else 0.0)
        aside = gauge("elastic_undeliverable_documents", "Documents that it refused for good.")
        aside.add_metric((), sum(1 for _ in self._store.load_state(UNDELIVERABLE)))
        indexed = CounterMetricFamily(
            "breachline_elastic_documents", "Documents that stand there.", labels=["index"]
        )
        for index, count in self.indexed.items():
            indexed.add_metric((index,), count)
        failures = CounterMetricFamily(
            "breachline_elastic_failures", "Requests that came to nothing.", labels=["kind"]
        )
        for kind, count in self.failures.items():
            failures.add_metric((kind,), count)
        return waiting, failing, aside, indexed, failures

    def _settle(self, at: Stand, parts: Sequence["Part"], sent: Sent, now_ms: int) -> float:
        store, done = self._store, list(_done(parts, sent.done))
        moved = max((part.seq for part in done), default=0)
        after = Stand(seq=moved or at.seq, at_ms=now_ms if done else at.at_ms)
        if sent.trouble is not None:
            after = self._failed(at, after, sent.trouble, now_ms)
        with store.transaction():
            # A rebuild has begun meanwhile: its cursor counts.
            if stand(store).seq != at.seq:
                return PAUSE_S
            _keep(store, after)
            for one in sent.refused:
                set_aside(store, one.document.index, one.document.id, one.reason, now_ms)
                self._on_refused(one.document, one.reason)
            for part in done:
                if part.fault:
                    set_aside(store, "", part.entry_id, part.fault, now_ms)
            store.save_state(
                (INDEXED, part.incident, msgspec.msgpack.encode(part.version))
                for part in done
                if part.incident
            )
        self._count(at, parts, sent)
        return PAUSE_S if sent.trouble is None else (after.next_attempt_ms - now_ms) / 1000

    def _count(self, at: Stand, parts: Sequence["Part"], sent: Sent) -> None:
        documents = [document for part in parts for document in part.documents]
        self.indexed.update(document.index for document in documents[: sent.done])
        self.indexed.subtract(one.document.index for one in sent.refused)
        self.refused += len(sent.refused)
        for one in sent.refused:
            _log.warning("indexing %s: refused for good: %s", one.document.id, one.reason)
        if sent.trouble is not None:
            self.failures[sent.trouble.kind] += 1
            if sent.trouble.words != at.trouble:
                _log.warning("indexing: %s", sent.trouble.words)
        elif at.attempts:
            _log.info("indexing goes on: %d entries wait", backlog(self._store))

    def _failed(self, at: Stand, after: Stand, trouble: Trouble, now_ms: int) -> Stand:
        attempts = 1 if after.at_ms != at.at_ms else at.attempts + 1
        wait_s = trouble.retry_after_s
        if wait_s is None:
            # It waits for a person, whom nobody tells us of.
            wait_s = min(MOST_S, AGAIN_S * 2.0 ** min(attempts, 16))
        wait_s *= self._random.uniform(1.0, 1.25)
        return msgspec.structs.replace(
            after,
            attempts=attempts,
            next_attempt_ms=now_ms + round(wait_s * 1000),
            since_ms=at.since_ms or now_ms,
            kind=trouble.kind,
            trouble=trouble.words,
        )

    def _changed(self, now_ms: int) -> dict[str, int]:
        """The version of each incident that is newer than what was indexed, some at a time."""
        if now_ms - self._looked_ms < INCIDENTS_MS:
            return {}
        known = indexed_versions(self._store)
        changed = {
            name: version
            for name, version in self._store.incident_versions().items()
            if version > known.get(name, 0)
        }
        if len(changed) <= BATCH:
            self._looked_ms = now_ms
        return dict(islice(changed.items(), BATCH))


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The documents of one entry, or of one incident: done together."""

    documents: list[Document]
    seq: int = 0
    entry_id: str = ""
    fault: str = ""
    """Why a document of it could not be made."""
    incident: str = ""
    version: int = 0


def _done(parts: Iterable[Part], done: int) -> Iterator[Part]:
    """The first of them, as long as all their documents are among the first `done`."""
    for part in parts:
        done -= len(part.documents)
        if done < 0:
            return
        yield part


def of_incidents(store: EmbeddedStore, versions: Mapping[str, int]) -> Iterator[Part]:
    """Incidents as they are now; one that another absorbed is that one, which names it."""
    for name, version in versions.items():
        incident = store.incident(name)
        if incident is not None:
            made = [documents.incident(incident_document(incident))]
            yield Part(documents=made, incident=name, version=version)


def of_entries(store: EmbeddedStore, entries: Sequence[Entry]) -> Iterator[Part]:
    """Every entry as one of the ledger, and what it stands for as the document that people seek."""
    names = {source.id: source.name for source in store.sources()}
    captured = {
        entry.seq: msgspec.json.decode(entry.payload, type=Captured).event
        for entry in entries
        if entry.kind == "captured" and entry.payload is not None
    }
    lines = {line.event: line for line in store.lines(captured.values())}
    for entry in entries:
        event = captured.get(entry.seq, "")
        source = event_place(event)[0] if event else ""
        made, fault = list[Document](), ""
        try:
            made.append(documents.entry(entry, lines.get(event), names.get(source, source)))
            if entry.payload is not None:
                made += _of_payload(entry, entry.payload)
        except Exception as error:  # noqa: BLE001  one of another form must not hold up the rest
            fault = f"a fault of Breachline, {type(error).__name__}: report it"
        yield Part(documents=made, seq=entry.seq, entry_id=entry.entry_id, fault=fault)


def _of_payload(entry: Entry, payload: bytes) -> Iterator[Document]:
    if entry.kind == "finding":
        document: Mapping[str, Any] = msgspec.json.decode(payload)
        yield documents.finding(document)
    elif entry.kind == "intent":
        yield documents.action(action_document(msgspec.json.decode(payload, type=Action)))
    elif entry.kind == "receipt":
        yield documents.receipt(msgspec.json.decode(payload))


# What stands in the store, for whoever looks at it


def stand(store: EmbeddedStore) -> Stand:
    """How far the projection of a store is."""
    found = dict(store.load_state(SPACE)).get("stand")
    return Stand() if found is None else msgspec.msgpack.decode(found, type=Stand)


def backlog(store: EmbeddedStore) -> int:
    """Entries of the log that are not in Elasticsearch yet."""
    return store.log.last_seq - stand(store).seq


def indexed_versions(store: EmbeddedStore) -> dict[str, int]:
    """The version of each incident that stands in Elasticsearch."""
    return {
        name: msgspec.msgpack.decode(value, type=int) for name, value in store.load_state(INDEXED)
    }


def undeliverable(store: EmbeddedStore) -> list[SetAside]:
    """Documents that were refused for good, by index and id."""
    decode = msgspec.msgpack.Decoder(SetAside).decode
    return [decode(value) for _, value in store.load_state(UNDELIVERABLE)]


def set_aside(store: EmbeddedStore, index: str, name: str, reason: str, at_ms: int) -> None:
    """Note that a document was refused; the newest reason counts."""
    one = SetAside(index=index, id=name, reason=reason, at_ms=at_ms)
    store.save_state([(UNDELIVERABLE, f"{index}/{name}", msgspec.msgpack.encode(one))])


def begin_again(store: EmbeddedStore) -> int:
    """Have everything indexed anew, and what was refused tried again; how many entries that is."""
    with store.transaction():
        _keep(store, Stand(seq=0, at_ms=stand(store).at_ms))
        for space in (INDEXED, UNDELIVERABLE):
            keys = [key for key, _ in store.load_state(space)]
            store.save_state((space, key, b"") for key in keys)
    return store.log.last_seq


def _keep(store: EmbeddedStore, at: Stand) -> None:
    store.save_state([(SPACE, "stand", msgspec.msgpack.encode(at))])
