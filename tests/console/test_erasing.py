"""`evidence erase`: the person is gone from the disk, and the log says that they were erased."""

import json
from contextlib import contextmanager

import msgspec
import pytest

from console.person import user_name
from evidence.custody import hold
from evidence.erasure import Erasure, erasures
from evidence.history import History
from evidence.store import EmbeddedStore
from streams.kafka import dispatch, replica
from streams.live import lock
from streams.sealing import open_signed
from streams.settings import Settings
from tests import _attack
from tests._events import NOON_MS, receipt
from tests.console._deployment import CONFIG, Decider

PERSON = "u-12"


@pytest.fixture
def kept(cli, attack, tmp_path):
    """The data directory of a run over the attack; some rows are in no segment yet."""
    config = attack.parent / "breachline.yaml"
    (tmp_path / "breachline.yaml").write_text(config.read_text())
    assert cli("run", attack, "--once").code == 0
    return tmp_path / "var"


def words(folder):
    """The bytes of a data directory, without keys."""
    found = b""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "keys" not in path.parts:
            found += path.read_bytes()
    return found


def asked(folder):
    with EmbeddedStore.open_readonly(folder) as store, History(folder / "history") as history:
        history.load_staged(store)
        return len(list(history.search(user=PERSON))), len(list(history.search()))


def test_a_person_is_erased_and_everybody_else_stays(cli, kept):
    assert asked(kept) == (71, 852)
    would = json.loads(cli("evidence", "erase", PERSON, "--why", "r5", "--dry-run", "--json").out)
    assert (would["lines"], would["exposures"], would["history"]) == (1, 1, 71)
    assert asked(kept) == (71, 852), "nothing was erased yet"
    said = cli("evidence", "erase", PERSON, "--why", "request 5")
    assert said.code == 0
    assert said.out.startswith("Erased: ")
    assert said.out.endswith(", 1 lines, 1 exposures, 3 records, "
                             f"{would['state']} state, 71 history.\n")  # fmt: skip
    assert "Not reached from here: the logs themselves" in said.err
    assert asked(kept) == (0, 852 - 71)
    assert PERSON.encode() not in words(kept)
    with EmbeddedStore.open_readonly(kept) as store:
        (done,) = erasures(store)
        assert (done.by, done.why, done.history) == (user_name(), "request 5", 71)
        assert store.ledger.head() == next(store.ledger.heads(store.log.last_seq - 1))
        (incident,) = store.incidents()
    affected = cli("affected", incident.id).out.split()
    assert (len(affected), PERSON in affected) == (12, False)
    assert set(_attack.VICTIMS) - {PERSON} < set(affected)


def test_what_elasticsearch_still_has_is_said(cli, kept, tmp_path):
    with (tmp_path / "breachline.yaml").open("a") as config:
        config.write("elasticsearch: {hosts: ['http://127.0.0.1:9']}\n")
    said = cli("evidence", "erase", PERSON, "--why", "request 5")
    assert (said.code, "Elasticsearch still has what was indexed" in said.err) == (0, True)


def test_the_service_goes_on_after_it(cli, kept, attack):
    assert cli("evidence", "erase", PERSON, "--why", "request 5").code == 0
    with attack.open("a") as log:
        log.write(_attack.entry(70 * 60 + 30, "u-66", "/api/v1/wallets/u-77/x"))
    assert cli("run", attack, "--once").code == 0
    with EmbeddedStore.open_readonly(kept) as store:
        (incident,) = store.incidents()
    assert incident.affected_count == 13


def test_what_is_held_stays(cli, kept):
    with open_signed(Settings(data_dir=kept)) as store:
        (incident,) = store.incidents()
        hold(store, incident, [], by="ada", why="case 17", at_ms=NOON_MS)
    for more in ([], ["--dry-run"]):
        said = cli("evidence", "erase", PERSON, "--why", "request 5", *more)
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith("Not erased: a legal hold covers it (GDPR art. 17(3)(e))")
    assert asked(kept) == (71, 852)


def test_nobody_is_erased_under_a_service_at_work(cli, kept):
    with lock(kept):
        said = cli("evidence", "erase", PERSON, "--why", "request 5")
    assert (said.code, said.out) == (2, "")
    assert "`breachline run` is at work" in said.err
    assert asked(kept) == (71, 852)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["u-12"], "Missing option '--why'"),
        (["u-12", "--why", " "], "give a reason"),
        (["open", "--why", "x"], "no id that can be told from our own words"),
    ],
)
def test_wrong_usage(cli, kept, args, says):
    said = cli("evidence", "erase", *args)
    assert (said.code, said.out) == (2, "")
    assert says in said.err


def test_who_was_never_named_is_nowhere(cli, kept):
    said = cli("evidence", "erase", "u-999", "--why", "x", "--dry-run")
    assert said.out == (
        "Would erase: 0 entries, 0 lines, 0 exposures, 0 records, 0 state, 0 history.\n"
    )


def test_another_id_of_the_same_person_is_theirs(cli, kept, tmp_path):
    (tmp_path / "people.csv").write_text("id,user\nmail@example.org,u-12\n")
    config = (tmp_path / "breachline.yaml").read_text()
    config = config.replace("intake:\n", "intake:\n  identities: {file: people.csv}\n")
    (tmp_path / "breachline.yaml").write_text(config)
    said = cli("evidence", "erase", "mail@example.org", "--why", "x", "--dry-run", "--json")
    assert json.loads(said.out)["history"] == 71


def test_with_kafka_the_decider_erases(cli, kept, monkeypatch, tmp_path):
    (tmp_path / "breachline.yaml").write_text(CONFIG)

    @contextmanager
    def opened(_settings, _environ, *, offline):
        with EmbeddedStore.open_readonly(kept) as store:
            yield store

    done = Erasure(
        user="ab", salt="cd", by="ada", why="x", at_ms=NOON_MS, entries=3, lines=1, exposures=1,
        records=1, state=4, history=0,
    )  # fmt: skip
    decider = Decider()
    decider.receipt = receipt("ord-1", detail=msgspec.json.encode(done).decode())
    monkeypatch.setattr(dispatch, "give", decider.give)
    monkeypatch.setattr(replica, "opened", opened)
    would = cli("evidence", "erase", PERSON, "--why", "x", "--dry-run")
    assert (would.code, decider.given) == (0, [])
    said = cli("evidence", "erase", PERSON, "--why", "x")
    assert said.out == "Erased: 3 entries, 1 lines, 1 exposures, 1 records, 4 state, 0 history.\n"
    ((order, _),) = decider.given
    assert (order.kind, order.target, order.why) == ("erase", PERSON, "x")
