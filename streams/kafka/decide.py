"""The one place that decides, on Kafka: frames of exposures and findings in, documents out.

The store is a SQLite file of this worker's own, made from the journal and thrown away with the
task: every statement that changes it goes into the journal, so that the next owner has the same.
What stands in it after a commit is a function of the journal alone.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson

from evidence._database import FILE, Statement
from evidence.entry import Entry
from evidence.erasure import erase
from evidence.naming import Name
from evidence.store import EmbeddedStore
from incidents.documents import action_document, incident_document
from incidents.owners import Answer, Item
from incidents.population import Population
from records.finding import Finding
from records.incident import Action, Incident, Receipt
from streams.decider import Decider
from streams.kafka.align import Aligner, Origin
from streams.kafka.intake import Record
from streams.kafka.journal import RECORD_BYTES, cut
from streams.kafka.orders import ORIGIN, Order, Orders
from streams.kafka.scratch import Scratch
from streams.kafka.topics import Topics
from streams.kafka.wire import Output, Slice, decode_slices, encode
from streams.live import Outbox
from streams.plain import plain
from streams.results import finding_documents
from streams.settings import Settings

_log = logging.getLogger("breachline.decide")
_ORIGINS = dict[str, Origin]
_MOST_ROWS = 2_000
_IMAGE, _STATEMENTS, _POPULATION, _OWN = "image", "statements", "population", "own"
_Own = tuple[list[tuple[str, str, int]], int]
"""(address, principal, time of an own success), and since when the batch was."""


class Decide:
    """Incidents, policy and log of the deployment, in the worker that owns the partition."""

    def __init__(
        self, settings: Settings, folder: Path, raw: int, now_s: float, records: Iterable[bytes]
    ) -> None:
        """From the journal's records; `raw` is how many partitions access.raw has.

        `folder` is where the file is put for as long as this lives; see `close`.
        """
        if settings.kafka is None:
            raise ValueError("a decide task needs `kafka:` in the configuration")
        self.topics = Topics(settings.kafka.prefix)
        self._folder = Scratch(folder)
        records = list(records)
        self.store = rebuilt(self._folder.path / "store", records)
        self.store.note_statements()
        self.decider = self._decider(settings)
        self.orders = Orders(self.store)
        self.orders.erase = self._erase
        self.wants_base = False
        """Somebody was erased: what the journal holds until now has to go."""
        self._refused: list[Receipt] = []
        """Answers to orders that cannot be done: told, and kept nowhere."""
        populate(self.decider.population, records)
        self._own: list[_Own] = []
        """What the population was told since the last commit: it is too large for the store."""
        origins = [f"i{n}" for n in range(raw)]
        origins += [f"d{n}" for n in range(settings.kafka.partitions)]
        task = dict(self.store.load_state("task"))
        state = msgspec.msgpack.decode(task.get("origins", b"\x80"), type=_ORIGINS)
        position = msgspec.msgpack.decode(task.get("position", b"\x00"), type=int)
        self.aligner: Aligner[Slice] = Aligner(origins, now_s, state=state, resume=position)
        self._counted = msgspec.msgpack.decode(task.get("counted", b"\x00"), type=int)
        """Offset of the next frame whose counts and orders are not in the store."""
        self._seq = self.store.log.last_seq
        self._names = {source.id for source in self.store.sources()}
        self._due: deque[Slice] = deque()
        """Let go by the aligner, to be decided before the next commit says so."""
        self._findings: list[Finding] = []
        self._incidents: dict[str, Incident] = {}
        self._moved = False

    def _decider(self, settings: Settings) -> Decider:
        made = Decider(
            settings,
            self.store,
            performer=Outbox(self.store, settings.capture),
            resumable=True,
            population_apart=True,
        )
        made.restore()
        return made

    def _erase(self, order: Order) -> str:
        """Erase a person from the store and from memory; the `Erasure`, as JSON.

        Raises:
            ValueError: as `evidence.erasure.erase`.
        """
        store, before = self.store, self.decider
        with store.transaction():
            # What is only in memory comes under the erasure, and is then read again.
            store.save_state(before.take_dirty())
        done = erase(store, order.target, by=order.by, why=order.why, at_ms=order.at_ms)
        self.decider = self._decider(before.settings)
        person, decode = Name(order.target), msgspec.msgpack.decode
        self.decider.population.load(
            (key, encode(person.replaced(decode(value), "erased")))
            for key, value in before.population.items()
        )
        self._findings = list(store.findings(one.id for one in self._findings))
        self._incidents = {
            name: again for name in self._incidents if (again := store.incident(name)) is not None
        }
        self.wants_base = True
        return msgspec.json.encode(done).decode()

    @property
    def position(self) -> int:
        """Offset of the next record that is needed after a restart."""
        return self.aligner.resume

    @property
    def has_findings(self) -> bool:
        """Whether there are findings that nobody was told of."""
        return bool(self._findings)

    # -- reading

    def take(
        self, records: Iterable[Record], now_s: float, now_ms: Callable[[], int]
    ) -> Iterator[None]:
        """Read records and decide on what all origins have gone past; yields to let others in."""
        for record in records:
            if record.value is None:
                continue
            frame = decode_slices(record.value)
            if record.offset >= self._counted:
                self._counted = record.offset + 1
                if frame.tally is not None:
                    self.decider.tally.merge(frame.tally)
                self._refused += self.orders.enter(frame.orders, now_ms())
            self._moved = True
            if frame.origin == ORIGIN:
                self.aligner.skip(record.offset)
                continue
            items = [(one.time_ms, one) for one in frame.slices]
            self.aligner.add(
                frame.origin, record.offset, items, frame.watermark_ms,
                idle=frame.idle, now_s=now_s,
            )  # fmt: skip
            yield from self.decide(now_s, now_ms)

    def decide(self, now_s: float, now_ms: Callable[[], int]) -> Iterator[None]:
        """Decide on what all origins have gone past; yields after each part."""
        self._due.extend(self.aligner.release(now_s))
        while self._due:
            with self.store.transaction():
                self._decide(self._due[0], now_ms())
            self._due.popleft()
            yield

    def _decide(self, one: Slice, now_ms: int) -> None:
        decider = self.decider
        if one.source and one.source not in self._names:
            self._names.add(one.source)
            self.store.put_source(one.source, one.name, 0, b"", b"")
        batch = one.batch()
        decider.note(batch, one.gaps)
        if one.own:
            self._own.append((one.own, one.own_since_ms))
            observe(decider.population, self._own[-1:])
        first_ms = decider.tally.first_ms
        step = decider.decide(batch, one.findings, now_ms, first_ms, self.aligner.watermark_ms)
        self._findings += step.findings
        self.publish(step.incidents)

    def pending(self) -> list[Item]:
        """Objects of incidents whose owners are still to be asked for."""
        return self.decider.desk.pending()

    def answer(self, answers: Iterable[Answer], now_ms: int) -> None:
        """Take in whose objects they were; what comes of it goes with the next commit."""
        with self.store.transaction():
            self.publish(self.decider.answer(answers, now_ms))
        self._moved = True

    def publish(self, incidents: Iterable[Incident]) -> None:
        """Have these stand in `incidents` with the next commit."""
        self._incidents |= {incident.id: incident for incident in incidents}

    # -- telling

    def collect(self) -> tuple[list[Output], list[bytes]]:
        """(messages, journal) of everything since the last call; both empty if nothing changed."""
        fresh = self.store.take_statements()
        if not (fresh or self._moved or self._incidents or self._own):
            return [], []
        with self.store.transaction():
            self.store.save_state(self.decider.take_dirty())
            self.store.save_state(
                [
                    ("task", "origins", encode(self.aligner.state())),
                    ("task", "position", encode(self.position)),
                    ("task", "counted", encode(self._counted)),
                ]
            )
        fresh += self.store.take_statements()
        topics = self.topics
        for finding in self._findings:
            _log.info("%s %s: %s", finding.severity, finding.rule, plain(finding.message))
        outputs = [
            Output(topics.findings, orjson.dumps(document), document["event"]["id"].encode(), 0)
            for document in finding_documents(self.store, self._findings)
        ]
        outputs += [
            Output(topics.incidents, orjson.dumps(incident_document(one)), one.id.encode(), 0)
            for one in self._incidents.values()
        ]
        for entry in self.store.log.entries(self._seq):
            outputs += self._entry(entry)
            self._seq = entry.seq
        outputs += [
            Output(topics.receipts, msgspec.json.encode(one), one.action.encode(), 0)
            for one in self._refused
        ]
        self._findings, self._incidents, self._moved, self._refused = [], {}, False, []
        own, self._own = self._own, []
        return outputs, [*statements(fresh), *_pieces(_OWN, map(encode, own))]

    def _entry(self, entry: Entry) -> Iterator[Output]:
        topics = self.topics
        if entry.kind == "intent" and entry.payload is not None:
            action = msgspec.json.decode(entry.payload, type=Action)
            yield Output(
                topics.actions, orjson.dumps(action_document(action)), action.id.encode(), 0
            )
        elif entry.kind == "receipt" and entry.payload is not None:
            receipt = msgspec.json.decode(entry.payload, type=Receipt)
            yield Output(topics.receipts, entry.payload, receipt.action.encode(), 0)
        yield Output(topics.ledger, entry.leaf, entry.entry_id.encode(), 0)

    def base(self) -> list[bytes]:
        """The whole state, in place of all that the journal holds."""
        if self.wants_base:
            # Freed pages still hold what was erased, and the file is kept as it is.
            self.store.scrub()
            self.wants_base = False
        people = map(encode, self.decider.population.items())
        return [*image(self.store), *_pieces(_POPULATION, people)]

    def close(self) -> None:
        """Give the file up: what counts is in the journal."""
        self.store.close()
        self._folder.close()


def statements(found: Iterable[Statement]) -> Iterator[bytes]:
    """Records of a journal: what changed the store, in order, in pieces that fit a message."""
    held: list[tuple[str, list[Any]]] = []
    size = 0
    for sql, rows in found:
        for start in range(0, len(rows), _MOST_ROWS):
            part = rows[start : start + _MOST_ROWS]
            data = encode((sql, part))
            if held and size + len(data) > RECORD_BYTES:
                yield encode((_STATEMENTS, held))
                held, size = [], 0
            held.append((sql, part))
            size += len(data)
    if held:
        yield encode((_STATEMENTS, held))


def image(store: EmbeddedStore) -> Iterator[bytes]:
    """Records of a journal: the file itself."""
    data = store.image()
    for start in range(0, len(data), RECORD_BYTES):
        yield encode((_IMAGE, data[start : start + RECORD_BYTES]))


def rebuilt(folder: Path, records: Iterable[bytes]) -> EmbeddedStore:
    """The store that a journal makes, as a new file in `folder`."""
    folder.mkdir(parents=True, mode=0o700)
    store: EmbeddedStore | None = None
    with (folder / FILE).open("wb") as file:
        rest = []
        for record in records:
            kind, body = msgspec.msgpack.decode(record)
            if kind == _IMAGE:
                file.write(body)
            elif kind == _STATEMENTS:
                rest.append(body)
    store = EmbeddedStore.open(folder, durable=False)
    for body in rest:
        store.apply_statements([(sql, rows) for sql, rows in body])
    return store


def populate(population: Population, records: Iterable[bytes]) -> None:
    """Give a population what a journal holds of it."""
    for record in records:
        # The body of most is the store's, which is large, and read elsewhere.
        kind, body = msgspec.msgpack.decode(record, type=tuple[str, msgspec.Raw])
        if kind not in {_POPULATION, _OWN}:
            continue
        items = msgspec.msgpack.decode(body, type=list[bytes])
        if kind == _POPULATION:
            population.load(msgspec.msgpack.decode(item, type=tuple[str, bytes]) for item in items)
        else:
            observe(population, (msgspec.msgpack.decode(item, type=_Own) for item in items))


def observe(population: Population, told: Iterable[_Own]) -> None:
    """Tell a population of own successes, batch by batch."""
    for own, since_ms in told:
        population.observe({(ip, who): time_ms for ip, who, time_ms in own}, since_ms)


def _pieces(kind: str, items: Iterable[bytes]) -> Iterator[bytes]:
    return (encode((kind, group)) for group in cut(items))
