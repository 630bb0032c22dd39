"""Holds and releases by hand, and reads that leave a trace."""

import hashlib
import json
import os
from contextlib import contextmanager

import pytest

from console import custody as console_custody
from console.person import user_name
from evidence.custody import holds, reads
from evidence.store import EmbeddedStore
from streams.kafka import dispatch, replica
from tests import _attack
from tests._events import finding, incident, receipt
from tests.console._deployment import CONFIG, KAFKA, Decider


@pytest.fixture
def kept(tmp_path):
    """A live store with one incident, in the data directory of the defaults."""
    with EmbeddedStore.open(tmp_path / "var") as store:
        store.put_findings([finding()])
        store.put_incidents([incident("inc-1a2b")])
    return tmp_path / "var"


@pytest.fixture
def decider(kept, tmp_path, monkeypatch):
    """A deployment that answers orders; what it knows is the store of `kept`."""
    (tmp_path / "breachline.yaml").write_text(CONFIG)

    @contextmanager
    def opened(_settings, _environ, *, offline):
        with EmbeddedStore.open_readonly(kept) as store:
            yield store

    made = Decider()
    monkeypatch.setattr(dispatch, "give", made.give)
    monkeypatch.setattr(replica, "opened", opened)
    return made


def log_of(folder):
    with EmbeddedStore.open_readonly(folder) as store:
        return reads(store), [entry.kind for entry in store.log.entries()]


def test_a_hold_stands_until_it_is_released(cli, kept):
    said = cli("evidence", "hold", "1a2", "--why", "case 17")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("inc-1a2b is held: hld-")
    listed = cli("evidence", "holds")
    assert (listed.code, listed.err) == (0, "1 hold.\n")
    assert listed.out.startswith(f"inc-1a2b is held by {user_name()} since ")
    assert ": case 17 (hld-" in listed.out
    document = json.loads(cli("evidence", "holds", "--json").out)
    assert (document["incident"], document["why"]) == ("inc-1a2b", "case 17")
    again = cli("evidence", "release", "inc-1a2b", "--why", "over")
    assert (again.code, again.err) == (0, "")
    assert again.out == f"inc-1a2b is released from {document['id']}.\n"
    assert cli("evidence", "holds").err == "0 holds.\n"
    with EmbeddedStore.open_readonly(kept) as store:
        assert holds(store) == []
        assert store.ledger.head() == next(store.ledger.heads(store.log.last_seq - 1)), "signed"


WRONG = [
    ("no reason", ["hold", "1a2"], "Missing option '--why'"),
    ("an empty reason", ["hold", "1a2", "--why", " "], "give a reason"),
    ("no such incident", ["hold", "inc-9", "--why", "x"], "no incident 'inc-9'"),
    ("nothing to release", ["release", "1a2", "--why", "x"], "no hold stands on it"),
    ("no such hold", ["release", "1a2", "--why", "x", "--hold", "hld-9"], "no hold hld-9"),
    ("reads of no incident", ["reads", "inc-9"], "no incident 'inc-9'"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[case[0] for case in WRONG])
def test_what_is_refused(cli, kept, name, args, says):
    said = cli("evidence", *args)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert log_of(kept) == ([], [])


def test_no_store_is_made_for_a_hold(cli, tmp_path):
    said = cli("evidence", "hold", "inc-1", "--why", "x")
    assert (said.code, said.out) == (2, "")
    assert "nothing was kept there yet" in said.err
    assert not (tmp_path / "var").exists()


def test_each_read_is_an_entry(cli, result, case, tmp_path):
    where = ("--from", result)
    event = cli("evidence", "list", case, *where, "--why", "case 17").out.split()[0]
    cli("evidence", "show", event, *where)
    assert cli("affected", case, *where).out.split() == _attack.VICTIMS
    cli("history", "--user", "u-10", *where, "--why", "a question")
    cli("evidence", "stix", case, *where, "-o", "case.json")
    cli("evidence", "export", case, *where, "-o", "case.zip")
    found, _ = log_of(result)
    assert [(one.kind, one.what, one.count, one.why) for one in found] == [
        ("read", "evidence list", 12, "case 17"),
        ("read", "evidence show", 1, ""),
        ("read", "affected", len(_attack.VICTIMS), ""),
        ("read", "history", 0, "a question"),
        ("export", "evidence stix", 0, ""),
        ("export", "evidence export", 12, ""),
    ]
    assert {one.by for one in found} == {user_name()}
    assert [one.incident for one in found] == [case, "", case, "", case, case]
    assert (found[1].events, dict(found[3].question)) == ((event,), {"user": "u-10"})
    digests = [
        hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("case.json", "case.zip")
    ]
    assert [one.sha256 for one in found[4:]] == digests


def test_reads_are_listed(cli, result, case):
    cli("affected", case, "--from", result, "--why", "case 17")
    cli("history", "--user", "u-10", "--from", result)
    said = cli("evidence", "reads", "--from", result)
    assert (said.code, said.err) == (0, "2 reads.\n")
    first, second = said.out.splitlines()
    assert f"  {user_name()}  affected {case}, " in first
    assert first.endswith(" shown: case 17")
    assert second.endswith(f"  {user_name()}  history user u-10")
    (document,) = map(json.loads, cli("evidence", "reads", case, "--from", result, "--json")[1:2])
    assert (document["what"], document["why"]) == ("affected", "case 17")
    _, kinds = log_of(result)
    assert kinds[-2:] == ["read", "read"], "to ask who read is no read of evidence"


def test_a_result_is_still_one_that_a_scan_may_replace(cli, result, case):
    cli("affected", case, "--from", result)
    assert not [path.name for path in result.iterdir() if path.name.endswith(("-wal", "-shm"))]


def test_a_reader_who_was_given_a_result_makes_no_key(cli, result, case, tmp_path):
    said = cli("affected", case, "--from", result, "--data-dir", tmp_path / "mine")
    assert said.err.startswith("Warning: this read is not in the log: ")
    assert (said.code, said.out.split()) == (0, _attack.VICTIMS)
    assert not (tmp_path / "mine").exists()
    assert "read" not in log_of(result)[1]


def test_who_has_the_key_signs_what_they_read(cli, result, case):
    assert cli("affected", case, "--from", result).err == ""
    with EmbeddedStore.open_readonly(result) as store:
        assert store.ledger.head() == next(store.ledger.heads(store.log.last_seq - 1))


def test_a_copy_that_cannot_be_written_is_read_all_the_same(cli, result, case, monkeypatch):
    def refuse(*_args, **_named):
        raise PermissionError(13, "Permission denied", str(result))

    monkeypatch.setattr(console_custody, "open_result", refuse)
    said = cli("affected", case, "--from", result)
    assert (said.code, said.out.split()) == (0, _attack.VICTIMS)
    assert said.err == f"Warning: this read is not in the log: {result}: permission denied\n"


def test_the_live_store_of_others_is_not_written_without_its_key(cli, kept, tmp_path):
    other = kept.rename(tmp_path / "other")
    (other / "run.lock").touch()
    said = cli("evidence", "list", "1a2", "--from", other)
    assert said.code == 0
    assert "Warning: this read is not in the log: " in said.err
    assert "has no key to sign its log with" in said.err
    assert log_of(other) == ([], [])


@pytest.mark.usefixtures("decider")
def test_with_kafka_a_read_is_told_to_the_decider(cli, monkeypatch):
    sent = []

    async def tell(kafka, environ, order):
        assert (kafka, environ) == (KAFKA, os.environ)
        sent.append(order)

    monkeypatch.setattr(dispatch, "tell", tell)
    assert cli("evidence", "list", "1a2", "--why", "case 17").code == 0
    (order,) = sent
    assert (order.kind, order.target, order.why, order.by) == (
        "read", "inc-1a2b", "case 17", user_name(),
    )  # fmt: skip
    assert (order.read.what, order.read.at_ms) == ("evidence list", order.at_ms)


@pytest.mark.usefixtures("decider")
def test_offline_no_broker_is_asked(cli, monkeypatch):
    monkeypatch.setattr(dispatch, "tell", None)
    monkeypatch.setattr(replica, "mark_of", lambda _store: None)
    said = cli("evidence", "list", "1a2", "--offline")
    assert said.code == 0
    assert "not in the log: the brokers are not asked with --offline\n" in said.err


@pytest.mark.usefixtures("decider")
def test_brokers_that_are_down_do_not_hide_evidence(cli, monkeypatch):
    async def tell(*_):
        raise ConnectionError("nothing listens there")

    monkeypatch.setattr(dispatch, "tell", tell)
    said = cli("evidence", "list", "1a2")
    assert said.code == 0
    assert "Warning: this read is not in the log: nothing listens there\n" in said.err


def test_with_kafka_the_decider_holds(cli, decider):
    decider.receipt = receipt("ord-1", point="person", detail="hld-77")
    said = cli("evidence", "hold", "1a2", "--why", "case 17", "--timeout", "7s")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("inc-1a2b is held: hld-77.")
    assert cli("evidence", "release", "1a2", "--why", "over", "--hold", "hld-77").code == 0
    (first, waits), (second, _) = decider.given
    assert (first.kind, first.target, first.why, waits) == ("hold", "inc-1a2b", "case 17", 7.0)
    assert (second.kind, second.only) == ("release", "hld-77")
