"""The decider and its store: what the journal makes is what the journal was made of."""

import contextlib
from collections.abc import Iterable
from random import Random

import msgspec
import orjson
import pytest
from msgspec.structs import replace

from evidence._database import Statement
from evidence.store import EmbeddedStore
from incidents.owners import Answer
from records.event import RawLine, Reject
from streams.kafka.decide import Decide, image, rebuilt, statements
from streams.kafka.intake import Record
from streams.kafka.journal import RECORD_BYTES
from streams.kafka.wire import Output, Slice, Slices, encode
from streams.settings import Settings
from streams.tally import Tally
from tests._events import event
from tests.incidents._world import MINUTE, SECOND, T0, finding, foreign, principal

KAFKA = {"brokers": ["127.0.0.1:9"], "partitions": 1}
SETTINGS = Settings.model_validate({"kafka": KAFKA})
NOW_MS = T0 + 10 * MINUTE
WHO = principal("u-17")


@pytest.fixture(autouse=True)
def _same_salts(monkeypatch):
    """What is done again after a kill gets other salts: with equal ones, all the rest compares."""
    monkeypatch.setattr("evidence.log.new_salt", lambda: b"salt" * 4)


def dump(store: EmbeddedStore):
    """Every row of every table, and what AUTOINCREMENT goes on from."""
    names = [n for (n,) in store.rows("", "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: sorted(store.rows("", f"SELECT * FROM {name}"), key=repr) for name in names}


def exposures(first, count):
    return [foreign(WHO, T0 + n * SECOND, f"v{n}") for n in range(first, first + count)]


def lines(first, count):
    return [RawLine(x.event, f"{n:064x}", b"line %d" % n, masked=False) for n, x in
            enumerate(exposures(first, count), first)]  # fmt: skip


class Brokers:
    """The frames of `exposures`; where the decider's journal and outputs are kept."""

    def __init__(self, folder):
        self._folder = folder
        self.frames: list[Record] = []
        self.journal: list[bytes] = []
        self.outputs: list[Output] = []

    def say(self, origin, watermark_ms, *slices, idle=False, tally=None):
        frame = Slices(origin, watermark_ms, idle, list(slices), tally)
        self.frames.append(Record(2 * len(self.frames), encode(frame), ()))

    def decide(self, settings=SETTINGS) -> Decide:
        return Decide(settings, self._folder, 1, 0.0, self.journal)

    def work(self, decide, most=1_000):
        records = [record for record in self.frames if record.offset >= decide.position]
        for _ in decide.take(records[:most], 0.0, lambda: NOW_MS):
            pass

    def commit(self, decide, *, base=False):
        outputs, journal = decide.collect()
        self.outputs += outputs
        self.journal = decide.base() if base else [*self.journal, *journal]
        return outputs

    def values(self, name):
        return [one.value for one in self.outputs if one.topic == f"breachline.{name}"]


@pytest.fixture
def brokers(tmp_path):
    made = Brokers(tmp_path / "worker")
    found = [finding(WHO, T0), finding(WHO, T0, severity="critical", end_ms=T0 + 5 * SECOND)]
    seen = [event(n, time_ms=T0 + n, late=True) for n in range(2)]
    own = [("192.0.2.1", "u-1", T0)]
    made.say("i0", T0 + 3 * SECOND, Slice(T0, "a1b2", "a.log", exposures(0, 4), lines(0, 4), own),
             tally=Tally(lines=9, events=9, first_ms=T0))  # fmt: skip
    made.say("d0", T0 + SECOND, Slice(T0, "", findings=[found[0]]))
    rejects = [Reject("a1b2", 7, "not_json", "00", "what?")]
    made.say("i0", T0 + 9 * SECOND,
             Slice(T0 + 4 * SECOND, "a1b2", "a.log", exposures(4, 6), lines(4, 6), [], T0, seen,
                   rejects, [(900, "a.log: bytes 700 to 900 never came")]),
             tally=Tally(lines=5, events=4, rejected={"not_json": 1}, first_ms=T0))  # fmt: skip
    made.say("d0", T0 + 6 * SECOND, Slice(T0 + 5 * SECOND, "", findings=[found[1]]))
    made.say("i0", T0 + 9 * SECOND, idle=True)
    made.say("d0", T0 + 9 * SECOND, idle=True)
    return made


def finished(brokers, decide):
    brokers.work(decide)
    brokers.commit(decide)
    store = decide.store
    (incident,) = store.incidents()
    return {
        "dump": {name: rows for name, rows in dump(store).items() if name != "meta"},
        "users": decide.decider.desk.impact(incident.id).users,
        "tally": decide.decider.tally,
    }


def test_frames_become_documents(brokers):
    decide = brokers.decide()
    found = finished(brokers, decide)
    assert sorted(found["users"]) == [f"v{n}" for n in range(10)]
    assert (found["tally"].lines, found["tally"].events) == (14, 13)
    assert found["tally"].rejected == {"not_json": 1}
    ids = [orjson.loads(value)["event"]["id"] for value in brokers.values("findings")]
    assert ids == [one.id for one in decide.store.findings()]
    assert len(ids) == 2
    entries = list(decide.store.log.entries())
    assert brokers.values("ledger") == [entry.leaf for entry in entries]
    actions = [orjson.loads(value) for value in brokers.values("actions")]
    assert len(actions) == len(list(decide.store.log.actions())) > 0
    assert [source.name for source in decide.store.sources()] == ["a.log"]
    keys = {one.topic: one.key for one in brokers.outputs}
    assert keys["breachline.incidents"] == next(decide.store.incidents()).id.encode()
    decide.close()


@pytest.mark.parametrize("base_at", [None, 1, 3])
@pytest.mark.parametrize("seed", range(6))
def test_killed_anywhere_it_comes_to_the_same(brokers, tmp_path, seed, base_at):
    calm = Brokers(tmp_path / "calm")
    calm.frames = brokers.frames
    whole = calm.decide()
    expected = finished(calm, whole)
    whole.close()
    rng = Random(seed)
    for turn in range(6):
        decide = brokers.decide()
        before = dump(decide.store)
        brokers.work(decide, most=rng.randint(0, 3))
        if rng.random() < 0.6:
            brokers.commit(decide, base=turn == base_at)
            before = dump(decide.store)
        decide.close()
        decide = brokers.decide()
        assert dump(decide.store) == before
        decide.close()
    decide = brokers.decide()
    found = finished(brokers, decide)
    # The watermark and the aligner's notes say how it came here; nothing else may.
    assert found["users"] == expected["users"]
    assert found["tally"] == expected["tally"]
    same = [name for name in expected["dump"] if name not in {"state", "outbox"}]
    assert {n: found["dump"][n] for n in same} == {n: expected["dump"][n] for n in same}
    for name in ("findings", "ledger", "actions"):
        assert brokers.values(name) == calm.values(name), name
    decide.close()


def test_nothing_new_is_nothing_to_commit(brokers):
    decide = brokers.decide()
    brokers.work(decide)
    assert brokers.commit(decide)
    assert decide.collect() == ([], [])
    decide.close()


def test_a_frame_that_is_read_again_counts_once(brokers):
    """Held items make it read frames again whose counts are in the tally already."""
    decide = brokers.decide()
    brokers.work(decide, most=1)
    brokers.commit(decide)
    assert decide.position == 0
    decide.close()
    decide = brokers.decide()
    assert decide.decider.tally.lines == 9
    brokers.work(decide)
    assert decide.decider.tally.lines == 14
    decide.close()


def test_closed_it_leaves_no_file(brokers, tmp_path):
    decide = brokers.decide()
    decide.close()
    assert list((tmp_path / "worker").iterdir()) == []


# Statements and images


@pytest.fixture
def stores(tmp_path):
    """Makes a store that notes what is written to it."""
    opened = []

    def make(name, journal: Iterable[bytes] = ()):
        store = rebuilt(tmp_path / name, journal)
        store.note_statements()
        opened.append(store)
        return store

    yield make
    for store in opened:
        store.close()


def write(store, n):
    """A bit of everything that a decider writes."""
    with store.transaction():
        store.put_source(f"s{n}", f"{n}.log", n, b"", b"\x00")
        store.add_rejects([Reject("s", n, "binary", "00", "\ufffd"), Reject("s", 0, "x", "", "")])
        store.add_exposures(exposures(n, 3))
        store.add_lines([*lines(n, 2), RawLine(f"m{n}", "00", b"\xff", masked=True)])
        store.put_findings([finding(WHO, T0 + n)])
        store.save_state([("a", f"k{n}", b"v"), ("a", "k", b"%d" % n), ("a", f"k{n - 1}", b"")])
        store.outbox_add(f"act-{n}", n)
    store.outbox_update(f"act-{n}", state="done", attempts=n, next_attempt_ms=0, reason="ø")
    store.log.append_captured(lines(n, 1)[0], "inc-1", n)
    store.add_counts({"lines": n})


def spoiled(store, n):
    """A transaction that comes to nothing."""
    with contextlib.suppress(ArithmeticError), store.transaction():
        store.add_exposures([replace(one, target="nobody") for one in exposures(90 + n, 2)])
        store.log.append_captured(lines(90 + n, 1)[0], "inc-2", n)
        store.put_source("gone", "gone.log", 1, b"", b"")
        raise ArithmeticError


@pytest.mark.parametrize("bases", [(), (3,), (0, 2, 5)])
@pytest.mark.parametrize("rollbacks", [(), (0, 2, 4)])
def test_a_store_made_from_the_journal_is_equal_in_every_table(stores, bases, rollbacks):
    first = stores("first")
    journal: list[bytes] = []
    for n in range(6):
        write(first, n)
        if n in rollbacks:
            spoiled(first, n)
        taken = first.take_statements()
        journal += statements(taken)
        if n in bases:
            journal = list(image(first))
    second = stores("second", journal)
    assert dump(second) == dump(first)
    for store in (first, second):
        write(store, 7)
    assert dump(second) == dump(first)
    assert list(second.log.entries()) == list(first.log.entries())
    third = stores("third", [*journal, *statements(second.take_statements())])
    assert dump(third) == dump(first)


def test_what_is_too_much_for_a_message_is_cut(stores):
    first = stores("first")
    raw = [RawLine(f"e{n}", "00", bytes([n % 251]) * 1_000, masked=False) for n in range(3_000)]
    first.add_lines(raw, 5)
    cut = list(statements(first.take_statements()))
    assert len(cut) > 1
    assert max(map(len, cut)) < 5 * RECORD_BYTES
    whole = list(image(first))
    assert len(whole) > 1
    assert max(map(len, whole)) < RECORD_BYTES + 100
    for number, journal in enumerate((cut, whole)):
        assert dump(stores(f"s{number}", journal)) == dump(first)


def test_nothing_written_is_no_record(stores):
    first = stores("first")
    with first.transaction():
        first.save_state([])
        first.add_exposures([])
    assert list(statements(first.take_statements())) == []


def test_the_statements_of_a_frame_survive_msgpack():
    taken: list[Statement] = [
        ("INSERT INTO t VALUES (?, ?, ?)", [("a", 1, b"\x00"), (None, 2.5, True)])
    ]
    ((kind, body),) = [msgspec.msgpack.decode(record) for record in statements(taken)]
    assert kind == "statements"
    assert body == [[taken[0][0], [["a", 1, b"\x00"], [None, 2.5, True]]]]


def test_a_commit_between_two_slices_loses_neither(brokers):
    """Let go by the aligner and not decided yet is not done: the commit must not say that it is."""
    decide = brokers.decide()
    taking = decide.take(brokers.frames, 0.0, lambda: NOW_MS)
    for _ in range(3):  # the fourth slice has been let go together with the third
        next(taking)
    for _ in decide.decide(0.0, lambda: NOW_MS):
        pass  # as DecideTask.gather does before each commit
    brokers.commit(decide)
    decide.close()  # killed here
    decide = brokers.decide()
    found = finished(brokers, decide)
    assert sorted(found["users"]) == [f"v{n}" for n in range(10)]
    assert len(list(decide.store.findings())) == 2
    decide.close()


CARD = {"route": "/cards/{object}", "basis": "ownership", "verdict": "undetermined"}


def test_answers_of_ownership_services_are_a_part_of_the_journal(tmp_path):
    brokers = Brokers(tmp_path / "one")
    seen = [foreign(WHO, T0, "u-18"), foreign(WHO, T0 + SECOND, "", object="c-1", **CARD)]
    found = finding(WHO, T0, principal="u-17", users=("u-18",))
    brokers.say("i0", T0 + MINUTE, Slice(T0, "log", "access.log", exposures=seen), idle=True)
    brokers.say("d0", T0 + MINUTE, Slice(T0, "", findings=[found]), idle=True)
    decide = brokers.decide()
    brokers.work(decide)
    brokers.commit(decide)
    assert decide.pending() == [("/cards/{object}", "c-1")]
    decide.close()
    # Somebody else owns the partition, and asks.
    other = brokers.decide()
    assert other.pending() == [("/cards/{object}", "c-1")]
    other.answer([Answer("/cards/{object}", "c-1", ("u-19",), NOW_MS, "cards.internal")], NOW_MS)
    told = [o for o in brokers.commit(other) if o.topic == "breachline.incidents"]
    assert [orjson.loads(one.value)["affected_count"] for one in told] == [2]
    other.close()
    last = brokers.decide()
    (incident,) = last.store.incidents()
    assert (last.pending(), incident.affected_count) == ([], 2)
    assert last.decider.desk.impact(incident.id).users == ("u-18", "u-19")
    last.close()
