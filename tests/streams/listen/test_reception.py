import pytest

from evidence.keys import CredentialDigest
from evidence.store import EmbeddedStore
from records.ids import event_place
from streams.lines import MAX_LINE_BYTES
from streams.listen import reception as reception_module
from streams.listen.inbox import Delivery, Parcel, identity, place_of
from streams.listen.reception import Reception
from streams.listen.seen import Seen
from tests import _attack

NOW_MS = _attack.START_MS
KEYED = CredentialDigest(b"k" * 32)
SOURCE, OTHER = "00000000000000aa", "00000000000000bb"


def line(second, user="u-10", owner="u-10"):
    path = f"/api/v1/users/{owner}/profile"
    return _attack.entry(second, user, path, "198.51.100.20").rstrip("\n").encode()


def delivery(*lines, named=False, source=SOURCE, name="a.log", identities=()):
    identities = identities or [identity(source, each) if named else b"" for each in lines]
    return Delivery("http", [Parcel(source, name, lines, identities)], None, None)


@pytest.fixture
def taking(store, pipeline_on):
    """Takes deliveries in one transaction each, as a service that was begun on a store."""

    def make(store=store):
        pipeline = pipeline_on(store, event_time=False)
        pipeline.restore()
        reception = Reception(pipeline, Seen(store), KEYED)

        def take(*deliveries):
            with store.transaction():
                steps = reception.take(deliveries, NOW_MS)
                pipeline.checkpoint()
            return [step for _, step in steps]

        return take

    return make


def events(steps):
    return [event for step in steps for event in step.batch.events]


def counts(steps):
    return (
        sum(step.batch.lines for step in steps),
        len(events(steps)),
        sum(len(step.batch.rejects) for step in steps),
        sum(step.batch.duplicate for step in steps),
    )


def test_lines_without_a_name_stand_behind_each_other_and_equal_ones_are_two(taking):
    take = taking()
    first = take(delivery(line(1), line(1)), delivery(line(2)))
    assert counts(first) == (3, 3, 0, 0)
    size = len(line(1)) + 1
    assert [event_place(event.id) for event in events(first)] == [
        (SOURCE, 0), (SOURCE, size), (SOURCE, 2 * size),
    ]  # fmt: skip
    # A restart goes on behind them.
    assert [event_place(e.id) for e in events(taking()(delivery(line(1))))] == [(SOURCE, 3 * size)]


def test_a_named_line_is_one_event_however_often_it_is_sent(taking):
    take = taking()
    once = delivery(line(1), line(2), named=True)
    assert counts(take(once)) == (2, 2, 0, 0)
    again = delivery(line(2), line(3), line(3), named=True)
    assert (counts(take(again)), again.repeated) == ((3, 1, 0, 2), 2)
    after_restart = delivery(line(1), line(4), named=True)
    assert (counts(taking()(after_restart)), after_restart.repeated) == ((2, 1, 0, 1), 1)


def test_a_batch_that_was_sent_later_may_come_first(taking):
    take = taking()
    assert counts(take(delivery(line(5), line(6), named=True))) == (2, 2, 0, 0)
    assert counts(take(delivery(line(1), line(2), named=True))) == (2, 2, 0, 0)


def test_the_id_of_a_named_event_comes_from_its_name_and_the_key(taking, tmp_path, pipeline_on):
    name = identity("host", "access.log", 7)
    first = events(taking()(delivery(line(1), identities=[name])))
    with EmbeddedStore.open(tmp_path / "another") as elsewhere:
        before = delivery(line(8), line(9))
        take = taking(elsewhere)
        take(before)
        second = events(take(delivery(line(1), identities=[name])))
    assert [event.id for event in first] == [event.id for event in second]
    assert event_place(first[0].id) == (SOURCE, place_of(name, KEYED))
    assert place_of(name, KEYED) != place_of(name, CredentialDigest(b"z" * 32))
    assert 1 << 62 <= place_of(name, KEYED) < 1 << 63


def test_named_and_unnamed_lines_of_one_source_do_not_hide_each_other(taking):
    take = taking()
    mixed = delivery(line(1), line(2), identities=[identity("n"), b""])
    assert counts(take(mixed)) == (2, 2, 0, 0)
    assert counts(take(delivery(line(3)), delivery(line(4), named=True))) == (2, 2, 0, 0)


@pytest.mark.parametrize("named", [True, False])
def test_what_is_no_access_record_is_a_counted_reject(taking, named):
    take = taking()
    take(delivery(line(1), named=named))
    huge = b"x" * (MAX_LINE_BYTES + 1)
    steps = take(delivery(b"not json", huge, b"", b"\0\1\2", line(2), named=named))
    assert counts(steps) == (4, 1, 3, 0)
    reasons = [reject.reason for step in steps for reject in step.batch.rejects]
    assert sorted(reasons) == ["binary", "not_json", "too_long"]
    again = take(delivery(b"not json", huge, line(3), named=named))
    assert counts(again) == ((3, 1, 0, 2) if named else (3, 1, 2, 0))


def test_sources_are_read_apart_in_one_commit(taking):
    nginx = b'192.0.2.1 - - [22/Nov/2026:09:00:01 +0000] "GET /api/v1/users/u-1/x HTTP/1.1" 200 5'
    steps = taking()(
        delivery(line(1)), delivery(nginx + b' "-" "a"', source=OTHER), delivery(line(2))
    )
    assert [(step.batch.source, step.batch.lines) for step in steps] == [(SOURCE, 2), (OTHER, 1)]
    assert counts(steps) == (3, 3, 0, 0)


def test_senders_cannot_make_sources_without_end(taking, monkeypatch, store):
    monkeypatch.setattr(reception_module, "MAX_SOURCES", 3)
    take = taking()
    for number in range(10):
        take(delivery(line(number), source=f"{number:016x}", name=f"{number}.log"))
    names = sorted(source.name for source in store.sources())
    assert names == ["0.log", "1.log", "2.log", "http: other sources"]
    take(delivery(line(99), source=f"{1:016x}", name="1.log"))
    assert len(store.sources()) == 4


def test_an_attack_that_is_pushed_is_the_same_incident_as_one_that_is_read(taking, store, attack):
    lines = [each.rstrip(b"\n") for each in attack.read_bytes().splitlines(keepends=True)]
    take = taking()
    for start in range(0, len(lines), 100):
        take(delivery(*lines[start : start + 100], named=True))
        take(delivery(*lines[start : start + 50], named=True))
    assert [one.affected_count for one in store.incidents()] == [12]
    assert sum(source.name == "a.log" for source in store.sources()) == 1
