import asyncio
import logging
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from evidence.elastic.bulk import Refused, Sent
from evidence.elastic.trouble import Trouble
from evidence.log import Approval
from evidence.store import EmbeddedStore
from records.event import RawLine
from records.ids import event_id
from streams import projection
from streams.entries import Entries
from streams.projection import (
    INCIDENTS_MS,
    MOST_S,
    Projection,
    SetAside,
    Stand,
    backlog,
    begin_again,
    stand,
    undeliverable,
)
from tests._events import NOON_MS, action, finding, incident, receipt

GONE = Trouble("unreachable", "nobody answers", retry=True, retry_after_s=2.0)
LOGIN = Trouble("login", "renew the key", retry=False)


class Elasticsearch:
    """Keeps documents once an id; `plan` says how many of the next batch it takes, and why."""

    def __init__(self):
        self.kept = {}
        self.order = []
        self.sends = 0
        self.plan = []
        self.poison = set()

    async def send(self, documents):
        self.sends += 1
        done, trouble = self.plan.pop(0) if self.plan else (len(documents), None)
        stored, refused = 0, []
        for document in documents[:done]:
            if document.id in self.poison:
                refused.append(Refused(document, "mapper_parsing_exception"))
                continue
            key = (document.index, document.id)
            kept = self.kept.get(key)
            if kept is None or (document.version or 0) > (kept.version or 0):
                self.kept[key] = document
                self.order.append(key)
                stored += 1
        done = min(done, len(documents))
        return Sent(stored, done - stored - len(refused), refused, trouble, done)

    @property
    def ids(self):
        return sorted(name for _, name in self.kept)


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore.open(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def elastic():
    return Elasticsearch()


def projected(store, elastic, **given):
    return Projection(store, elastic, Random(1), **given)


def caught_up(one, now_ms=NOON_MS):
    async def run():
        while await one.step(now_ms) is not None:
            pass

    asyncio.run(run())


def step(one, now_ms=NOON_MS):
    return asyncio.run(one.step(now_ms))


def intents(store, count, start=0):
    with store.transaction():
        for n in range(start, start + count):
            store.log.append_intent(action(f"act-{n:04}"))


def everything(store):
    """One of each that people seek, and an entry that nobody does."""
    with store.transaction():
        found = store.put_findings([finding("fin-1")])
        Entries(store).findings(found, NOON_MS)
        store.put_incidents([incident("inc-1")])
        Entries(store).incidents([incident("inc-1")], NOON_MS, NOON_MS)
        store.log.append_intent(action("act-1"))
        store.log.append_receipt(receipt(action="act-1"))
        store.log.append_approval(
            Approval(action="act-1", approved=True, by="ann", why="seen", at_ms=NOON_MS)
        )


def streams(elastic):
    found: dict[str, list[str]] = {}
    for index, name in elastic.kept:
        found.setdefault(index, []).append(name.partition("-")[0])
    return {index: sorted(names) for index, names in found.items()}


def test_everything_stands_where_people_look_for_it(store, elastic):
    everything(store)
    one = projected(store, elastic)
    assert backlog(store) == 5
    caught_up(one)
    assert streams(elastic) == {
        "logs-breachline.finding-default": ["fin"],
        "logs-breachline.action-default": ["act", "rcp"],
        "breachline-incidents": ["inc"],
        "logs-breachline.evidence-default": ["act", "apr", "fin", "inc", "rcp"],
    }
    assert (backlog(store), stand(store)) == (0, Stand(seq=5, at_ms=NOON_MS))
    assert sum(one.indexed.values()) == 9


def test_captured_lines_go_with_their_bytes_and_the_name_of_their_log(store, elastic):
    line = RawLine(event_id("a1b2", 300), "5e" * 32, b"GET /users/7", masked=True)
    with store.transaction():
        store.put_source("a1b2", "gateway.log", 0, b"", b"")
        store.add_lines([line])
        store.log.append_captured(line, "inc-1", NOON_MS)
    caught_up(projected(store, elastic))
    (document,) = elastic.kept.values()
    source = msgspec.json.decode(document.source)
    assert source["event"]["original"] == "GET /users/7"
    assert source["log"]["file"]["path"] == "gateway.log"


def test_the_order_is_that_of_the_log_and_another_start_sends_nothing_again(store, elastic):
    intents(store, 700)
    caught_up(projected(store, elastic))
    evidence = [name for index, name in elastic.order if "evidence" in index]
    assert evidence == [f"act-{n:04}" for n in range(700)]
    sends = elastic.sends
    caught_up(projected(store, elastic))
    assert elastic.sends == sends
    intents(store, 1, 700)
    caught_up(projected(store, elastic))
    assert (elastic.sends, len(elastic.kept)) == (sends + 1, 2 * 701)


def test_while_it_is_gone_the_store_is_the_backlog_and_waits_grow(store, elastic):
    intents(store, 10)
    one = projected(store, elastic)
    elastic.plan = [(0, GONE), (0, GONE), (0, LOGIN), (0, LOGIN), *[(0, LOGIN)] * 8]
    now_ms, waits = NOON_MS, []
    for _ in range(12):
        wait_s = step(one, now_ms)
        assert step(one, now_ms) == pytest.approx(wait_s, abs=0.001)
        waits.append(wait_s)
        now_ms = stand(store).next_attempt_ms
    assert elastic.sends == 12
    assert waits[0] >= 2.0
    assert MOST_S <= waits[-1] <= MOST_S * 1.25
    at = stand(store)
    assert (at.seq, at.attempts, at.kind, at.trouble) == (0, 12, "login", "renew the key")
    assert at.since_ms == NOON_MS
    assert dict(one.failures) == {"unreachable": 2, "login": 10}
    caught_up(one, now_ms)
    assert (backlog(store), len(elastic.kept)) == (0, 20)
    assert stand(store) == Stand(seq=10, at_ms=now_ms)


@pytest.mark.parametrize("done", range(11))
def test_the_cursor_moves_past_what_was_answered_for_and_no_further(store, elastic, done):
    intents(store, 5)
    one = projected(store, elastic)
    elastic.plan = [(done, GONE)]
    step(one)
    # An entry has two documents: half of them is none.
    assert stand(store).seq == done // 2
    caught_up(one, stand(store).next_attempt_ms)
    assert len(elastic.order) == len(elastic.kept) == 10


def test_a_little_progress_each_time_comes_to_the_end(store, elastic):
    intents(store, 300)
    one = projected(store, elastic)
    elastic.plan = [(60, replace(GONE, kind="busy"))] * 30
    now_ms = NOON_MS
    while elastic.plan and backlog(store):
        step(one, now_ms)
        now_ms = max(now_ms, stand(store).next_attempt_ms)
        assert stand(store).attempts <= 1
    assert backlog(store) == 0


def test_a_crash_between_sending_and_keeping_doubles_nothing(store, elastic, monkeypatch):
    everything(store)
    crashed = projected(store, elastic)

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(projection, "_keep", crash)
    with pytest.raises(KeyboardInterrupt):
        step(crashed)
    monkeypatch.undo()
    assert stand(store) == Stand()
    caught_up(projected(store, elastic))
    assert len(elastic.order) == len(elastic.kept) == 9


def test_what_is_refused_for_good_is_set_aside_with_its_reason(store, elastic, caplog):
    everything(store)
    elastic.poison = {"act-1"}
    told = []
    one = projected(
        store, elastic, on_refused=lambda document, why: told.append((document.id, why))
    )
    with caplog.at_level(logging.WARNING, "breachline.elastic"):
        caught_up(one)
    reason = "mapper_parsing_exception"
    assert undeliverable(store) == [
        SetAside(index=index, id="act-1", reason=reason, at_ms=NOON_MS)
        for index in ("logs-breachline.action-default", "logs-breachline.evidence-default")
    ]
    assert (backlog(store), one.refused, len(elastic.kept)) == (0, 2, 7)
    assert told == [("act-1", reason)] * 2
    assert caplog.messages == [f"indexing act-1: refused for good: {reason}"] * 2


def test_an_entry_of_another_form_holds_up_no_other(store, elastic):
    with store.transaction():
        store.log.append("finding", "fin-odd", NOON_MS, "fin-odd", {"of": "another form"})
    intents(store, 1)
    caught_up(projected(store, elastic))
    (aside,) = undeliverable(store)
    assert (aside.index, aside.id) == ("", "fin-odd")
    assert "KeyError" in aside.reason
    assert elastic.ids == ["act-0000", "act-0000", "fin-odd"]


def test_incidents_are_indexed_again_with_each_version_the_log_skips_too(store, elastic):
    one = projected(store, elastic)
    for version in (1, 4, 9):
        store.put_incidents([incident("inc-1", version=version)])
        caught_up(one, NOON_MS + version * INCIDENTS_MS)
        assert elastic.kept["breachline-incidents", "inc-1"].version == version
    sends = elastic.sends
    caught_up(one, NOON_MS + 10 * INCIDENTS_MS)
    assert elastic.sends == sends


def test_incidents_are_not_looked_at_more_often_than_needed_but_for_the_last_word(store, elastic):
    one = projected(store, elastic)
    store.put_incidents([incident("inc-1")])
    caught_up(one)
    store.put_incidents([incident("inc-1", version=2)])
    caught_up(one, NOON_MS + INCIDENTS_MS - 1)
    assert elastic.kept["breachline-incidents", "inc-1"].version == 1
    asyncio.run(one.last(NOON_MS + INCIDENTS_MS - 1))
    assert elastic.kept["breachline-incidents", "inc-1"].version == 2


def test_the_last_word_sends_all_that_waits_and_tries_once_more(store, elastic):
    intents(store, 900)
    one = projected(store, elastic)
    elastic.plan = [(0, LOGIN)]
    step(one)
    asyncio.run(one.last(NOON_MS + 1))
    assert (backlog(store), len(elastic.kept)) == (0, 1800)


def test_the_last_word_ends_where_nobody_takes_it(store, elastic):
    intents(store, 10)
    one = projected(store, elastic)
    elastic.plan = [(0, GONE)] * 5
    asyncio.run(one.last(NOON_MS))
    asyncio.run(one.last(NOON_MS))
    assert (elastic.sends, backlog(store)) == (2, 10)


def test_nothing_is_sent_before_it_is_durable(store, elastic):
    intents(store, 1)
    seen = []

    async def durable():
        seen.append(elastic.sends)
        # What comes meanwhile is not durable yet.
        intents(store, 1, 1)

    one = projected(store, elastic, durable=durable)
    step(one)
    assert (seen, elastic.ids) == ([0], ["act-0000", "act-0000"])


def test_everything_can_be_indexed_again_from_the_beginning(store, elastic):
    everything(store)
    one = projected(store, elastic)
    elastic.poison = {"act-1"}
    caught_up(one)
    kept = elastic.kept
    elastic.kept, elastic.poison = {}, set()
    assert begin_again(store) == 5
    assert (backlog(store), undeliverable(store)) == (5, [])
    caught_up(one, NOON_MS + INCIDENTS_MS)
    assert kept.items() <= elastic.kept.items()
    assert len(elastic.kept) == 9


def test_a_new_beginning_while_documents_are_under_way_counts(store):
    class Slow(Elasticsearch):
        async def send(self, documents):
            if self.sends == 1:
                begin_again(store)
            return await super().send(documents)

    intents(store, projection.BATCH * 2)
    elastic = Slow()
    one = projected(store, elastic)
    step(one)
    step(one)
    assert stand(store).seq == 0
    caught_up(one)
    assert backlog(store) == 0


def test_metrics_say_how_much_waits_and_why(store, elastic):
    intents(store, 5)
    one = projected(store, elastic)
    elastic.poison = {"act-0004"}
    elastic.plan = [(4, GONE)]
    step(one)

    def metrics(now_ms):
        found = {}
        for family in one.metrics(now_ms):
            for sample in family.samples:
                key = (sample.name.removeprefix("breachline_elastic_"), *sample.labels.values())
                found[key] = sample.value
        return found

    half = {
        ("documents_total", "logs-breachline.evidence-default"): 2.0,
        ("documents_total", "logs-breachline.action-default"): 2.0,
        ("failures_total", "unreachable"): 1.0,
    }
    assert metrics(NOON_MS + 5_000) == half | {
        ("backlog_entries",): 3.0, ("failing_seconds",): 5.0, ("undeliverable_documents",): 0.0,
    }  # fmt: skip
    caught_up(one, NOON_MS + 60_000)
    assert metrics(NOON_MS + 70_000) == half | {
        ("documents_total", "logs-breachline.evidence-default"): 4.0,
        ("documents_total", "logs-breachline.action-default"): 4.0,
        ("backlog_entries",): 0.0, ("failing_seconds",): 0.0, ("undeliverable_documents",): 2.0,
    }  # fmt: skip
