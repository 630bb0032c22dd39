import os
import signal

import pytest

from console.commands import ship as module
from streams.kafka.outflow import Outflow
from tests.streams.kafka._broker import Broker


@pytest.fixture
def broker(monkeypatch):
    """Brokers that answer, instead of those that the command would connect to."""
    found = Broker("breachline.access.raw")
    monkeypatch.setattr(module, "producers", lambda _kafka, _env: found.connect)
    return found


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "access.log"
    path.write_bytes(b"one\ntwo\n")
    return path


WRONG = [
    ("nothing to ship", ["--to", "127.0.0.1:9"], "Name a LOG to ship, or configure listen:"),
    ("missing", ["nowhere.log", "--to", "127.0.0.1:9"], "Error: reading nowhere.log: no such file"),
    ("a directory", [".", "--to", "127.0.0.1:9"], "Error: reading .: it is a directory"),
    ("nowhere to", ["{log}"], "Say where to: --to HOST:PORT, or kafka.brokers in --config."),
    ("no port", ["{log}", "--to", "kafka"], "Invalid value for --to: kafka: "),
    ("no speed", ["{log}", "--to", "127.0.0.1:9", "--rate", "0"], "Invalid value for '--rate'"),
    ("a broken configuration", ["{log}", "--config", "bad.yaml"], "Error: bad.yaml:1:"),
    (
        "no password",
        ["{log}", "--config", "sasl.yaml"],
        "password of Kafka user shipper is missing",
    ),
    ("no such place", ["{log}", "--to", "127.0.0.1:9", "--data-dir", "/proc/nope"], "Error: /proc"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage(cli, log, tmp_path, name, args, says):
    (tmp_path / "bad.yaml").write_text("kafka: {brokers: [127.0.0.1]}\n")
    (tmp_path / "sasl.yaml").write_text(
        "kafka: {brokers: ['127.0.0.1:9'], sasl: {username: shipper, password_env: NO_SUCH}}\n"
    )
    said = cli("ship", *(arg.format(log=log) for arg in args))
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert not (tmp_path / "var").exists()


def test_once_says_what_was_shipped_and_goes_on_from_there(cli, log, broker, tmp_path):
    said = cli("ship", log, "--to", "127.0.0.1:9", "--once")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("Shipped 2 lines, 8 bytes in 0.")
    assert [value for value, _ in broker.records] == [b"one\ntwo\n"]
    log.write_bytes(b"one\ntwo\nthree\n")
    said = cli("ship", log, "--to", "127.0.0.1:9", "--once", "--json")
    assert said.out.startswith('{"lines":1,"bytes":6,"seconds":0.')
    assert sorted(path.name for path in (tmp_path / "var").iterdir()) == ["ship"]


def test_brokers_and_prefix_come_from_the_configuration(cli, log, monkeypatch, tmp_path):
    (tmp_path / "breachline.yaml").write_text(
        "kafka: {brokers: ['192.0.2.1:9092'], prefix: 'bank.'}\n"
    )
    broker, seen = Broker("bank.access.raw"), []

    def producers(kafka, _env):
        seen.append(kafka.brokers)
        return broker.connect

    monkeypatch.setattr(module, "producers", producers)
    assert cli("ship", log, "--once").code == 0
    assert cli("ship", log, "--once", "--to", "192.0.2.2:9092,192.0.2.3:9092").code == 0
    assert seen == [["192.0.2.1:9092"], ["192.0.2.2:9092", "192.0.2.3:9092"]]
    # To another place everything goes.
    assert [value for value, _ in broker.records] == [b"one\ntwo\n"] * 2


ENDS = [(signal.SIGINT, 130), (signal.SIGTERM, 0)]


@pytest.mark.parametrize(("number", "code"), ENDS)
def test_following_ends_with_a_signal_and_keeps_its_place(cli, log, broker, number, code):
    broker.on_send = lambda: os.kill(os.getpid(), number)
    said = cli("ship", log, "--to", "127.0.0.1:9")
    assert (said.code, said.err) == (code, "")
    assert said.out.startswith("Shipped 2 lines, 8 bytes in ")
    assert cli("ship", log, "--to", "127.0.0.1:9", "--once").out.startswith("Shipped 0 lines")


def test_what_was_not_acknowledged_at_the_end_is_said(cli, log, broker, monkeypatch):
    broker.answers = False
    broker.on_send = lambda: os.kill(os.getpid(), signal.SIGINT)
    end_in = Outflow.end_in
    monkeypatch.setattr(Outflow, "end_in", lambda out, _seconds: end_in(out, 0))
    said = cli("ship", log, "--to", "127.0.0.1:9")
    assert said.code == 130
    assert said.err == "8 bytes were not acknowledged: the next run sends them again.\n"
    assert said.out.startswith("Shipped 0 lines, 0 bytes in ")


def test_once_gives_up_where_nobody_answers(cli, log):
    said = cli("ship", log, "--to", "127.0.0.1:9", "--once", "--timeout", "0.01")
    assert (said.code, said.out) == (3, "")
    first, last = said.err.splitlines()
    assert first.startswith("Kafka does not answer (Kafka at 127.0.0.1:9: nothing listens there:")
    assert last.startswith("Error: shipping to Kafka at 127.0.0.1:9: ")


def test_help_has_an_example(cli):
    said = cli("ship", "--help")
    assert said.code == 0
    assert "breachline ship /var/log/nginx/access.log --to 192.0.2.10:9092" in said.out
