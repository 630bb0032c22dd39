import msgspec
import pytest

from console.result import Result
from console.standing import backlog_results, ledger_results
from evidence.settings import Elasticsearch
from evidence.signing import known_keys
from evidence.store import EmbeddedStore
from streams import heads, projection
from streams.heads import Told
from streams.projection import Stand, set_aside
from streams.sealing import open_signed
from streams.settings import Kafka, Settings
from tests._events import NOON_MS, action

NOON = "2026-11-22T12:00:00.000Z"
KAFKA = {"kafka": Kafka(brokers=["127.0.0.1:9"])}


@pytest.fixture
def settings(tmp_path):
    return Settings(
        data_dir=tmp_path / "var", elasticsearch=Elasticsearch(hosts=["http://127.0.0.1:9"])
    )


def entered(settings, count=3):
    with open_signed(settings) as store, store.transaction():
        for n in range(count):
            store.log.append_intent(action(f"act-{n}"))
    (key,) = known_keys(settings.data_dir)
    return key.key_id.hex()


def ledger(settings):
    return list(ledger_results(settings))


def test_a_fresh_machine_makes_its_key_later(settings):
    says = "not there yet; the first scan or run creates it"
    assert ledger(settings) == [Result("ledger key", "note", says)]


def test_the_key_and_what_it_signed(settings):
    key_id = entered(settings)
    path = settings.data_dir / "keys" / "ledger.key"
    key = Result("ledger key", "ok", f"{path}, mode 600, id {key_id}")
    assert ledger(settings) == [key, Result("ledger", "ok", f"3 entries signed by {key_id}")]
    assert ledger(settings.model_copy(update=KAFKA)) == [key]


def test_entries_that_nobody_signed(settings):
    with EmbeddedStore.open(settings.data_dir) as store:
        store.log.append_intent(action())
    todo = "the next `breachline run` signs them"
    assert ledger(settings)[1:] == [Result("ledger", "note", "1 entry, none of them signed", todo)]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.chmod(0o644), "chmod 600 it"),
        (lambda path: path.unlink(), "restore it from a backup"),
        (lambda path: path.write_text("nonsense"), "is damaged"),
    ],
)
def test_a_key_that_cannot_be_used(settings, spoil, says):
    entered(settings)
    spoil(settings.data_dir / "keys" / "ledger.key")
    first = ledger(settings)[0]
    assert (first.what, first.state) == ("ledger key", "wrong")
    assert says in first.says
    assert "[Errno" not in first.says


def test_where_heads_are_known(settings):
    entered(settings)
    known = {
        "file /heads": Told(size=3, at_ms=NOON_MS),
        "webhook https://a.test": Told(size=1, at_ms=NOON_MS, attempts=4, trouble="it fails"),
        "elasticsearch": Told(attempts=1, trouble="nobody answers"),
    }
    with open_signed(settings) as store:
        encode = msgspec.msgpack.encode
        store.save_state((heads.SPACE, name, encode(at)) for name, at in known.items())
    assert ledger(settings)[2:] == [
        Result("ledger, elasticsearch", "wrong", "told of nothing; nobody answers"),
        Result("ledger, file /heads", "ok", f"told of 3 entries at {NOON}"),
        Result("ledger, webhook https://a.test", "wrong", f"told of 1 entries at {NOON}; it fails"),
    ]


def backlog(settings, stand=None, *aside):
    entered(settings)
    with open_signed(settings) as store:
        if stand is not None:
            projection._keep(store, stand)
        for name in aside:
            set_aside(store, "streams", name, "another type", NOON_MS)
    return list(backlog_results(settings))


FAILING = Stand(seq=1, attempts=7, since_ms=NOON_MS, kind="login", trouble="renew the key")
BACKLOGS = [
    (None, "note", "3 of 3 entries not indexed yet"),
    (Stand(seq=1), "note", "2 of 3 entries not indexed yet"),
    (Stand(seq=3, at_ms=NOON_MS), "ok", "none of 3 entries"),
    (
        FAILING,
        "wrong",
        f"2 of 3 entries not indexed yet, since {NOON}, 7 attempts: renew the key",
    ),
]


@pytest.mark.parametrize(("stand", "state", "says"), BACKLOGS)
def test_what_is_not_in_elasticsearch_yet_and_why(settings, stand, state, says):
    (only,) = backlog(settings, stand)
    assert (only.what, only.state, only.says) == ("elasticsearch backlog", state, says)


def test_what_will_never_be_is_listed_with_what_to_do(settings):
    _, refused = backlog(settings, Stand(seq=3), *(f"act-{n}" for n in range(7)))
    assert (refused.what, refused.state) == ("elasticsearch refused", "wrong")
    assert refused.says.startswith("7 documents for good: streams/act-0: another type; ")
    assert refused.says.endswith("; and 2 more")
    assert "evidence rebuild" in refused.do


def test_there_is_nothing_to_say_without_it_or_on_kafka_or_before_the_first_run(settings):
    assert list(backlog_results(settings)) == []
    entered(settings)
    for update in (KAFKA, {"elasticsearch": None}):
        assert list(backlog_results(settings.model_copy(update=update))) == []
